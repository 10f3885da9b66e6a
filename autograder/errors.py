"""The one exception that the command line shows as a single line."""


class UserError(Exception):
    """Something that the person at the keyboard can put right; its text says what, and how."""
