"""The error that the kit reports to its users."""


class KitError(Exception):
    """An error whose one line says what is wrong, where, and what to do; the command exits with code 2."""
