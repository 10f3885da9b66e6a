"""The course's own assignments: released as they stand, and graded with the real checks, ours and plain nbgrader's."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import safetensors.torch
import torch

from autograder.classroom import grade
from autograder.course import Course
from autograder.limits import Limits
from autograder.release import check_release, generate
from autograder.source import assignments, read_assignment
from autograder.submission import mend, parse
from autograder.template import read_templates
from genmodels import data, nets, train, unet, vae
from genmodels.checks.diffusion_model import SCHEDULE, Denoiser

REPOSITORY = Path(__file__).resolve().parents[2]
NAMES = assignments(REPOSITORY / "solutions")


def digits_vae(path: Path) -> None:
    model = vae.VAE(latent_dim=6, hidden_dim=128)
    images = data.binarize(data.digits("train").images)
    train.fit_vae(model, images, train.VAESettings(epochs=60, learning_rate=4e-3), progress=False)
    safetensors.torch.save_file(model.state_dict(), path)


def ring_generator(path: Path) -> None:
    generator, discriminator = nets.mlp_generator(latent_dim=8), nets.mlp_discriminator(seed=1)
    settings = train.GANSettings(batch_size=256, learning_rate=4e-3, discriminator_learning_rate=4e-3)
    x = data.toy2d("eight_gaussians", 8192, torch.Generator().manual_seed(0))
    train.fit_gan(generator, discriminator, x, 8, settings, max_steps=1500, progress=False)
    safetensors.torch.save_file(generator.state_dict(), path)


def digits_generator(path: Path) -> None:
    generator, discriminator = nets.dcgan_generator(latent_dim=16, width=32), nets.dcgan_discriminator(seed=1)
    images = 2 * data.digits("train").images - 1
    train.fit_gan(generator, discriminator, images, 16, train.GANSettings(epochs=30), progress=False)
    safetensors.torch.save_file(generator.state_dict(), path)


def denoiser(path: Path, model: torch.nn.Module, x: torch.Tensor, steps: int) -> None:
    settings = train.DiffusionSettings(epochs=1000, batch_size=64, ema_decay=0.99)
    train.fit_diffusion(model, x, SCHEDULE, settings, max_steps=steps, progress=False)
    safetensors.torch.save_file(model.state_dict(), path)


def cloud_denoiser(path: Path) -> None:
    torch.manual_seed(0)
    points = data.toy2d("spiral", 8192, torch.Generator().manual_seed(0))
    denoiser(path, Denoiser(dim=2, width=64), points, steps=1500)


def digits_denoiser(path: Path) -> None:
    denoiser(path, unet.UNet(width=16), 2 * data.digits("train").images - 1, steps=700)


# What a student hands in beside a notebook, and how to make it.
WEIGHTS = {
    "digits_vae.safetensors": digits_vae,
    "ring_generator.safetensors": ring_generator,
    "digits_generator.safetensors": digits_generator,
    "cloud_denoiser.safetensors": cloud_denoiser,
    "digits_denoiser.safetensors": digits_denoiser,
}


def test_the_committed_notebooks_are_what_their_sources_make():
    assert check_release(REPOSITORY, []) == []


@pytest.fixture(scope="module", params=NAMES)
def graded(
    request: pytest.FixtureRequest, empty_gradebook: Path, unsafe: bool, cluster, tmp_path_factory
) -> tuple[str, Course, dict]:
    """An assignment, and a course folder in which its solutions and its untouched release were graded."""
    name = request.param
    course = Course(tmp_path_factory.mktemp("course"))
    shutil.copyfile(empty_gradebook, course.database)
    generate(course, REPOSITORY, name, read_assignment(REPOSITORY / "solutions", name), record=False)
    handed_in = course.root / "handed-in"
    for student, step in (("solved", "source"), ("untouched", "release")):
        shutil.copytree(course.folder(step, ".", name), handed_in / student / name)
    for file in {
        e.file for t in read_templates(REPOSITORY / "notebooks" / name).values() for e in t.exercises.values()
    }:
        if file is not None:
            WEIGHTS[file](handed_in / "solved" / name / file)
    return name, course, grade(REPOSITORY, name, handed_in, course, Limits(unsafe=unsafe), print, cluster=cluster)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("student", "statuses"), [("solved", {"passed", "by-hand"}), ("untouched", {"failed", "unanswered"})]
)
def test_the_solutions_earn_all_and_the_release_earns_nothing(graded, student: str, statuses: set[str]):
    _, _, results = graded
    result = results[student]
    assert result.outcome == "graded", result.message
    exercises = [exercise for notebook in result.notebooks for exercise in notebook.exercises]
    assert {exercise.status for exercise in exercises} == statuses, [e.message for e in exercises]
    assert result.points == sum(exercise.max_points for exercise in exercises if exercise.status == "passed")


@pytest.mark.slow
def test_of_an_honest_notebook_nothing_had_to_be_put_right(graded):
    name, course, results = graded
    notes = {note for notebook in results["solved"].notebooks for note in notebook.notes}
    assert notes <= {"graded without a sandbox (--unsafe)"}
    # Nor, if it is handed in with all that running it left in it.
    for notebook in results["solved"].notebooks:
        text = (course.folder("autograded", "solved", name) / f"{notebook.name}.ipynb").read_bytes()
        assert len(text) < Limits().file_bytes / 4
        template = read_templates(REPOSITORY / "notebooks" / name)[notebook.name]
        assert mend(parse(text, notebook.name), template, notebook.name).notes == []


@pytest.mark.slow
def test_plain_nbgrader_grades_the_released_notebook(graded, tmp_path: Path):
    name, course, _ = graded
    templates = read_templates(REPOSITORY / "notebooks" / name).values()
    # One notebook will do: one with a file beside it, if there is one.
    chosen = max(templates, key=lambda template: any(exercise.file for exercise in template.exercises.values()))
    shutil.copytree(course.root / "source" / name, tmp_path / "source" / name)
    shutil.copytree(course.root / "handed-in" / "solved" / name, tmp_path / "submitted" / "ann" / name)
    shutil.copyfile(course.database, tmp_path / "gradebook.db")  # the assignment is registered in it
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", "autograde", name, "--notebook", chosen.name],
        cwd=tmp_path,
        env={**os.environ, "GENMODELS_SCALE": "smoke", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with Course(tmp_path).gradebook(name) as gradebook:
        submission = gradebook.find_submission(name, "ann")
        marks = {
            grade.name: (grade.auto_score, grade.max_score)
            for notebook in submission.notebooks
            if notebook.name == chosen.name
            for grade in notebook.grades
        }
    assert len(marks) == len(chosen.exercises)
    by_hand = {exercise for exercise, (score, _) in marks.items() if score is None}
    assert all(score == most for exercise, (score, most) in marks.items() if exercise not in by_hand), marks
    assert not any(exercise.startswith("check-") for exercise in by_hand)


def test_nothing_of_the_hidden_checks_is_released():
    hidden = (REPOSITORY / "autograder" / "hidden").rglob("*.py")
    told = {
        line.strip()
        for path in hidden
        for line in path.read_text(encoding="utf-8").splitlines()
        if len(line.strip()) > 30 and not line.startswith(("import", "from"))
    }
    for path in (REPOSITORY / "notebooks").rglob("*.ipynb"):
        lines = {line.strip() for cell in nbformat.read(path, as_version=4).cells for line in cell.source.splitlines()}
        assert lines.isdisjoint(told)
