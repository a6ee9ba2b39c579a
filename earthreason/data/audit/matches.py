"""Matches of keypoints between all images: a table of random bits finds candidates, a common pose keeps them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earthreason.data.audit.looks import Look, mirrored_bits

_TABLES = 12
_KEY_BITS = 22
_NEAR = 20
"""Maximum number of differing bits, of 128, in keypoints of the same place; unrelated ones differ in 58 on average."""
_NEIGHBOURS = 32
"""How many others with the same key a keypoint is compared with; textures that repeat everywhere have more."""
_AT_LEAST = 4
_FAR = 8.0
"""Pixels that a keypoint may miss its partner by, under the pose of another match."""
_TWIST = 0.4
"""How much the poses of two matches may differ, relative to the pose."""
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Matches:
    """Matched keypoints of two images, `first` mirrored left to right if `mirrored`.

    Attributes:
        first: number of an image.
        second: number of a later image.
        mirrored: whether positions in `first` are those in its mirrored frame.
        at: (2, n) complex: positions in `first` and in `second`.
        arm: (2, n) complex: sizes and directions of the keypoints in `first` and in `second`.
    """

    first: int
    second: int
    mirrored: bool
    at: NDArray[np.complex128]
    arm: NDArray[np.complex128]


def match_all(looks: Sequence[Look]) -> Iterator[Matches]:
    """Yield every two images of which four or more keypoints match under one shift, turn and scale."""
    image = np.repeat(np.arange(len(looks)), [len(look.at) for look in looks])
    if not len(image):
        return
    bits = np.concatenate([look.bits for look in looks])
    at, arm = (np.concatenate([getattr(look, name) for look in looks]) for name in ("at", "arm"))
    width = np.array([look.frame[1] for look in looks])
    one, two = _similar(image, bits)
    mirrored = two >= len(image)
    first, second = np.where(mirrored, two % len(image), one), np.where(mirrored, one, two)
    code = (image[first] * len(looks) + image[second]) * 2 + mirrored
    order = np.argsort(code, kind="stable")
    starts = np.flatnonzero(np.diff(code[order], prepend=-1))
    counts = np.diff(starts, append=len(order))
    for count in np.unique(counts[counts >= _AT_LEAST]):
        of_count = starts[counts == count]
        share = max(1, _BLOCK // int(count) ** 2)
        for block in (of_count[n : n + share] for n in range(0, len(of_count), share)):
            chosen = order[block[:, None] + np.arange(count)]
            a, b, flip = first[chosen], second[chosen], mirrored[chosen]
            places = np.stack([np.where(flip, width[image[a]] - 1 - at[a].conj(), at[a]), at[b]])
            arms = np.stack([np.where(flip, -arm[a].conj(), arm[a]), arm[b]])
            agree = _agree(places, arms)
            best = agree[np.arange(len(agree)), agree.sum(axis=2).argmax(axis=1)]
            for row in np.flatnonzero(best.sum(axis=1) >= _AT_LEAST):
                kept = best[row]
                pair = int(image[a[row, 0]]), int(image[b[row, 0]]), bool(flip[row, 0])
                yield Matches(*pair, places[:, row, kept], arms[:, row, kept])


def _agree(places: NDArray[np.complex128], arms: NDArray[np.complex128]) -> NDArray[np.bool_]:
    """Whether, in each row of (2, rows, n) matches, the pose of one match fits each other one: (rows, n, n)."""
    (a, b), pose = places, arms[1] / arms[0]
    own = pose[:, :, None]
    miss = np.abs(own * (a[:, None] - a[:, :, None]) + b[:, :, None] - b[:, None])
    return (miss < _FAR * np.maximum(1, np.abs(own))) & (np.abs(pose[:, None] / own - 1) < _TWIST)


def _similar(image: NDArray[np.intp], bits: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of keypoints of different images with nearly equal bits; mirrored ones are numbered from len(image) on."""
    both = np.concatenate([bits, mirrored_bits(bits)])
    words = both.view(np.uint64)
    total = len(image)
    chance = np.random.default_rng(0)
    found = [np.zeros(0, np.int64)]
    for _ in range(_TABLES):
        key = np.zeros(len(both), np.uint32)
        for place, bit in enumerate(chance.choice(128, _KEY_BITS, replace=False)):
            key |= (both[:, bit >> 3] >> (7 - (bit & 7)) & 1).astype(np.uint32) << np.uint32(place)
        order = np.argsort(key, kind="stable")
        key = key[order]
        near = []
        for step in range(1, _NEIGHBOURS + 1):
            same = np.flatnonzero(key[step:] == key[:-step])
            one, two = order[same], order[same + step]
            # A mirrored first image beside a plain second one is the same as the reverse: keep each pair once.
            two_image = image[two % total]
            keep = (one < total) & np.where(
                two < total, image[one % total] != two_image, image[one % total] > two_image
            )
            one, two = one[keep], two[keep]
            differ = np.bitwise_count(words[one] ^ words[two]).sum(axis=1)
            near.append((one * (2 * total) + two)[differ <= _NEAR])
        found.append(np.concatenate(near))
    code = np.unique(np.concatenate(found))
    return code // (2 * total), code % (2 * total)
