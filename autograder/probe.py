"""What runs inside a student's kernel to test one answer. Keep its imports few: it is loaded once for each kernel."""

import contextlib
import importlib
import io
import json
from typing import Any

SHOWN = 2000  # characters of what an answer prints while it is tested


class _Tail(io.TextIOBase):
    """Keeps the end of what is written to it: an answer that prints without end must not fill the memory."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text = (self.text + text)[-SHOWN:]
        return len(text)


def verdict(exercise: str, namespace: dict[str, Any], public: str, hidden: str | None, seed: int) -> str:
    """Test ``namespace[exercise]`` with the public check, then the hidden ones, and tell the result as JSON.

    ``status`` is "passed", "failed", or "broken" when the checks themselves went wrong, which is no fault of the
    answer's; ``message`` is for the student in the first two cases, for the instructor in the third.
    """
    printed = _Tail()
    status, message = "passed", ""
    try:
        checks = importlib.import_module(public)
        run_hidden = None if hidden is None else importlib.import_module(hidden).run_hidden
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(_Tail()):
            if exercise not in namespace:
                status, message = "failed", f"{exercise} is not defined: its cell is missing, or it raised an error."
            else:
                answer = namespace[exercise]
                checks.check(exercise, answer)
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
    return json.dumps({"status": status, "message": message, "printed": printed.text if status == "passed" else ""})
