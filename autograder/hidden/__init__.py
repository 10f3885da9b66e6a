"""Hidden checks: what the grader asks of an answer beyond its public properties. No student gets this folder.

They draw fresh inputs from a seed, so that an answer that knows the public inputs gains nothing, and compare with
oracles of their own. A failure tells the student the property's title, never the input or what was expected.
"""

from collections.abc import Callable

from autograder.hidden import diffusion_model, diffusion_process, vae_bound, vae_model
from genmodels.checks import EXERCISES, Property, run_properties

HIDDEN: dict[str, Callable[[int], tuple[Property, ...]]] = {
    **vae_bound.HIDDEN,
    **vae_model.HIDDEN,
    **diffusion_process.HIDDEN,
    **diffusion_model.HIDDEN,
}


def run_hidden(exercise: str, answer: object, seed: int) -> None:
    """Test an answer against the hidden properties of its exercise, on inputs drawn from ``seed``.

    Raises
    ------
    CheckFailed
        At the first property that fails; the message is safe to show to a student.
    ValueError
        If there are no hidden checks of that name.
    """
    if exercise not in HIDDEN:
        raise ValueError(f"exercise must be one of {', '.join(sorted(HIDDEN))}, got {exercise!r}")
    run_properties(EXERCISES[exercise], HIDDEN[exercise](seed), answer, details=False)
