"""What attacks on the judge's channel begin with: the socket, found by probing, and the object that serves it."""

import gc
import json
import os
import stat
import struct

from inside.student import Student

WIRE = next(n for n in range(3, 256) if stat.S_ISSOCK(os.fstat(n).st_mode))
student = next(thing for thing in gc.get_objects() if isinstance(thing, Student))


def write(data):
    """Write to the judge whatever it is."""
    data = memoryview(data)
    while data:
        data = data[os.write(WIRE, data) :]


def frame(header, body=b"", header_size=None, body_size=None):
    """A frame with a header as it stands, and sizes that need not be true."""
    sizes = len(header) if header_size is None else header_size, len(body) if body_size is None else body_size
    return struct.pack("!II", *sizes) + header + body


def lie(alter):
    """Pass each reply to a call of an answer through ``alter``: (header, body) → (header, body)."""
    honest = student._channel.send

    def send(header, body=b"", deadline=None):
        if "reply" in header and ("changes" in header or "at" in header):
            header, body = alter(header, body)
        honest(header, body, deadline)

    student._channel.send = send


def claim(**parts):
    """Put these parts in the place of what each reply says."""
    lie(lambda header, body: ({**header, **parts}, body))


def one_tensor(body=b"", **about):
    """Claim that a tensor came back that is described like that."""
    about = {"dtype": "float32", "shape": [3], "requires_grad": False, "parameter": False, **about}
    lie(
        lambda header, _: (
            {**header, "tensors": [about], "value": ["tensor", 0], "node": None, "changes": nothing()},
            body,
        )
    )


def nothing():
    """The changes of a call that changed nothing, for four tensors without gradients."""
    return {"tensors": [[None, None, False]] * 4, "networks": [], "optimizers": [], "generators": [None]}


def kl_normal(mu_q, logvar_q, mu_p, logvar_p):
    return mu_q.sum(1) + logvar_q.sum(1)
