"""How judge and student talk: frames of a JSON header and raw bytes, over a socket.

The judge sends arguments as a pickle (it is the trusted side); the student sends data only, built of a short list of
kinds, and never a pickle.
"""

import json
import re
import select
import socket
import struct
import threading
import time
from typing import Any

LENGTHS = struct.Struct("!II")  # of the header and of the body, in bytes
HEADER_BYTES = 16_000_000
BODY_BYTES = 64_000_000
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class Closed(Exception):
    """The other side has gone."""


class Late(Exception):
    """Nothing came before the deadline."""


class Malformed(Exception):
    """What came is not what was agreed on."""


class Channel:
    """One end of the wire. Sending is safe from several threads."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._lock = threading.Lock()
        self._sock.setblocking(True)

    def send(self, header: dict[str, Any], body: bytes = b"", deadline: float | None = None) -> None:
        """Send one frame.

        Raises
        ------
        Late
            If the other side does not take it before the deadline (a time of ``time.monotonic()``).
        Closed
            If the other side has gone.
        """
        text = json.dumps(header).encode()
        frame = memoryview(LENGTHS.pack(len(text), len(body)) + text + body)
        try:
            with self._lock:
                while frame:
                    self._wait("write", deadline)
                    frame = frame[self._sock.send(frame[: 1 << 20]) :]
        except OSError as error:
            raise Closed(str(error)) from None

    def receive(self, deadline: float | None = None) -> tuple[dict[str, Any], memoryview]:
        """Wait for one frame.

        Raises
        ------
        Late, Closed, Malformed
            If it does not come whole before the deadline, the other side has gone, or it is no frame of ours.
        """
        header_size, body_size = LENGTHS.unpack(self._read(LENGTHS.size, deadline))
        if header_size > HEADER_BYTES or body_size > BODY_BYTES:
            raise Malformed(f"a frame of {header_size} and {body_size} bytes")
        text = self._read(header_size, deadline)
        body = self._read(body_size, deadline)
        try:
            header = json.loads(_without_surrogates(bytes(text)))
        except (ValueError, RecursionError) as error:
            raise Malformed(f"a header that is no JSON: {error}") from None
        if not isinstance(header, dict):
            raise Malformed("a header that is no object")
        return header, body

    def close(self) -> None:
        """Hang up."""
        self._sock.close()

    def _read(self, size: int, deadline: float | None) -> memoryview:
        # Grows as bytes arrive: a length alone must not cost memory.
        data = bytearray()
        while len(data) < size:
            self._wait("read", deadline)
            try:
                part = self._sock.recv(min(size - len(data), 1 << 20))
            except OSError as error:
                raise Closed(str(error)) from None
            if not part:
                raise Closed("the other side hung up")
            data += part
        return memoryview(data)

    def _wait(self, what: str, deadline: float | None) -> None:
        if deadline is None:
            return
        left = deadline - time.monotonic()
        if left <= 0:  # even if something is there: a flood would never end
            raise Late
        ours = [self._sock]
        ready = select.select(ours if what == "read" else [], ours if what == "write" else [], [], left)
        if not any(ready):
            raise Late


def _without_surrogates(text: bytes) -> bytes:
    """JSON in which halves of a character, which no file and no database can hold, have become question marks."""
    if SURROGATE.search(text) is None:
        return text
    return json.dumps(json.loads(text), ensure_ascii=False).encode("utf-8", "replace")
