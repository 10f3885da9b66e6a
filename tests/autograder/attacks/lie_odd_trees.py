"""Gives back trees that are no values, another at each call.

Exercise: kl_normal
Outcome: tampered
Prelude: wire
"""

import itertools

TREES = itertools.cycle(
    [
        ["int", "7"],
        ["float", True],
        ["tensor", -1],
        ["tensor", float("nan")],
        ["network", 1],
        ["nothing"],
        [],
        7,
        ["dict", [["list"], ["none"]]],
        ["set", ["list"]],
        ["function", "x", 1],
        ["sympy", ["Symbol", "x"]],
        None,
        ["str", ["str"]],
        ["path", {}],
        ["other"],
        ["network", 1, "x", True, [["w", 1, 99, True]]],
    ]
)
lie(lambda header, body: ({**header, "value": next(TREES)}, body))
