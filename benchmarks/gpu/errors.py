"""What can be wrong with the use of the kit."""


class KitError(Exception):
    """One line that says what is wrong, where, and what to do; the command ends with exit code 2."""
