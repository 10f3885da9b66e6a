"""Run a mended notebook in a fresh kernel, within limits, and test each answer where its check stands.

This talks to the kernel itself rather than through nbclient, which bounds neither what a cell prints nor how long it
ignores an interrupt, and has no way to bring back a verdict.
"""

import ast
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from typing import Any

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import KernelManager
from nbformat import NotebookNode
from nbformat.v4 import new_output, output_from_msg

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


@dataclass
class Execution:
    """A run notebook: its cells carry their outputs. ``outcome`` is "graded" when it ran to its end."""

    notebook: NotebookNode
    outcome: str = "graded"
    message: str = ""
    verdicts: dict[str, Verdict] = field(default_factory=dict)

    def trouble(self, outcome: str, message: str) -> None:
        """Record what went wrong first."""
        if self.outcome == "graded":
            self.outcome, self.message = outcome, message


def run(
    notebook: NotebookNode,
    template: Template,
    assignment: Assignment,
    limits: Limits,
    files: Iterable[Path] = (),
    seed: int = 0,
) -> Execution:
    """Run the notebook from top to bottom, on a copy of ``files`` in a folder of its own.

    Cells that raise are left behind, as nbgrader does; a cell that can't be stopped, or that takes the kernel with it,
    ends the run, and the answers tested before it keep their verdicts.
    """
    done = Execution(notebook)
    end = time.monotonic() + limits.total_seconds
    with tempfile.TemporaryDirectory(prefix="grading-", ignore_cleanup_errors=True) as scratch:
        work = Path(scratch, "work")
        work.mkdir()
        for file in files:
            shutil.copyfile(file, work / file.name)
        with Kernel(Path(scratch), work, limits) as kernel:
            for number, cell in enumerate(notebook.cells, 1):
                if cell.cell_type != "code" or not cell.source.strip():
                    continue
                seconds = min(limits.cell_seconds, end - time.monotonic())
                if seconds <= 0:
                    done.trouble("timed-out", f"the notebook ran for more than {limits.total_seconds:g} s")
                    break
                role = template.role(cell.metadata.get("nbgrader", {}).get("grade_id", ""))
                if role is not None and role[0] == "check":
                    reply = kernel.execute("", seconds, _probe(assignment, role[1], seed))
                    done.verdicts[role[1]] = _verdict(role[1], reply, seconds)
                    where = f"the check of {role[1]}"
                else:
                    reply = kernel.execute(cell.source, seconds)
                    cell.outputs = reply.outputs
                    cell.execution_count = reply.count
                    where = f"cell {number} (`{first_line(cell.source)}`)"
                _record_trouble(done, reply, where, seconds, limits)
                if not kernel.alive:
                    break
    for exercise in template.exercises.values():
        if exercise.check is not None and exercise.name not in done.verdicts:
            done.verdicts[exercise.name] = Verdict("not-run", f"This check was not reached: {done.message}.")
    return done


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


def _probe(assignment: Assignment, exercise: str, seed: int) -> str:
    arguments = f"{exercise!r}, globals(), {assignment.public!r}, {assignment.hidden!r}, {seed}"
    return f"__import__('autograder.probe', fromlist=['verdict']).verdict({arguments})"


def _verdict(exercise: str, reply: "Reply", seconds: float) -> Verdict:
    if reply.status == "timed-out":
        return Verdict("failed", f"{exercise} did not come back within {seconds:.3g} s.")
    if reply.status == "died":
        return Verdict("failed", f"{exercise} ended the kernel while it was tested.")
    if reply.status == "runaway":
        return Verdict("failed", f"{exercise} printed without end while it was tested.")
    if reply.value is None:
        return Verdict("broken", f"the check of {exercise} gave no verdict ({reply.status}): {reply.problem}")
    try:
        data = json.loads(ast.literal_eval(reply.value))
        return Verdict(str(data["status"]), str(data["message"]), str(data["printed"]))
    except (ValueError, SyntaxError, KeyError, TypeError):
        return Verdict("broken", f"the check of {exercise} gave no verdict that can be read")


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
        self._limits = limits
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
            self._client.wait_for_ready(timeout=self._limits.start_seconds)
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
        collected = _Outputs(self._limits.kept_bytes)
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
            if not collected.stopping and collected.seen > self._limits.runaway_bytes:
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
        while time.monotonic() < min(end, silent_since + self._limits.grace_seconds):
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
        end = time.monotonic() + self._limits.grace_seconds
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
