"""What runs on the student's side of the wall: it holds no check, no solution and no secret.

The grader starts it in a sandbox as the top-level package ``inside``, so nothing here imports the rest of the grader.
Whatever it sends may have been made by the student's code: the judge believes none of it.
"""
