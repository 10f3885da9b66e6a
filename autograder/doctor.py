"""Tell a student, before handing in, what would go wrong.

It needs the released notebooks and the public checks, and nothing that only an instructor has.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from autograder.errors import UserError
from autograder.execute import first_line, run
from autograder.limits import Limits
from autograder.submission import Mended, Unreadable, mend, parse, read_bytes, side_files
from autograder.template import TEXT_STUB, Assignment, Template, read_templates

Say = Callable[[str], None]


def examine(path: Path, released: Path, limits: Limits, say: Say) -> bool:
    """Look at a notebook as the grader will, run it, and say what is found; True if it is ready to hand in.

    ``released`` is the folder of the released notebooks, one folder of them for each assignment.

    Raises
    ------
    UserError
        If there is no such file, or no released notebook to compare it with.
    """
    if not path.exists():
        raise UserError(f"there is no file {path}")
    assignments = {f.name: read_templates(f) for f in sorted(released.glob("*")) if any(f.glob("*.ipynb"))}
    if not assignments:
        raise UserError(f"{released} holds no released notebook to compare with")
    try:
        content = read_bytes(path, limits.file_bytes)
        assignment, template, mended = _recognise(path, content, assignments)
    except Unreadable as problem:
        say(f"  problem: {problem}.")
        say(_ADVICE.get(problem.outcome, ""))
        return False
    say(f"{path} is {template.name}.ipynb of the assignment {assignment}.")
    problems = 0
    if path.name != f"{template.name}.ipynb":
        say(f"  problem: hand it in under the name {template.name}.ipynb; the grader looks for that.")
        problems += 1
    for note in mended.notes:
        say(f"  problem: {note}. The grader mends this, but what you see may differ from what it sees.")
        problems += 1
    problems += _run(
        path, Assignment(assignment, {template.name: template}, hidden=None), template, mended, limits, say
    )
    if problems:
        say(f"{problems} {'thing' if problems == 1 else 'things'} to look at before you hand in.")
    else:
        say("Ready to hand in. (The grader also tests your functions on inputs that are not shown here.)")
    return problems == 0


def _recognise(path: Path, content: bytes, assignments: dict[str, dict[str, Template]]) -> tuple[str, Template, Mended]:
    """Which released notebook this is: by its name first, by its cells otherwise."""
    submitted = parse(content, path.name)
    candidates = [(name, template) for name, templates in assignments.items() for template in templates.values()]
    candidates.sort(key=lambda candidate: candidate[1].name != path.stem)
    for name, template in candidates:
        try:
            return name, template, mend(submitted, template, path.name)
        except Unreadable:
            continue
    raise Unreadable("wrong-notebook", f"{path.name} is none of the course's notebooks")


def _run(path: Path, assignment: Assignment, template: Template, mended: Mended, limits: Limits, say: Say) -> int:
    """Run the notebook and tell, exercise by exercise, what holds; return the number of problems."""
    say("Running it from top to bottom in a fresh kernel ...")
    wanted = [exercise.file for exercise in template.exercises.values() if exercise.file]
    files = side_files(path.parent, limits.file_bytes, wanted)
    # Their own notebook, on their own machine: no sandbox is needed, and none may be there.
    done = run(mended.notebook, template, assignment, replace(limits, unsafe=True), files)
    problems = 0
    for name in wanted:
        if files.find(name) is None and name not in files.left_out:
            say(f"  problem: {name} is not beside the notebook. Make it by running the notebook, and hand in both.")
            problems += 1
    for name, why in files.left_out.items():
        if name not in wanted:
            say(f"  {name} {why}; the grader leaves it out.")
    for number, cell in enumerate(mended.notebook.cells, 1):
        errors = [output for output in cell.get("outputs", []) if output.output_type == "error"]
        answer = template.role(cell.metadata.get("nbgrader", {}).get("grade_id", ""))
        if errors and answer is None:
            where = f"cell {number} (`{first_line(cell.source)}`)"
            if errors[0].ename not in ("Stopped", "KernelDied"):  # those are told below
                say(f"  problem: {where} raised {errors[0].ename}: {errors[0].evalue[:200]}")
                problems += 1
    if done.outcome != "graded":
        say(f"  problem: {done.message}.")
        problems += 1
    for exercise in template.exercises.values():
        if exercise.check is None:
            cell = next(
                c for c in mended.notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") == exercise.name
            )
            # Not compared with the released cell: who works in the clone's own notebooks has overwritten that.
            if cell.source.strip() == TEXT_STUB:
                say(f"  problem: {exercise.name} ({exercise.points:g} points): no answer is written yet.")
                problems += 1
            else:
                say(f"  {exercise.name} ({exercise.points:g} points): an answer is there; a person will read it.")
            continue
        verdict = done.verdicts[exercise.name]
        if verdict.status == "passed":
            say(f"  {exercise.name} ({exercise.points:g} points): the public check holds.")
        else:
            told = "\n      ".join(verdict.message.removeprefix(f"{exercise.name}: ").splitlines())
            say(f"  problem: {exercise.name} ({exercise.points:g} points): {told}")
            problems += 1
    return problems


_ADVICE = {
    "empty": "Nothing was saved in it. Open your notebook, save it, and look at this file's size.",
    "truncated": "Open your notebook in JupyterLab, save it again, and hand in that file.",
    "not-json": "Hand in the .ipynb file itself, not a page saved from the browser, a PDF or an archive.",
    "not-a-notebook": "Hand in the .ipynb file that you worked in.",
    "wrong-format": "JupyterLab writes format 4 whenever it saves.",
    "wrong-notebook": "Look whether you picked the right file.",
    "too-large": "Clear the outputs (Kernel, Restart Kernel and Clear Outputs of All Cells) and save.",
}
