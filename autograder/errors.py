"""The exceptions that the command line shows as a single line."""


class UserError(Exception):
    """Something that the person at the keyboard can put right; its text says what, and how."""


class CourseError(UserError):
    """The course folder can't be written: no student's fault, so it ends the run, and what was graded is kept."""
