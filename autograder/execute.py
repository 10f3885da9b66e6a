"""Run a mended notebook in a student's process, within limits, and test each answer where its check stands.

This is the judge's part: the cells run elsewhere (:mod:`autograder.sandbox`), the checks run here, on what the other
process answers (:mod:`autograder.remote`).
"""

import importlib
import io
import re
import shutil
import signal
import tempfile
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path, PurePath
from types import FrameType, ModuleType
from typing import Any

import torch
from nbformat import NotebookNode
from nbformat.v4 import new_output

from autograder.limits import Limits
from autograder.remote import Ended, EndedTheProgram, Remote
from autograder.results import Execution, Verdict
from autograder.sandbox import NoSandbox, Process, Unconfined, close_shared, limits_of, shared
from autograder.submission import SideFiles
from autograder.template import Assignment, Exercise, Template

NO_FILES = SideFiles([], {})
SHOWN = 2000  # characters of what a check, and the answer in it, print
A_MESSAGE = 200  # bytes that an output takes besides its content
TOLD = 4000  # characters of why an answer failed


def run(
    notebook: NotebookNode,
    template: Template,
    assignment: Assignment,
    limits: Limits,
    files: SideFiles = NO_FILES,
    seed: int = 0,
) -> Execution:
    """Run the notebook from top to bottom, on a copy of ``files`` in a folder of its own.

    A file that was handed in to be graded is judged first, and by itself. Cells that raise are left behind, as nbgrader
    does; a cell that can't be stopped, or that takes its process with it, ends the run, and the answers tested before
    it keep their verdicts.

    Raises
    ------
    NoSandbox
        If a student's code can't be confined here, and ``limits.unsafe`` is not set.
    """
    done = Execution(notebook)
    with tempfile.TemporaryDirectory(prefix="grading-", ignore_cleanup_errors=True) as scratch:
        place = Path(scratch, "judged")
        place.mkdir()
        checks = Checks(assignment, seed)
        _judge_files(done, checks, template, files, place, limits)
        with Session(Path(scratch), limits, files) as session:
            end = time.monotonic() + limits.total_seconds  # the start of a process is not the student's time
            for number, cell in enumerate(notebook.cells, 1):
                if not session.alive:
                    break
                if cell.cell_type != "code" or not cell.source.strip():
                    continue
                role = template.role(cell.metadata.get("nbgrader", {}).get("grade_id", ""))
                if role is not None and role[0] == "check" and role[1] in done.verdicts:
                    continue
                seconds = min(limits.cell_seconds, end - time.monotonic())
                if seconds <= 0:
                    done.trouble("timed-out", f"the notebook ran for more than {limits.total_seconds:g} s")
                    break
                if role is not None and role[0] == "check":
                    exercise = template.exercises[role[1]]
                    verdict, why = session.judge(checks, exercise, place, seconds)
                    done.verdicts[role[1]] = verdict
                    where = f"the check of {role[1]}"
                else:
                    cell.outputs, cell.execution_count, why = session.execute(cell.source, seconds)
                    where = f"cell {number} (`{first_line(cell.source)}`)"
                if why:
                    done.trouble(*_trouble(why, where, seconds, limits))
    for exercise in template.exercises.values():
        if exercise.check is not None and exercise.name not in done.verdicts:
            done.verdicts[exercise.name] = Verdict("not-run", f"This check was not reached: {done.message}.")
    if limits.unsafe and assignment.hidden is not None:
        done.notes.append("graded without a sandbox (--unsafe)")
    return done


def first_line(code: str) -> str:
    """The first line of a cell that isn't blank, to tell it by."""
    return next((_printable(line.strip()[:60]) for line in code.splitlines() if line.strip()), "")


def _printable(text: str) -> str:
    """A text without the characters that a terminal would obey, or that turn its direction; it may be a student's."""
    return "".join(c if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs") else "\ufffd" for c in text)


def _trouble(why: str, where: str, seconds: float, limits: Limits) -> tuple[str, str]:
    """The outcome and its message, for the reason why something was ended."""
    return {
        "died": ("kernel-died", f"{where} ended the kernel"),
        "timed-out": ("timed-out", f"{where} did not end within {seconds:.3g} s"),
        "runaway": ("too-much-output", f"{where} printed more than {limits.runaway_bytes / 1e6:g} MB"),
        "malformed": ("tampered", f"{where} interfered with the grading"),
    }[why]


def _judge_files(
    done: Execution, checks: "Checks", template: Template, files: SideFiles, place: Path, limits: Limits
) -> None:
    """Give the verdicts on the files that the template asks for and that were handed in."""
    for exercise in template.exercises.values():
        if exercise.file is None:
            continue
        file = files.find(exercise.file)
        if exercise.file in files.left_out:
            message = f"{exercise.name}: {exercise.file} {files.left_out[exercise.file]}."
            done.verdicts[exercise.name] = Verdict("failed", message)
        elif file is not None:
            copy = str(shutil.copyfile(file, place / file.name))
            done.verdicts[exercise.name] = checks(exercise.name, lambda copy=copy: copy, limits.cell_seconds)
        else:
            done.notes.append(
                f"{exercise.file} was not handed in; {exercise.name} is graded by what it makes when it is run here"
            )


# ------------------------------------------------------------------ the checks


class Checks:
    """An assignment's checks, public and hidden, with the inputs of one student."""

    def __init__(self, assignment: Assignment, seed: int) -> None:
        self._seed = seed
        self._problem = ""
        self._modules: list[ModuleType] = []
        try:
            self._modules = [importlib.import_module(n) for n in (assignment.public, assignment.hidden) if n]
        except Exception as error:
            self._problem = f"the checks can't be imported: {type(error).__name__}: {error}"
        self._hidden = assignment.hidden is not None

    def locked(self, exercise: str) -> list[str]:
        """The functions of the library that may not be called while this exercise is judged."""
        table = getattr(self._modules[0], "LOCKED", {}) if self._modules else {}
        return list(table.get(exercise, ()))

    def __call__(self, exercise: str, answer: object, seconds: float, printed: Callable[[], str] = str) -> Verdict:
        """Test an answer with the public check, then the hidden ones.

        ``printed`` tells what the answer itself printed. Raises Ended where the student's process ended.
        """
        if self._problem:
            return Verdict("broken", self._problem)
        # The same stream for everybody and at every run; what the checks draw of it is theirs alone.
        torch.manual_seed(self._seed)
        shown = io.StringIO()
        try:
            with _alarm(seconds), redirect_stdout(shown), redirect_stderr(io.StringIO()):
                self._modules[0].check(exercise, answer)
                if self._hidden:
                    self._modules[1].run_hidden(exercise, answer, self._seed)
        except AssertionError as error:  # CheckFailed, whose text is written for the student
            return Verdict("failed", _printable(str(error)[:TOLD]))
        except EndedTheProgram as error:
            return Verdict("failed", f"{exercise} ended the program ({type(error).__name__}).")
        except _Overtime:
            return Verdict("failed", f"{exercise}: the check did not end within {seconds:.3g} s with what came back.")
        except Exception as error:  # the checks turn whatever an answer raises into CheckFailed, so this is theirs
            return Verdict("broken", f"the checks of {exercise} raised {type(error).__name__}: {error}")
        return Verdict("passed", "", (printed() + shown.getvalue())[-SHOWN:])


class _Overtime(BaseException):
    """The check's own work takes too long: what came back is monstrous."""


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise _Overtime after so many seconds, where that can be done."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise _Overtime

    before = signal.signal(signal.SIGALRM, ring)
    # Later than the deadline of what the other process is asked for, which is told more exactly. And again and again:
    # Python swallows an exception that happens to arise in a callback.
    signal.setitimer(signal.ITIMER_REAL, seconds + 1, 1)
    try:
        yield
    finally:
        try:
            signal.setitimer(signal.ITIMER_REAL, 0)
        finally:  # it may ring right here
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


# ------------------------------------------------------------------ a notebook's process


class Session:
    """One notebook's process, from its start to its end."""

    def __init__(self, scratch: Path, limits: Limits, files: SideFiles = NO_FILES) -> None:
        self.limits = limits
        self.alive = True
        self._outputs = _Outputs(limits.kept_bytes)
        self._left = limits.all_kept_bytes
        self._remote = Remote(_start(scratch, limits), self._came)
        try:
            contents = [(file.name, file.read_bytes()) for file in files.files]
            self._remote.deadline = time.monotonic() + limits.start_seconds
            names = [(name, len(content)) for name, content in contents]
            self._remote.ask("files", b"".join(content for _, content in contents), files=names)
        except Ended as ended:
            self._remote.process.kill()
            raise RuntimeError(f"the process for a notebook does not start: {ended.why} {ended.detail}") from None

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self._remote.process.kill()

    def execute(self, code: str, seconds: float) -> tuple[list[NotebookNode], int | None, str]:
        """Run a cell; its outputs, its number, and "" or the reason why it was ended (see Ended)."""
        self._outputs = _Outputs(min(self.limits.kept_bytes, self._left))
        self._remote.deadline = time.monotonic() + seconds
        count, why = None, ""
        try:
            told, _ = self._remote.ask("cell", code=code)
            count = _count(told.get("count"))
        except Ended as ended:
            why = ended.why
            self._stop(why)
            self._outputs.outputs.append(_error("Stopped" if self.alive else "KernelDied", _WHY[why]))
        self._left -= min(self._outputs.seen, self.limits.kept_bytes, self._left)
        return self._outputs.outputs, count, why

    def judge(self, checks: Checks, exercise: Exercise, place: Path, seconds: float) -> tuple[Verdict, str]:
        """Test the answer that stands in the notebook now; the verdict, and "" or why the process was ended."""
        self._outputs = _Outputs(0)
        self._remote.deadline = time.monotonic() + seconds
        self._remote.printed = ""
        name = exercise.name
        try:
            try:
                with _alarm(seconds):
                    answer = self._remote.bind(name)
            except KeyError:
                return Verdict("failed", f"{name} is not defined: its cell is missing, or it raised an error."), ""
            except _Overtime:
                return Verdict("failed", f"{name} is no function, but something monstrous."), ""
            self._remote.lock(checks.locked(name))
            if exercise.file is not None and callable(answer):
                answer = self._fetched(answer, place)
            verdict = checks(name, answer, seconds, lambda: self._remote.printed)
            self._remote.lock([])
        except Ended as ended:
            self._stop(ended.why)
            if self.alive and not self._unlock():
                self._end()
            return Verdict("failed", f"{name} {_IN_A_CHECK[ended.why].format(seconds=f'{seconds:.3g}')}"), ended.why
        return verdict, ""

    def _unlock(self) -> bool:
        self._remote.deadline = time.monotonic() + self.limits.grace_seconds
        try:
            self._remote.lock([])
        except Ended:
            return False
        return True

    def _fetched(self, answer: Callable[[], Any], place: Path) -> Callable[[], Any]:
        """The answer, with the file that it names brought over here."""

        def fetch() -> Any:
            path = answer()
            if not isinstance(path, str | PurePath):
                return path
            here = place / PurePath(path).name
            content = self._remote.read_file(str(path), self.limits.file_bytes)
            if content is None:
                here.unlink(missing_ok=True)
            else:
                here.write_bytes(content)
            return str(here)

        return fetch

    def _came(self, kind: str, content: dict[str, Any], size: int) -> None:
        self._outputs.add(kind, content, size)
        if not self._outputs.stopping and self._outputs.seen > self.limits.runaway_bytes:
            raise Ended("runaway")

    def _stop(self, why: str) -> None:
        """Break off what runs; end the process if it goes on regardless."""
        self._outputs.stopping = True
        if why in ("died", "malformed") or not self._remote.settle(self.limits.grace_seconds):
            self._end()

    def _end(self) -> None:
        self._remote.process.kill()
        self.alive = False


_WHY = {
    "timed-out": "This cell did not end in time, and was stopped.",
    "runaway": "This cell printed without end, and was stopped.",
    "died": "This cell ended the kernel. Nothing after it could run.",
    "malformed": "This cell interfered with the grading. Nothing after it could run.",
}
_IN_A_CHECK = {
    "timed-out": "did not come back within {seconds} s.",
    "runaway": "printed without end while it was tested.",
    "died": "ended the kernel while it was tested.",
    "malformed": "interfered with the grading, and was stopped.",
}


def _start(scratch: Path, limits: Limits) -> Process:
    if limits.unsafe:
        work = scratch / "work"
        work.mkdir()
        return Unconfined(work, limits.start_seconds)
    most = limits_of(limits.memory_bytes, limits.scratch_bytes, limits.total_seconds)
    try:
        return shared(limits.start_seconds).start(most)
    except (NoSandbox, OSError):  # the warm process itself may have been killed, for its memory perhaps
        close_shared()
        return shared(limits.start_seconds).start(most)


def _error(name: str, text: str) -> NotebookNode:
    return new_output("error", ename=name, evalue=text, traceback=[text])


class _Outputs:
    """The outputs of one cell as a notebook shows them, up to a number of bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._clear_first = False
        self._displays: dict[str, NotebookNode] = {}
        self.outputs: list[NotebookNode] = []
        self.seen = 0
        self.full = False
        self.stopping = False  # it was broken off; what comes now was printed before

    def add(self, kind: str, content: dict[str, Any], size: int) -> None:
        """Take one message, of so many bytes; what is no output is passed over, but counted."""
        self.seen += size + A_MESSAGE
        if kind == "clear_output":
            self._clear_first = True
            if not content.get("wait"):
                self._clear()
            return
        if kind not in ("stream", "display_data", "execute_result", "error", "update_display_data"):
            return
        if self.full:
            return
        if self.seen > self._limit:
            self.full = True
            note = f"\n[output over {self._limit / 1e6:.2g} MB was left out]\n"
            self.outputs.append(new_output("stream", name="stdout", text=note))
            return
        if self._clear_first:
            self._clear()
        output = _output(kind, content)
        if output is None:
            return
        transient = content.get("transient")
        display = transient.get("display_id") if isinstance(transient, dict) else None
        display = display if isinstance(display, str) else ""
        if kind == "update_display_data":
            if display in self._displays:
                self._displays[display].update(data=output.data, metadata=output.metadata)
            return
        last = self.outputs[-1] if self.outputs else None
        if kind == "stream" and last is not None and last.get("name") == output.name:
            last.text += output.text
            return
        self.outputs.append(output)
        if display:
            self._displays[display] = output

    def _clear(self) -> None:
        self.outputs.clear()
        self._clear_first = False


def _output(kind: str, content: dict[str, Any]) -> NotebookNode | None:
    """An output as a notebook holds it; None if what came is none. It may have been made by a student's code."""
    if kind == "stream":
        name, text = content.get("name"), content.get("text")
        if name in ("stdout", "stderr") and isinstance(text, str):
            return new_output("stream", name=name, text=text)
        return None
    if kind == "error":
        name, value, lines = content.get("ename"), content.get("evalue"), content.get("traceback")
        if isinstance(name, str) and isinstance(value, str) and isinstance(lines, list):
            return new_output("error", ename=name, evalue=value, traceback=[str(line) for line in lines])
        return None
    data = content.get("data")
    if not isinstance(data, dict):
        return None
    # Of data that is no text nothing is shown; nested deeply enough, no program that reads the notebook could take it.
    data = {mime: value if isinstance(value, str) else {} for mime, value in data.items() if _may_hold(mime, value)}
    if kind == "execute_result":
        return new_output(kind, data=data, execution_count=_count(content.get("execution_count")))
    return new_output("display_data", data=data)


def _may_hold(mime: str, value: object) -> bool:
    return isinstance(value, str) or re.fullmatch(r"application/([\w.-]+\+)?json", mime) is not None


def _count(value: object) -> int | None:
    """A cell's number, as a notebook may hold it."""
    return value if type(value) is int and 0 <= value < 1_000_000 else None
