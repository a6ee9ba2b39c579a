"""Parts of a job that several processes or machines share: which samples belong to a part, and which parts are there.

A part is a run of neighbours, so that the results of all parts, one after the other, are in the order of the whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from earthreason.errors import EarthReasonError

MOST_SHARDS = 100_000
_FORM = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")


@dataclass(frozen=True)
class Shard:
    """One of several parts of equal size.

    Attributes:
        number: number of the part, from 1.
        count: number of parts.

    >>> [list(Shard(number, 3).items_of(7)) for number in (1, 2, 3)]
    [[0, 1], [2, 3], [4, 5, 6]]
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read a part as users write it.

        Raises:
            EarthReasonError: the text is not `I/N`, or there is no such part.

        >>> Shard.parse("2/4")
        Shard(number=2, count=4)
        """
        match = _FORM.fullmatch(text.strip())
        if match is None:
            raise EarthReasonError(f"--shard {text!r}: write I/N, such as 2/4 for the second of four parts")
        number, count = int(match[1]), int(match[2])
        if not 1 <= count <= MOST_SHARDS:
            raise EarthReasonError(f"--shard {text}: the number of parts is from 1 to {MOST_SHARDS:,}")
        if not 1 <= number <= count:
            raise EarthReasonError(f"--shard {text}: parts count from 1, so I is from 1 to {count}")
        return cls(number, count)

    @classmethod
    def of_option(cls, text: str | None) -> Shard | None:
        """Return the part that the option `--shard` names; None if it is not given."""
        return None if text is None else cls.parse(text)

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def items_of(self, total: int) -> range:
        """Return the numbers of the items in this part, from 0, in the order of all `total` items.

        The sizes of parts differ by 1 at most. Some parts are empty if there are more parts than items.
        """
        return range((self.number - 1) * total // self.count, self.number * total // self.count)


def check_complete(parts: Iterable[tuple[str, Shard]]) -> None:
    """Check that every part of one whole is there once.

    Args:
        parts: name of each file or folder, and the part in it.

    Raises:
        EarthReasonError: there are none, they are of different wholes, or a part is missing or given twice; names it.
    """
    names: dict[Shard, str] = {}
    for name, shard in parts:
        if shard in names:
            raise EarthReasonError(f"part {shard} is given twice, in {names[shard]} and in {name}; leave one out")
        names[shard] = name
    if not names:
        raise EarthReasonError("there are no parts to merge")
    first = next(iter(names))
    other = next((shard for shard in names if shard.count != first.count), None)
    if other is not None:
        raise EarthReasonError(
            f"{names[other]} is part {other}, but {names[first]} is part {first}; merge the parts of one division"
        )
    missing = [str(part) for number in range(1, first.count + 1) if (part := Shard(number, first.count)) not in names]
    if missing:
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise EarthReasonError(f"missing parts: {shown}; make them, then merge")
