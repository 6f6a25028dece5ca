"""The one error that a user can mend."""


class InputError(Exception):
    """The error that a user's input is wrong; the message says what, where, and what would be right."""
