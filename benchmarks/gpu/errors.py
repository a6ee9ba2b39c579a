"""The error that the kit reports to its users."""


class KitError(Exception):
    """An error with a one-line message: what is wrong, where, and what to do. The command exits with code 2."""
