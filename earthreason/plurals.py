"""Numbers with their nouns, for messages."""

from __future__ import annotations


def count_of(number: int, noun: str, plural: str | None = None) -> str:
    """Write a number and its noun: "1 row", "2,000 rows", "3 copies".

    Args:
        number: how many.
        noun: singular; words after the one that changes may follow a space if `plural` is given.
        plural: plural where it is not the singular with an "s", or with "ies" for a "y" after a consonant.
    """
    if number == 1:
        return f"1 {noun}"
    if plural is None:
        plural = f"{noun[:-1]}ies" if noun.endswith("y") and noun[-2:-1] not in "aeiou" else f"{noun}s"
    return f"{number:,} {plural}"
