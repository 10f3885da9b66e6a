"""What runs inside a student's kernel to test answers.

``prepare`` comes before the student's first cell, in an empty folder. It imports the checks and takes them out of
``sys.modules``, so that what a notebook does to ``genmodels.checks`` it does to a copy; it remembers the functions of
the libraries that the checks use, so that one which a notebook replaces is put back for the length of a test; and it
gets a key, with which each verdict is signed. All of this happens in one process with the student's code, so it stops
accidents and shortcuts, and not somebody who reads this file and means to get past it.
"""

import contextlib
import hashlib
import hmac
import importlib
import io
import json
import sys
from collections.abc import Callable
from types import FunctionType, SimpleNamespace
from typing import Any

SHOWN = 2000  # characters of what an answer prints while it is tested
OWN = ("genmodels", "autograder")
# What checks compute with: these modules and those below them. Other parts of torch put wrappers around their own
# classes' methods while they are in use.
GUARDED = (
    *("contextlib", "functools", "importlib", "io", "numpy", "pathlib", "safetensors", "scipy.special", "sympy"),
    *("torch._tensor", "torch.autograd", "torch.distributions", "torch.functional", "torch.linalg", "torch.nn"),
    *("torch.random", "torch.special"),
)
# What they compare and answer with: looked at after each call of an answer, and therefore few.
NEAR = {"builtins", "math", "torch", "json", "hmac", "hashlib"}
PASSING = {"input"}  # ipykernel sets it anew for each cell

Check = Callable[[str, object], None]
RunHidden = Callable[[str, object, int], None]


class _Tail(io.TextIOBase):
    """Keeps the end of what is written to it: an answer that prints without end must not fill the memory."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text = (self.text + text)[-SHOWN:]
        return len(text)


def prepare(public: str, hidden: str | None, key: str) -> None:
    """Get ready to test answers; call it before any of the student's code runs.

    Afterwards this module's name in ``sys.modules`` leads to an object with one attribute,
    ``judge(exercise, namespace, seed, nonce)``, which gives a verdict as JSON, and its signature.
    """
    check: Check | None = None
    run_hidden: RunHidden | None = None
    problem = ""
    try:
        check = importlib.import_module(public).check
        run_hidden = None if hidden is None else importlib.import_module(hidden).run_hidden
    except Exception as error:
        problem = f"the checks can't be imported: {type(error).__name__}: {error}"
    own = {*OWN, *(name.split(".")[0] for name in (public, hidden) if name)}
    for name in [name for name in sys.modules if name.split(".")[0] in own]:
        del sys.modules[name]
    below = tuple(f"{name}." for name in GUARDED)
    put_back = _guard(sys.modules, {*NEAR, *(name for name in sys.modules if f"{name}.".startswith(below))})
    put_back_near = _guard(sys.modules, NEAR)
    set_trace, set_profile = sys.settrace, sys.setprofile

    def judge(exercise: str, namespace: dict[str, Any], seed: int, nonce: str) -> str:
        set_trace(None)
        set_profile(None)
        replaced = put_back()
        if check is None or problem:
            told = {"status": "broken", "message": problem, "printed": ""}
        else:
            told = verdict(exercise, namespace, check, run_hidden, seed, put_back_near)
            put_back_near()
        text = json.dumps({**told, "replaced": replaced})
        return json.dumps([text, sign(key, nonce, text)])

    sys.modules[__name__] = SimpleNamespace(judge=judge)  # type: ignore[assignment]


def sign(key: str, nonce: str, text: str) -> str:
    """What shows that a verdict is ours and is the one asked for."""
    return hmac.new(key.encode(), f"{nonce}\n{text}".encode(), hashlib.sha256).hexdigest()


def verdict(
    exercise: str,
    namespace: dict[str, Any],
    check: Check,
    run_hidden: RunHidden | None,
    seed: int,
    after_each_call: Callable[[], object] = lambda: None,
) -> dict[str, str]:
    """Test ``namespace[exercise]`` with the public check, then the hidden ones.

    ``status`` is "passed", "failed", or "broken" when the checks themselves went wrong, which is no fault of the
    answer's; ``message`` is for the student in the first two cases, for the instructor in the third.
    """
    printed = _Tail()
    status, message = "passed", ""
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(_Tail()):
            if exercise not in namespace:
                status, message = "failed", f"{exercise} is not defined: its cell is missing, or it raised an error."
            else:
                answer = _followed_by(after_each_call, namespace[exercise])
                check(exercise, answer)
                if run_hidden is not None:
                    run_hidden(exercise, answer, seed)
    except AssertionError as error:  # CheckFailed, whose text is written for the student
        status, message = "failed", str(error)
    except KeyboardInterrupt:  # the time limit
        raise
    except Exception as error:  # the checks turn whatever an answer raises into CheckFailed, so this is theirs
        status, message = "broken", f"the checks of {exercise} raised {type(error).__name__}: {error}"
    except BaseException as error:  # SystemExit, or one of the answer's own making
        status, message = "failed", f"{exercise} ended the program ({type(error).__name__})."
    return {"status": status, "message": message, "printed": printed.text if status == "passed" else ""}


def _followed_by(after: Callable[[], object], answer: Any) -> Any:
    """The answer as a function that is the same but for what follows each call; anything else as it is."""
    if not callable(answer):
        return answer

    def call(*arguments: Any, **keywords: Any) -> Any:
        try:
            return answer(*arguments, **keywords)
        finally:
            after()

    return call


def _guard(modules: dict[str, Any], names: set[str]) -> Callable[[], list[str]]:
    """Remember the functions and classes of these modules, and give back a function that puts them back.

    What that puts back it names. It calls nothing by a global name, since that may be what was replaced.
    """
    spaces: list[tuple[str, dict[str, Any], dict[str, Any], frozenset[str]]] = []
    classes: dict[type, dict[str, Any]] = {}
    bodies: dict[Any, tuple[Any, Any, Any]] = {}
    for name, module in list(modules.items()):
        if name not in names or not hasattr(module, "__dict__"):
            continue
        kept = {key: value for key, value in vars(module).items() if callable(value) and key not in PASSING}
        spaces.append((name, vars(module), kept, frozenset(vars(module))))
        for value in kept.values():
            if isinstance(value, type) and value.__module__ in names:
                methods = (FunctionType, staticmethod, classmethod, property)
                classes[value] = {k: v for k, v in vars(value).items() if callable(v) or isinstance(v, methods)}
    for kept in (*(space[2] for space in spaces), *classes.values()):
        for value in kept.values():
            if isinstance(value, FunctionType):
                bodies[value] = value.__code__, value.__defaults__, value.__kwdefaults__
    # Which function computes a divergence stands in tables that anybody may write to.
    tables = modules.get("torch.distributions.kl")
    divergences, found_divergences = getattr(tables, "_KL_REGISTRY", {}), getattr(tables, "_KL_MEMOIZE", {})
    kept_divergences = dict(divergences)
    methods_of = {cls: frozenset(vars(cls)) for cls in classes}
    builtin_names = frozenset(vars(modules["builtins"]))
    set_attribute, delete_attribute = type.__setattr__, type.__delattr__

    def put_back() -> list[str]:
        replaced = []
        for place, space, kept, known in spaces:
            for key, value in kept.items():
                if space.get(key) is not value:
                    space[key] = value
                    replaced.append(f"{place}.{key}")
            # A global of a builtin's name would hide that from the module's own functions.
            for key in builtin_names & (space.keys() - known):
                del space[key]
                replaced.append(f"{place}.{key}")
        for cls, kept in classes.items():
            now = cls.__dict__
            for key, value in kept.items():
                if now.get(key) is not value:
                    set_attribute(cls, key, value)
                    replaced.append(f"{cls.__module__}.{cls.__qualname__}.{key}")
            # A method of that name would hide the one that the class inherits.
            for key in now.keys() - methods_of[cls]:
                for base in cls.__mro__[1:]:
                    if key in base.__dict__ and key in now:
                        delete_attribute(cls, key)
                        replaced.append(f"{cls.__module__}.{cls.__qualname__}.{key}")
        found_divergences.clear()
        for key, value in kept_divergences.items():
            if divergences[key] is not value:
                divergences[key] = value
                replaced.append(f"torch.distributions.{value.__qualname__}")
        for function, (code, defaults, keywords) in bodies.items():
            if function.__code__ is not code or function.__defaults__ is not defaults:
                function.__code__, function.__defaults__, function.__kwdefaults__ = code, defaults, keywords
                replaced.append(function.__qualname__)
        return replaced

    return put_back
