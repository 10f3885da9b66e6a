"""Self-checks for the exercises: ``check("kl_normal", kl_normal)`` says at once what holds and what does not.

A check is a list of properties, each a sentence that must be true of the answer and a small test of it. It stops at the
first property that fails and says which, on what input, and where to read. The properties here are public and few; the
instructor's grader adds its own.
"""

from genmodels.checks import diffusion_model, diffusion_process, gan_game, gan_training, vae_bound, vae_model
from genmodels.checks._locked import LOCKED
from genmodels.checks._property import CheckFailed, Exercise, Property, run_properties

__all__ = ["EXERCISES", "LOCKED", "CheckFailed", "Exercise", "Property", "check", "run_properties"]

NOTEBOOKS = (vae_bound, vae_model, gan_game, gan_training, diffusion_process, diffusion_model)
EXERCISES: dict[str, Exercise] = {exercise.name: exercise for book in NOTEBOOKS for exercise in book.EXERCISES}


def check(exercise: str, answer: object) -> None:
    """Test an answer against the public properties of its exercise, and print one line when all of them hold.

    Raises
    ------
    CheckFailed
        At the first property that fails (an AssertionError with a message for the student).
    ValueError
        If there is no exercise of that name.
    """
    if exercise not in EXERCISES:
        raise ValueError(f"exercise must be one of {', '.join(sorted(EXERCISES))}, got {exercise!r}")
    known = EXERCISES[exercise]
    run_properties(known, known.properties, answer)
    print(f"{exercise}: all {len(known.properties)} properties hold.")
