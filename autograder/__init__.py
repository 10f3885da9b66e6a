"""Release, grade and report the assignments, on nbgrader's notebook format, gradebook and feedback.

``python -m autograder --help`` lists the commands. The road of one assignment: ``source`` reads the hand-edited
``solutions/<assignment>/*.py``; ``release`` makes ``notebooks/<assignment>/*.ipynb`` of it; ``submission`` reads what
came back; ``execute`` runs it; ``grade`` turns that into a ``results.Result``; ``gradebook`` writes it down.
"""
