"""Ctrl-C for programs that tests start."""

import signal


def hear_interrupts():
    """Undo what a shell does to programs in the background, in case the tests run there: they ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
