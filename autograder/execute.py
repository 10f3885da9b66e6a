"""Run a mended notebook in a fresh kernel, within limits, and test each answer where its check stands.

This talks to the kernel itself rather than through nbclient, which bounds neither what a cell prints nor how long it
ignores an interrupt, and has no way to bring back a verdict.
"""

import ast
import hmac
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from typing import Any

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import KernelManager
from nbformat import NotebookNode
from nbformat.v4 import new_output, output_from_msg

from autograder.probe import sign
from autograder.submission import SideFiles
from autograder.template import Assignment, Template

REPOSITORY = Path(__file__).resolve().parent.parent
# What a kernel may see of this process's environment: an instructor's tokens are none of a submission's business.
# fmt: off
ENVIRONMENT = {
    "PATH", "HOME", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT",
    "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "VIRTUAL_ENV", "CUDA_VISIBLE_DEVICES", "GENMODELS_SCALE",
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "MPLCONFIGDIR", "XDG_CACHE_HOME",
}
# fmt: on
DEFAULTS = {
    # Several threads make small tensors slower, and on a shared machine many times slower.
    "OMP_NUM_THREADS": "1",
    # The checks test functions, so the notebook's own training may be short.
    "GENMODELS_SCALE": "smoke",
}


NO_FILES = SideFiles([], {})


@dataclass(frozen=True)
class Limits:
    """What one notebook may use: seconds of wall time, and bytes."""

    cell_seconds: float = 60.0
    total_seconds: float = 600.0
    start_seconds: float = 60.0
    # How long an interrupted cell may take to stop before its kernel is killed.
    grace_seconds: float = 5.0
    file_bytes: int = 20_000_000
    # Of a cell's output, this much is kept; a cell that goes on to the second figure is stopped.
    kept_bytes: int = 2_000_000
    runaway_bytes: int = 20_000_000


@dataclass(frozen=True)
class Verdict:
    """What the tests of one answer said. ``status`` is "passed", "failed", "not-run" or "broken" (our fault)."""

    status: str
    message: str
    printed: str = ""
    # Functions of the libraries that the notebook had replaced, and that were put back for the test.
    replaced: tuple[str, ...] = ()


@dataclass
class Execution:
    """A run notebook: its cells carry their outputs. ``outcome`` is "graded" when it ran to its end."""

    notebook: NotebookNode
    outcome: str = "graded"
    message: str = ""
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def trouble(self, outcome: str, message: str) -> None:
        """Record what went wrong first."""
        if self.outcome == "graded":
            self.outcome, self.message = outcome, message


def run(
    notebook: NotebookNode,
    template: Template,
    assignment: Assignment,
    limits: Limits,
    files: SideFiles = NO_FILES,
    seed: int = 0,
) -> Execution:
    """Run the notebook from top to bottom, on a copy of ``files`` in a folder of its own.

    A file that was handed in to be graded is judged first, before any cell has run. Cells that raise are left behind,
    as nbgrader does; a cell that can't be stopped, or that takes the kernel with it, ends the run, and the answers
    tested before it keep their verdicts.
    """
    done = Execution(notebook)
    end = time.monotonic() + limits.total_seconds
    with tempfile.TemporaryDirectory(prefix="grading-", ignore_cleanup_errors=True) as scratch:
        work = Path(scratch, "work")
        work.mkdir()
        with Kernel(Path(scratch), work, limits) as kernel:
            judge = _Judge(kernel, assignment, seed)
            _judge_files(done, judge, template, files, Path(scratch, "handed-in"), limits)
            for file in files.files:
                shutil.copyfile(file, work / file.name)
            for number, cell in enumerate(notebook.cells, 1):
                if not kernel.alive:
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
                    reply, verdict = judge(role[1], "globals()", seconds)
                    done.verdicts[role[1]] = verdict
                    where = f"the check of {role[1]}"
                    if verdict.replaced:
                        names = ", ".join(verdict.replaced[:3]) + (", ..." if len(verdict.replaced) > 3 else "")
                        done.notes.append(f"the notebook had replaced {names}; {where} used the original")
                else:
                    reply = kernel.execute(cell.source, seconds)
                    cell.outputs = reply.outputs
                    cell.execution_count = reply.count
                    where = f"cell {number} (`{first_line(cell.source)}`)"
                _record_trouble(done, reply, where, seconds, limits)
    for exercise in template.exercises.values():
        if exercise.check is not None and exercise.name not in done.verdicts:
            done.verdicts[exercise.name] = Verdict("not-run", f"This check was not reached: {done.message}.")
    return done


def _judge_files(
    done: Execution, judge: "_Judge", template: Template, files: SideFiles, place: Path, limits: Limits
) -> None:
    """Give the verdicts on the files that the template asks for and that were handed in."""
    place.mkdir()
    for exercise in template.exercises.values():
        if exercise.file is None:
            continue
        file = files.find(exercise.file)
        if exercise.file in files.left_out:
            message = f"{exercise.name}: {exercise.file} {files.left_out[exercise.file]}."
            done.verdicts[exercise.name] = Verdict("failed", message)
        elif file is not None:
            copy = place / file.name
            shutil.copyfile(file, copy)
            namespace = f"{{{exercise.name!r}: lambda: {str(copy)!r}}}"
            reply, done.verdicts[exercise.name] = judge(exercise.name, namespace, limits.cell_seconds)
            _record_trouble(done, reply, f"the check of {exercise.file}", limits.cell_seconds, limits)
        else:
            done.notes.append(
                f"{exercise.file} was not handed in; {exercise.name} is graded by what it makes when it is run here"
            )


class _Judge:
    """Tests answers in a kernel in which nothing of the student's has run yet, and believes only what is signed."""

    def __init__(self, kernel: "Kernel", assignment: Assignment, seed: int) -> None:
        self._kernel, self._seed = kernel, seed
        self._key = secrets.token_hex(16)
        arguments = f"{assignment.public!r}, {assignment.hidden!r}, {self._key!r}"
        expression = f"__import__('autograder.probe', fromlist=['prepare']).prepare({arguments})"
        reply = kernel.execute("", kernel.limits.start_seconds, expression)
        if reply.value is None:
            raise RuntimeError(f"the kernel can't be prepared for grading: {reply.status} {reply.problem}")

    def __call__(self, exercise: str, namespace: str, seconds: float) -> tuple["Reply", Verdict]:
        """Test ``namespace[exercise]``, where ``namespace`` is an expression to be evaluated in the kernel."""
        nonce = secrets.token_hex(16)
        arguments = f"{exercise!r}, {namespace}, {self._seed}, {nonce!r}"
        expression = f"__import__('sys').modules['autograder.probe'].judge({arguments})"
        reply = self._kernel.execute("", seconds, expression)
        return reply, self._verdict(exercise, reply, nonce, seconds)

    def _verdict(self, exercise: str, reply: "Reply", nonce: str, seconds: float) -> Verdict:
        if reply.status == "timed-out":
            return Verdict("failed", f"{exercise} did not come back within {seconds:.3g} s.")
        if reply.status == "died":
            return Verdict("failed", f"{exercise} ended the kernel while it was tested.")
        if reply.status == "runaway":
            return Verdict("failed", f"{exercise} printed without end while it was tested.")
        if reply.value is None and not reply.problem:
            return Verdict("broken", f"the check of {exercise} gave no verdict ({reply.status})")
        if reply.problem.startswith("KeyboardInterrupt"):
            return Verdict("failed", f"{exercise} ended the program (KeyboardInterrupt).")
        try:
            text, signature = json.loads(ast.literal_eval(str(reply.value)))
            genuine = hmac.compare_digest(signature, sign(self._key, nonce, text))
        except (ValueError, SyntaxError, TypeError):
            genuine = False
        if not genuine:
            problem = f" ({reply.problem})" if reply.problem else ""
            return Verdict("failed", f"{exercise}: the notebook has changed what tests it, so no test counts{problem}.")
        told = json.loads(text)
        return Verdict(told["status"], told["message"], told["printed"], tuple(told["replaced"]))


def first_line(code: str) -> str:
    """The first line of a cell that isn't blank, to tell it by."""
    return next((line.strip()[:60] for line in code.splitlines() if line.strip()), "")


def _record_trouble(done: Execution, reply: "Reply", where: str, seconds: float, limits: Limits) -> None:
    if reply.status == "died":
        done.trouble("kernel-died", f"{where} ended the kernel")
    elif reply.status == "timed-out":
        done.trouble("timed-out", f"{where} did not end within {seconds:.3g} s")
    elif reply.status == "runaway":
        done.trouble("too-much-output", f"{where} printed more than {limits.runaway_bytes / 1e6:g} MB")


@dataclass
class Reply:
    """What came of one piece of code. ``status``: "ok", "error", "timed-out", "runaway" (printed on and on), "died"."""

    status: str
    outputs: list[NotebookNode]
    count: int | None = None
    value: str | None = None
    problem: str = ""


class _ThisPython(KernelSpecManager):
    """Runs kernels in this very Python, whatever "python3" means to Jupyter on this machine."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return KernelSpec(
            argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            display_name="Python 3",
            language="python",
        )


class Kernel:
    """A fresh kernel in ``cwd``, with its own IPython profile, gone at the end with whatever it started."""

    def __init__(self, scratch: Path, cwd: Path, limits: Limits) -> None:
        self.limits = limits
        environment = {name: value for name, value in os.environ.items() if name in ENVIRONMENT}
        environment |= {name: value for name, value in DEFAULTS.items() if name not in environment}
        environment |= {"IPYTHONDIR": str(scratch / "ipython"), "PYTHONPATH": os.pathsep.join(_import_path())}
        self._manager = KernelManager(
            kernel_spec_manager=_ThisPython(),
            connection_file=str(scratch / "connection.json"),
            # Sockets in the scratch folder, not on the network, where the system has them and the name is short enough.
            transport="ipc" if os.name == "posix" and len(str(scratch)) < 70 else "tcp",
        )
        self._manager.start_kernel(
            cwd=str(cwd),
            env=environment,
            extra_arguments=["--HistoryManager.hist_file=:memory:"],
            # What goes past the notebook, straight to the process's own streams, is nobody's to read.
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._client = self._manager.client()
        self._client.start_channels()
        self.alive = True

    def __enter__(self) -> "Kernel":
        try:
            self._client.wait_for_ready(timeout=self.limits.start_seconds)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)

    def execute(self, code: str, seconds: float, expression: str | None = None) -> Reply:
        """Run code, then evaluate ``expression`` in its namespace; ``value`` is the repr of what that gave.

        With an expression nothing is shown, only evaluated.
        """
        message = self._client.execute(
            code,
            silent=expression is not None,
            user_expressions={} if expression is None else {"value": expression},
            allow_stdin=False,
            stop_on_error=False,
        )
        collected = _Outputs(self.limits.kept_bytes)
        stopped = self._follow(message, time.monotonic() + seconds, collected)
        if stopped == "died":
            self.alive = False
        elif stopped:
            collected.stopping = True
            self._stop(message, collected)
        if stopped:
            name = "KernelDied" if stopped == "died" else "Stopped"
            return Reply(stopped, [*collected.outputs, _error(name, _WHY[stopped])])
        reply = self._shell_reply(message)
        value = reply.get("user_expressions", {}).get("value", {})
        return Reply(
            str(reply.get("status", "error")),
            collected.outputs,
            reply.get("execution_count"),
            value.get("data", {}).get("text/plain"),
            f"{value.get('ename', '')} {value.get('evalue', '')}".strip(),
        )

    def _follow(self, message: str, deadline: float, collected: "_Outputs") -> str:
        """Collect what comes of a request until it is done: "" then, or the reason for not waiting any longer."""
        while (left := deadline - time.monotonic()) > 0:
            if not collected.stopping and collected.seen > self.limits.runaway_bytes:
                return "runaway"
            try:
                news = self._client.get_iopub_msg(timeout=min(left, 0.2))
            except Empty:
                if not self._manager.is_alive():
                    return "died"
                continue
            except ValueError:  # a message that is not signed by the kernel
                continue
            if news["parent_header"].get("msg_id") != message:
                continue
            if news["msg_type"] == "status" and news["content"].get("execution_state") == "idle":
                return ""
            collected.add(news)
        return "timed-out"

    def _stop(self, message: str, collected: "_Outputs") -> None:
        """Interrupt what runs, and read away what it had still to say; kill the kernel if it goes on regardless.

        The interrupt is sent again and again, since Python swallows one that arrives within a callback. A cell that has
        printed a flood ends only when that is on its way, so it may take longer than one that is silent.
        """
        end = time.monotonic() + _DRAIN_SECONDS
        silent_since, seen = time.monotonic(), collected.seen
        while time.monotonic() < min(end, silent_since + self.limits.grace_seconds):
            self._manager.interrupt_kernel()
            came = self._follow(message, time.monotonic() + 0.5, collected)
            if came == "":
                return
            if came == "died":
                break
            if collected.seen > seen:
                silent_since, seen = time.monotonic(), collected.seen
        self._manager.shutdown_kernel(now=True)
        self.alive = False

    def _shell_reply(self, message: str) -> dict[str, Any]:
        """The kernel's answer to a request that is done; empty if it gave none."""
        end = time.monotonic() + self.limits.grace_seconds
        while (left := end - time.monotonic()) > 0:
            try:
                reply = self._client.get_shell_msg(timeout=left)
            except (Empty, ValueError):
                continue
            if reply["parent_header"].get("msg_id") == message:
                content: dict[str, Any] = reply["content"]
                return content
        return {}


_DRAIN_SECONDS = 60.0
_WHY = {
    "timed-out": "This cell did not end in time, and was stopped.",
    "runaway": "This cell printed without end, and was stopped.",
    "died": "This cell ended the kernel. Nothing after it could run.",
}


def _error(name: str, text: str) -> NotebookNode:
    return new_output("error", ename=name, evalue=text, traceback=[text])


def _import_path() -> list[str]:
    """What the kernel adds to its path: this repository, and whatever this process was given in the same way."""
    given = os.environ.get("PYTHONPATH", "")
    return [str(REPOSITORY), *(part for part in given.split(os.pathsep) if part)]


class _Outputs:
    """The outputs of one cell as a notebook shows them, up to a number of bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._clear_first = False
        self._displays: dict[str, NotebookNode] = {}
        self.outputs: list[NotebookNode] = []
        self.seen = 0
        self.full = False
        self.stopping = False  # what comes now is read away

    def add(self, message: dict[str, Any]) -> None:
        """Take one message from the kernel; what is no output is passed over."""
        content, kind = message["content"], message["msg_type"]
        if kind == "clear_output":
            self._clear_first = True
            if not content.get("wait"):
                self._clear()
            return
        if kind not in ("stream", "display_data", "execute_result", "error", "update_display_data"):
            return
        size = len(json.dumps(content, default=str))
        self.seen += size
        if self.full or self.stopping:
            return
        if self.seen > self._limit:
            self.full = True
            note = f"\n[output over {self._limit / 1e6:g} MB was left out]\n"
            self.outputs.append(new_output("stream", name="stdout", text=note))
            return
        if self._clear_first:
            self._clear()
        display = (content.get("transient") or {}).get("display_id")
        if kind == "update_display_data":
            if display in self._displays:
                self._displays[display].update(data=content.get("data", {}), metadata=content.get("metadata", {}))
            return
        try:
            output = output_from_msg(message)
        except (KeyError, ValueError):
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
