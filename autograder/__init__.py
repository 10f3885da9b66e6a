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
