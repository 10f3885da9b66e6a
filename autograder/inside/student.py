"""One submission's process: runs its cells, and calls its answers with what the judge hands over.

The judge asks, this answers, one request at a time; outputs of a cell come in between. Whatever a student's code does
to this process it does to itself: no check and no expected value is here.
"""

import os
import socket
import sys
from contextlib import ExitStack, nullcontext, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from . import arguments, tensors
from .lock import locked
from .shell import Interrupts, Shell, Tail
from .tensors import Pile, unpile
from .values import encode, encode_error
from .wire import Channel, Closed

PRINTED = 2000  # characters of what an answer prints while it is tested


class Student:
    """The state of one submission."""

    def __init__(self, channel: Channel, shell: Shell) -> None:
        self._channel = channel
        self._shell = shell
        self._interrupts = Interrupts()
        self._interrupts.install()
        shell.connect(self._output)
        self._handles: dict[int, int] = {}  # id of an object → its handle
        self._objects: dict[int, Any] = {}  # handle → the object
        self._nodes: dict[int, tuple[list[Tensor], list[Tensor]]] = {}  # outputs and inputs of a call with gradients
        self._known: dict[int, Any] = {}  # what the judge has handed over, by its numbers, while one exercise lasts
        self._next = 1
        self._lock = ExitStack()

    def serve(self) -> None:
        """Answer requests until the judge hangs up."""
        while True:
            try:
                header, body = self._channel.receive()
            except Closed:
                os._exit(0)
            pile = Pile()
            try:
                with self._interrupts.allowed():
                    told = getattr(self, f"_do_{header['op']}")(header, body, pile)
            except BaseException as error:
                pile = Pile()
                told = {"status": "raised", "error": encode_error(error)}
            self._channel.send({"reply": header["id"], **told, "tensors": pile.about}, pile.body)

    def _output(self, kind: str, content: dict[str, Any]) -> None:
        with self._interrupts.held():
            self._channel.send({"output": kind, "content": _json(content)})

    def _handle(self, value: object) -> int:
        if id(value) not in self._handles:
            self._handles[id(value)] = self._next
            self._objects[self._next] = value
            self._next += 1
        return self._handles[id(value)]

    # ------------------------------------------------------------------ the requests

    def _do_files(self, header: dict[str, Any], body: memoryview, pile: Pile) -> dict[str, Any]:
        """Write the files that were handed in beside the notebook."""
        for name, size in header["files"]:
            Path(name).write_bytes(body[:size])
            body = body[size:]
        return {"status": "done"}

    def _do_cell(self, header: dict[str, Any], body: memoryview, pile: Pile) -> dict[str, Any]:
        """Run a cell."""
        status = self._shell.run(header["code"])
        return {"status": status, "count": self._shell.execution_count - 1}

    def _do_bind(self, header: dict[str, Any], body: memoryview, pile: Pile) -> dict[str, Any]:
        """Hand over what stands under a name."""
        if header["name"] not in self._shell.user_ns:
            return {"status": "absent"}
        return {"status": "returned", "value": encode(self._shell.user_ns[header["name"]], pile, self._handle)}

    def _do_lock(self, header: dict[str, Any], body: memoryview, pile: Pile) -> dict[str, Any]:
        """Begin with an exercise: lock these functions of the library, and no others."""
        self._lock.close()
        self._known.clear()
        self._lock.enter_context(locked(header["names"]) if header["names"] else nullcontext())
        return {"status": "done"}

    def _do_read(self, header: dict[str, Any], body: memoryview, pile: Pile) -> dict[str, Any]:
        """Hand over the content of a file that an answer names."""
        path = Path(header["path"])
        if not path.is_file():
            return {"status": "absent"}
        if path.stat().st_size > header["most"]:
            return {"status": "too-large", "size": path.stat().st_size}
        content = torch.frombuffer(bytearray(path.read_bytes() or b"\0"), dtype=torch.uint8)
        pile.add(content)
        return {"status": "done", "size": path.stat().st_size}

    def _do_call(self, header: dict[str, Any], body: memoryview, pile: Pile) -> dict[str, Any]:
        """Call an answer."""
        self._forget(header)
        (positional, keywords), things = arguments.read(header["given"], body, self._objects, self._known)
        before = arguments.Before(things)
        inputs = [t for t in things.tensors if t.requires_grad]
        function = self._objects[header["handle"]]
        with torch.set_grad_enabled(header["gradients"]):
            told = self._answered(lambda: function(*positional, **keywords), inputs, pile)
        return {**told, "changes": before.changes(pile, self._handle)}

    def _do_network(self, header: dict[str, Any], body: memoryview, pile: Pile) -> dict[str, Any]:
        """Call a network of the student's own, with the weights that the judge has for it."""
        self._forget(header)
        (weights, positional, keywords), things = arguments.read(header["given"], body, self._objects, self._known)
        inputs = [t for t in things.tensors if t.requires_grad]
        network = self._objects[header["handle"]]
        network.train(header["training"])

        def call() -> object:
            return torch.func.functional_call(network, weights, tuple(positional), keywords)

        before = arguments.Before(things)
        with torch.set_grad_enabled(header["gradients"]):
            told = self._answered(call, inputs, pile)
        return {**told, "changes": before.changes(pile, self._handle)}

    def _do_vjp(self, header: dict[str, Any], body: memoryview, pile: Pile) -> dict[str, Any]:
        """The product of a vector with the Jacobian of an earlier call."""
        numbers, _ = unpile(header["given"], body)
        outputs, inputs = self._nodes[header["node"]]
        pairs = [(output, numbers[at]) for output, at in zip(outputs, header["at"], strict=True) if at is not None]
        found = torch.autograd.grad(
            [output for output, _ in pairs], inputs, [v for _, v in pairs], retain_graph=True, allow_unused=True
        )
        return {"status": "returned", "at": [None if g is None else pile.add(g) for g in found]}

    def _answered(self, call: Any, inputs: list[Tensor], pile: Pile) -> dict[str, Any]:
        """What a call gave; where gradients can flow back through it, under the number of a node."""
        tail = Tail(PRINTED)
        with redirect_stdout(tail), redirect_stderr(Tail(0)):
            try:
                value = call()
            except BaseException as error:
                return {"status": "raised", "error": encode_error(error), "printed": tail.text}
        tree = encode(value, pile, self._handle)
        outputs = [t for t in pile.tensors if t.requires_grad]
        node = None
        if outputs and inputs:
            node, self._next = self._next, self._next + 1
            self._nodes[node] = outputs, inputs
        return {"status": "returned", "value": tree, "node": node, "printed": tail.text}

    def _forget(self, header: dict[str, Any]) -> None:
        for node in header["forget"]:
            self._nodes.pop(node, None)


def _json(value: Any) -> Any:
    """What JSON can hold of display data."""
    if isinstance(value, dict):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def warm() -> Shell:
    """Do once what every submission would have to wait for, and return the shell that it will use."""
    import matplotlib.pyplot
    import safetensors.torch  # noqa: F401
    import scipy.special  # noqa: F401
    import sklearn.datasets  # noqa: F401
    import sympy  # noqa: F401
    import tqdm.auto  # noqa: F401

    tensors.warm()
    shell = Shell.instance()
    shell.run_cell("import genmodels.checks, numpy", store_history=False)
    matplotlib.pyplot.close(matplotlib.pyplot.figure())
    return shell


def main(sock: socket.socket, shell: Shell) -> None:
    """Serve one submission on a connected socket; does not return."""
    try:
        Student(Channel(sock), shell).serve()
    finally:
        os._exit(1)


if __name__ == "__main__":
    # Without a sandbox: a process for one submission, which calls back to the port that it is told, with a token.
    _connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    _connection.sendall(bytes.fromhex(os.environ.pop("STUDENT_TOKEN")))
    main(_connection, warm())
