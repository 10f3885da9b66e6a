"""Release, grade and report the assignments, on nbgrader's notebook format, gradebook and feedback.

``python -m autograder --help`` lists the commands. The modules by the road of an assignment:

- to the students: ``source`` reads the hand-edited ``solutions/<assignment>/*.py``, ``release`` makes
  ``notebooks/<assignment>/*.ipynb`` of it, ``template`` reads such a notebook again;
- one submission: ``submission`` reads what came back and mends it, ``sandbox`` starts a process for its code (what runs
  in there is ``inside/``), ``remote`` is the judge's view of that process, ``execute`` runs the cells and the checks,
  ``grade`` turns that into a ``results.Result``, and ``judge`` does all of this in a process that can be killed;
- a class: ``classroom`` grades what has changed, through ``cluster``, as ``parcel``s; ``gradebook`` writes it down in a
  ``course`` folder;
- for people: ``marks`` reads what was earned, for ``export``, ``report`` (with ``similarity`` and ``reach``) and
  ``feedback``; ``roster`` and ``lateness`` know who and when; ``doctor`` is the students' own.
"""

import importlib
import sys


def _import_jsonschema_fast() -> None:
    """Import jsonschema without the grammar of internationalized addresses.

    It parses that grammar as it is imported, which takes a second in every process, for a format that no notebook has.
    """
    if "jsonschema" in sys.modules or "rfc3987_syntax" in sys.modules:
        return
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]  # as if it were not installed
    try:
        importlib.import_module("jsonschema")
    finally:
        del sys.modules["rfc3987_syntax"]


_import_jsonschema_fast()
