"""A sample on its way through the stages."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from earthreason.data.schema import Record
from earthreason.questions.ledger import Call, SampleKey
from earthreason.questions.prompting.pictures import TargetView, picture_urls, view_record
from earthreason.questions.types import Hints


class UnusableSampleError(ValueError):
    """A sample's image or mask cannot be used."""


@dataclass
class Trail:
    """A sample, the calls made for it, and its encoded pictures, which several stages send.

    Attributes:
        split, record, hints: the sample.
        pixels: digests of image and mask, as they are part of the keys of calls.
        view: how the target is shown.
        calls: the calls by which the sample came this far.
        paid: number of them paid for in this run.
        shared: number of them that another sample of this run asked for.
    """

    split: str
    record: Record
    hints: Hints
    pixels: str
    view: TargetView
    calls: list[Call] = field(default_factory=list)
    paid: int = 0
    shared: int = 0
    _encoding: asyncio.Future[dict[str, str]] | None = None

    @property
    def sample(self) -> SampleKey:
        """Split and id."""
        return self.split, self.record.sample_id

    async def pictures(self, kinds: Sequence[str], pool: ThreadPoolExecutor) -> list[str]:
        """Return data URLs of the sample's pictures; all that any stage sends are encoded at the first call.

        Raises:
            UnusableSampleError: image or mask is unreadable.
        """
        if not kinds:
            return []
        if self._encoding is None:
            loop = asyncio.get_running_loop()
            kinds_of_all = ("image",) if self.hints.absent else self.view.kinds
            self._encoding = loop.run_in_executor(pool, _encode, self.record, kinds_of_all, self.view)
        urls = await self._encoding
        return [urls[kind] for kind in kinds]


def encoding_pool() -> ThreadPoolExecutor:
    """Make threads that encode pictures: more than processors would only take turns."""
    return ThreadPoolExecutor(min(4, os.cpu_count() or 1), "pictures")


def digest_pixels(record: Record) -> str:
    """Hash image and mask.

    Raises:
        DataFormatError: the mask is hidden.
    """
    return "".join(hashlib.sha256(encoded).hexdigest() for encoded in (record.image, record.mask))


async def look(record: Record, absent: bool, pool: ThreadPoolExecutor) -> tuple[str, TargetView]:
    """Return the digests of a sample's pixels, and how its target is shown.

    Raises:
        UnusableSampleError: the mask is unreadable or hidden.
    """

    def work() -> tuple[str, TargetView]:
        return digest_pixels(record), TargetView() if absent else view_record(record)

    try:
        return await asyncio.get_running_loop().run_in_executor(pool, work)
    except Exception as error:  # Pillow has no common class for what may be wrong with a file
        raise UnusableSampleError(f"its mask cannot be used ({error})") from error


def _encode(record: Record, kinds: Sequence[str], view: TargetView) -> dict[str, str]:
    try:
        return dict(zip(kinds, picture_urls(record, kinds, view), strict=True))
    except Exception as error:
        raise UnusableSampleError(f"its image or mask cannot be used ({error})") from error
