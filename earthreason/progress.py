"""Progress bars and spinners, which only a person at a terminal sees.

They are off when standard error is not a terminal, and when `NO_COLOR` or `TQDM_DISABLE` is set; `-q` sets the latter.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm import tqdm

_STEPS = "HF_DATASETS_DISABLE_PROGRESS_BARS"
"""Variable that switches off the bars of `datasets`, if it is set before that is imported: they show its inner steps,
each for a moment."""
_TQDM = "TQDM_DISABLE"
"""Variable that switches off ours, and by default all bars of tqdm."""
_OTHERS = (_TQDM, "HF_HUB_DISABLE_PROGRESS_BARS")
"""Variables that likewise switch off those of tqdm, and those of `huggingface_hub` and `transformers`."""
_TURNING: ContextVar[tuple[Any, ...]] = ContextVar("spinners that turn now, the innermost last", default=())


def are_shown() -> bool:
    """Return whether bars and spinners are shown."""
    terminal = sys.stderr is not None and sys.stderr.isatty()
    return terminal and not (os.environ.get("NO_COLOR") or os.environ.get(_TQDM))


def set_quiet(quiet: bool) -> None:
    """Say whether the user asked for quiet, and switch off the bars of other libraries where ours are off.

    Call it once, before libraries with bars are imported. Processes that this one starts inherit the setting. What the
    user set for a library stays.
    """
    if quiet:
        os.environ[_TQDM] = "1"
    for variable in (_STEPS, *(() if are_shown() else _OTHERS)):
        os.environ.setdefault(variable, "1")


@contextmanager
def progress_bar(*, shown: bool = True, **settings: Any) -> Iterator[tqdm[Any]]:
    """Show a bar until the block ends; without a terminal, the same object shows nothing.

    Args:
        shown: False for a process that leaves the bar to another.
        settings: keywords of `tqdm`, such as `total`, `unit` and `desc`.
    """
    from tqdm import tqdm

    visible = shown and are_shown()
    with without_spinner() if visible else nullcontext(), tqdm(disable=not visible, **settings) as bar:
        yield bar


@contextmanager
def without_spinner() -> Iterator[None]:
    """Stop the spinner until the block ends, for bars of other libraries: both would write to one line."""
    stopped = _TURNING.get()
    for shown in stopped:
        shown.stop()
    try:
        yield
    finally:
        for shown in stopped:
            shown.start()


@contextmanager
def spinner(make: Callable[[], Any]) -> Iterator[None]:
    """Show a spinner until the block ends, except while a bar is shown.

    Args:
        make: makes a spinner with `start` and `stop`, such as the `Status` of rich.
    """
    if not are_shown():
        yield
        return
    shown = make()
    before = _TURNING.set((*_TURNING.get(), shown))
    shown.start()
    try:
        yield
    finally:
        _TURNING.reset(before)
        shown.stop()
