"""Names as its weights a path that leads out of the judge's folder.

Exercise: digits_weights
Outcome: graded
Prelude: wire
"""

PATHS = iter(["../../../..", "..", ".", "/etc/passwd", "a/" * 3000, "\0", "x" * 300, "../escaped.safetensors"] * 50)


def digits_weights():
    return next(PATHS)
