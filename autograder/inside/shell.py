"""The notebook's shell: IPython in this process, whose outputs go to the judge as they come."""

import base64
import builtins
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.history import HistoryManager
from IPython.core.interactiveshell import InteractiveShell

Send = Callable[[str, dict[str, Any]], None]
FLUSH_CHARACTERS = 8192


class Interrupts:
    """Turns SIGINT into KeyboardInterrupt while a student's code runs, and never in the middle of a frame."""

    def __init__(self) -> None:
        self._running = False
        self._held = 0
        self._waiting = False

    def install(self) -> None:
        signal.signal(signal.SIGINT, self._arrived)

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        if not self._running:
            return
        if self._held:
            self._waiting = True
        else:
            raise KeyboardInterrupt

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """The student's code runs now."""
        self._running = True
        try:
            yield
        finally:
            self._running = self._waiting = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Something of ours runs that must not be broken off. (Other threads get no signals.)"""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
            if self._waiting and not self._held:
                self._waiting = False
                raise KeyboardInterrupt


class Stream(io.TextIOBase):
    """stdout or stderr of a cell: text in pieces of some thousand characters."""

    encoding = "utf-8"

    def __init__(self, name: str, send: Send) -> None:
        self.name = name
        self._send = send
        self._parts: list[str] = []
        self._size = 0
        self._lock = threading.RLock()

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        with self._lock:
            self._parts.append(text)
            self._size += len(text)
            if self._size >= FLUSH_CHARACTERS:
                self.flush()
        return len(text)

    def flush(self) -> None:
        with self._lock:
            text, self._parts, self._size = "".join(self._parts), [], 0
        if text:
            self._send("stream", {"name": self.name, "text": text})

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True


class Tail(io.TextIOBase):
    """Keeps the end of what is written to it: an answer that prints without end must not fill the memory."""

    def __init__(self, most: int) -> None:
        self.text = ""
        self._most = most

    def write(self, text: str) -> int:
        self.text = (self.text + text)[-self._most :]
        return len(text)


def _plain(data: dict[str, Any]) -> dict[str, Any]:
    """Display data as JSON holds it: pictures in base64."""
    return {
        str(kind): base64.b64encode(value).decode() if isinstance(value, bytes) else value
        for kind, value in data.items()
    }


def _nowhere(kind: str, content: dict[str, Any]) -> None:
    """Where outputs go before anybody listens."""


class _Publisher(DisplayPublisher):
    send: Send = staticmethod(_nowhere)

    def publish(  # type: ignore[override]
        self,
        data: dict[str, Any],
        metadata: dict[str, Any] | None = None,
        *,
        transient: dict[str, Any] | None = None,
        update: bool = False,
        **_: Any,
    ) -> None:
        _flush()
        content = {"data": _plain(data), "metadata": metadata or {}, "transient": transient or {}}
        self.send("update_display_data" if update else "display_data", content)

    def clear_output(self, wait: bool = False) -> None:
        _flush()
        self.send("clear_output", {"wait": wait})


class _Hook(DisplayHook):
    send: Send = staticmethod(_nowhere)

    def write_output_prompt(self) -> None:
        pass

    def write_format_data(self, format_dict: dict[str, Any], md_dict: dict[str, Any] | None = None) -> None:
        _flush()
        content = {"data": _plain(format_dict), "metadata": md_dict or {}, "execution_count": self.prompt_count}
        self.send("execute_result", content)

    def finish_displayhook(self) -> None:
        self._is_active = False


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, Stream):
            stream.flush()


class Shell(InteractiveShell):
    """IPython without a terminal, a history on disk, or questions to the user."""

    _send: Send = staticmethod(_nowhere)

    def __init__(self, **options: Any) -> None:
        HistoryManager.enabled = False  # type: ignore[assignment]
        super().__init__(display_pub_class=_Publisher, displayhook_class=_Hook, **options)
        builtins.input = _no_questions

    def connect(self, send: Send) -> None:
        """Send outputs there from now on."""
        self._send = send
        self.display_pub.send = send  # type: ignore[attr-defined]
        self.displayhook.send = send  # type: ignore[attr-defined]

    def run(self, code: str) -> str:
        """Run a cell; "ok", or "error" after its traceback was sent."""
        kept = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = Stream("stdout", self._send), Stream("stderr", self._send)
        try:
            done = self.run_cell(code, store_history=True)
        finally:
            _flush()
            sys.stdout, sys.stderr = kept
        return "ok" if done.success else "error"

    def _showtraceback(self, etype: Any, evalue: Any, stb: list[str]) -> None:
        _flush()
        self._send("error", {"ename": getattr(etype, "__name__", str(etype)), "evalue": str(evalue), "traceback": stb})

    def ask_exit(self) -> None:
        """``exit`` ends the process, as it ends a kernel."""
        _flush()
        os._exit(0)

    def enable_gui(self, gui: str | None = None) -> None:
        pass


def _no_questions(prompt: object = "") -> str:
    raise EOFError("nobody answers input() while a notebook is graded")
