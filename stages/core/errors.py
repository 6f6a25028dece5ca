"""The one error that a user can mend."""


class InputError(Exception):
    """Something that the user gave is wrong; the message says what, where, and what would be right."""
