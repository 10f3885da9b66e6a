"""What runs inside a student's kernel to test one answer. Keep its imports few: it is loaded once for each kernel."""

import contextlib
import importlib
import io
import json
from typing import Any

SHOWN = 2000  # characters of what an answer prints while it is tested


def verdict(exercise: str, namespace: dict[str, Any], public: str, hidden: str | None, seed: int) -> str:
    """Test ``namespace[exercise]`` with the public check, then the hidden ones, and tell the result as JSON.

    ``status`` is "passed", "failed", or "broken" when the checks themselves went wrong, which is no fault of the
    answer's; ``message`` is for the student in the first two cases, for the instructor in the third.
    """
    printed = io.StringIO()
    status, message = "passed", ""
    try:
        checks = importlib.import_module(public)
        run_hidden = None if hidden is None else importlib.import_module(hidden).run_hidden
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
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
    except SystemExit:
        status, message = "failed", f"{exercise} ended the program (SystemExit)."
    except BaseException as error:
        status, message = "broken", f"the checks of {exercise} raised {type(error).__name__}: {error}"
    text = printed.getvalue() if status == "passed" else ""
    return json.dumps({"status": status, "message": message, "printed": text[-SHOWN:]})
