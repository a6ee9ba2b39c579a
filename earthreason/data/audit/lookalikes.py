"""Images that show the same scene: copies, crops, flips, turns and overlapping tiles.

Two routes find candidates: keypoints that match under one shift, turn and scale (SIFT; Lowe, 2004), and perceptual
hashes of the whole image in its eight flips and turns, for images without texture. A candidate counts only if the two
thumbnails agree where the images overlap, so a repeated roof or a common logo is no copy.
"""

from __future__ import annotations

import cmath
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn

from earthreason.data.audit.looks import SIDE, THUMBNAIL, Look, mirrored_bits
from earthreason.data.audit.matches import Matches, match_all

NEAR = 12
"""Maximum number of differing bits in 256-bit perceptual hashes of similar images; unrelated ones differ in 128."""
_HASH_SIDE = 16
_CLOSE_PX = 3.0
_SAME_BITS = 32
"""Maximum number of differing bits, of 128, in keypoints that lie at the same place under a known pose."""
_ALIKE = 0.9
"""Agreement that two images with similar hashes must reach."""
_WINDOW = (11, 11)
_FLAT = 2.0
"""Standard deviation of grey levels below which an image has no content to compare."""
_WHOLE = 0.93
"""Share of an image that the other covers, from which it is covered wholly."""
_UPRIGHT_DEGREES = 2.5
_LEAST_COVER = 0.3
_ENOUGH = ((0.87, 6, 0.14, _WHOLE), (0.95, 15, 0.4, _LEAST_COVER), (0.95, 20, 0.4, 0.5))
"""Least agreement, keypoints, share and cover: of crops, flips and quarter turns; of shifts; of other turns.

Tuned by benchmarks/lookalikes.py on every second real image and on quarters of 1,200 synthetic scenes.
"""


@dataclass(frozen=True)
class Evidence:
    """How well two images fit under a pose.

    Attributes:
        keypoints: number of keypoints found in both at the same place.
        share: `keypoints` as a share of those in the overlap, in the image that has fewer there.
        agreement: median correlation of the two thumbnails over the windows of the overlap.
        covered: share of each image that the overlap is.
    """

    keypoints: int
    share: float
    agreement: float
    covered: tuple[float, float]


@dataclass(frozen=True)
class Lookalike:
    """Two images that show the same scene.

    Attributes:
        first: number of an image.
        second: number of another image.
        how: how the second is made from the first, such as "flipped left to right"; empty for a plain copy.
        evidence: how well they fit.
    """

    first: int
    second: int
    how: str
    evidence: Evidence = field(compare=False)


@dataclass(frozen=True)
class _Pose:
    """Similarity from the frame of an image, mirrored left to right if `mirrored`, to the frame of another."""

    mirrored: bool
    turn: complex
    move: complex


def find_lookalikes(looks: Sequence[Look]) -> list[Lookalike]:
    """Return the pairs of images that show the same scene, each pair once, in order."""
    found: dict[tuple[int, int], Lookalike] = {}
    for pair in (*_by_keypoints(looks), *_by_hash(looks)):
        found.setdefault((pair.first, pair.second), pair)
    return [found[key] for key in sorted(found)]


def _by_keypoints(looks: Sequence[Look]) -> Iterator[Lookalike]:
    for matches in match_all(looks):
        pose = _fit(matches)
        if pose is None:
            continue
        first, second = matches.first, matches.second
        evidence = _weigh(looks[first], looks[second], pose)
        if evidence is not None and _convinces(evidence, pose):
            how = _describe(looks[first], looks[second], pose, evidence.covered)
            yield Lookalike(first, second, how, evidence)


def _fit(matches: Matches) -> _Pose | None:
    """Fit a pose to matches by least squares; None if too few agree."""
    a, b = matches.at
    scales = matches.arm[1] / matches.arm[0]
    kept = np.ones(len(a), bool)
    for tolerance in (4.0, 2.5):
        if min(len(set(np.round(side[kept]))) for side in (a, b)) < 3:
            return None
        centre_a, centre_b = a[kept].mean(), b[kept].mean()
        spread = a[kept] - centre_a
        turn = complex(np.vdot(spread, b[kept]) / np.vdot(spread, spread))
        move = complex(centre_b - turn * centre_a)
        if not 0.25 < abs(turn) < 4:
            return None
        kept = (np.abs(turn * a + move - b) < tolerance * max(1, abs(turn))) & (np.abs(scales / turn - 1) < 0.5)
    return _Pose(matches.mirrored, turn, move) if kept.sum() >= 3 else None


def _weigh(first: Look, second: Look, pose: _Pose) -> Evidence | None:
    covered = _covered(first, second, pose)
    if max(covered) < _LEAST_COVER:
        return None
    agreement = _agreement(first, second, pose)
    if agreement < min(_ENOUGH)[0]:  # most candidates end here
        return None
    return Evidence(*_common_keypoints(first, second, pose), agreement, covered)


def _convinces(evidence: Evidence, pose: _Pose) -> bool:
    """Whether the evidence suffices. Repeated objects fit in a part of two images, at any angle, so that asks more."""
    upright = abs(_degrees_off(pose.turn)) < _UPRIGHT_DEGREES
    contained = max(evidence.covered) >= _WHOLE
    agreement, keypoints, share, cover = _ENOUGH[0 if upright and contained else 1 if upright else 2]
    return (
        evidence.agreement >= agreement
        and evidence.keypoints >= keypoints
        and evidence.share >= share
        and max(evidence.covered) >= cover
    )


def _common_keypoints(first: Look, second: Look, pose: _Pose) -> tuple[int, float]:
    """Count the keypoints that both images have at the same place, also as a share of those in the overlap."""
    at, bits = first.at, first.bits
    if pose.mirrored:
        at, bits = first.frame[1] - 1 - at.conj(), mirrored_bits(bits)
    mapped = pose.turn * at + pose.move
    back = (second.at - pose.move) / pose.turn
    close = np.abs(mapped[:, None] - second.at) < _CLOSE_PX * max(1, abs(pose.turn))
    differ = np.bitwise_count(bits.view(np.uint64)[:, None] ^ second.bits.view(np.uint64)).sum(axis=2)
    common = _places(at[(close & (differ <= _SAME_BITS)).any(axis=1)])
    inside = [_places(at[_within(mapped, second.frame)]), _places(second.at[_within(back, first.frame)])]
    return common, common / max(1, min(inside))


def _places(at: NDArray[np.complex128]) -> int:
    """Count the places; SIFT has several keypoints at one place if it finds several directions."""
    return len(set(np.round(at)))


def _within(at: NDArray[np.complex128], frame: tuple[int, int]) -> NDArray[np.bool_]:
    return (at.real >= 0) & (at.imag >= 0) & (at.real < frame[1]) & (at.imag < frame[0])


def _agreement(first: Look, second: Look, pose: _Pose) -> float:
    """Correlate the thumbnails where the images overlap."""
    matrix = np.array(
        [[pose.turn.real, -pose.turn.imag, pose.move.real], [pose.turn.imag, pose.turn.real, pose.move.imag], [0, 0, 1]]
    )
    if pose.mirrored:
        matrix = matrix @ np.array([[-1, 0, first.frame[1] - 1], [0, 1, 0], [0, 0, 1.0]])
    matrix = _to_thumbnail(second) @ matrix @ np.linalg.inv(_to_thumbnail(first))
    if abs(pose.turn) >= 1:  # the image that shows less detail is the one to be warped
        way, moving, still = matrix, first.thumbnail, second.thumbnail
    else:
        way, moving, still = np.linalg.inv(matrix), second.thumbnail, first.thumbnail
    overlap = _warp(np.full_like(moving, 255), way, cv2.INTER_NEAREST, cv2.BORDER_CONSTANT) > 0
    growth = abs(float(np.linalg.det(way[:2, :2]))) ** 0.5
    coarser = 0.5 * math.sqrt(max(growth**2 - 1, 0))  # the spread of a pixel that was stretched
    return _correlation(_warp(moving, way), _blur(still, coarser), overlap)


def _covered(first: Look, second: Look, pose: _Pose) -> tuple[float, float]:
    """Return the share of each image that lies in the other."""
    one, two = (
        np.array([0, 1j * height, width + 1j * height, width]) - 0.5 - 0.5j
        for height, width in (first.frame, second.frame)
    )
    moved = pose.turn * one + pose.move  # a mirror maps the frame to itself
    corners = [np.stack([side.real, side.imag], axis=1).astype(np.float32) for side in (moved, two)]
    area = float(cv2.intersectConvexConvex(corners[0], corners[1])[0])
    return area / (math.prod(first.frame) * abs(pose.turn) ** 2), area / math.prod(second.frame)


def _to_thumbnail(look: Look) -> NDArray[np.float64]:
    """Matrix from positions in the frame to positions in the thumbnail; pixel centres are whole numbers in both."""
    y, x = (THUMBNAIL / side for side in look.frame)
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])


def _warp(
    picture: NDArray[np.uint8],
    way: NDArray[np.float64],
    method: int = cv2.INTER_LINEAR,
    edge: int = cv2.BORDER_REPLICATE,
) -> NDArray[np.uint8]:
    return cv2.warpAffine(picture, way[:2], picture.shape, flags=method, borderMode=edge)  # type: ignore[return-value]


def _blur(picture: NDArray[np.uint8], sigma: float) -> NDArray[np.uint8]:
    return cv2.GaussianBlur(picture, (0, 0), sigma) if sigma > 0.3 else picture  # type: ignore[return-value]


def _correlation(one: NDArray[np.uint8], two: NDArray[np.uint8], overlap: NDArray[np.bool_]) -> float:
    """Median over windows of the correlation of two thumbnails, so that one strong edge decides only its own window."""
    a, b = (cv2.GaussianBlur(side.astype(np.float32), (0, 0), 0.7) for side in (one, two))
    weight = cv2.blur(overlap.astype(np.float32), _WINDOW)
    counted = overlap & (weight > 0.6)
    if counted.sum() < 60:
        return 0.0

    def mean(values: Any) -> Any:
        return cv2.blur(values * overlap, _WINDOW)[counted] / weight[counted]

    spread_a, spread_b = (np.maximum(mean(side * side) - mean(side) ** 2, 1) for side in (a, b))
    return float(np.median((mean(a * b) - mean(a) * mean(b)) / np.sqrt(spread_a * spread_b)))


def _by_hash(looks: Sequence[Look]) -> Iterator[Lookalike]:
    """Yield images whose perceptual hashes differ in at most `NEAR` of 256 bits, in one of eight flips and turns."""
    textured = [number for number, look in enumerate(looks) if look.thumbnail.std() >= _FLAT]
    if not textured:
        return
    hashes = _hashes(np.stack([looks[number].thumbnail for number in textured]))
    for row, first in enumerate(textured):
        near = np.bitwise_count(hashes[:, row, None] ^ hashes[0, row + 1 :]).sum(axis=2, dtype=np.uint16) <= NEAR
        for later in np.flatnonzero(near.any(axis=0)):
            second = textured[row + 1 + int(later)]
            ways = [_turn(looks[first].thumbnail, int(way)) for way in np.flatnonzero(near[:, later])]
            fits = [_correlation(moved, looks[second].thumbnail, np.ones(moved.shape, bool)) for moved in ways]
            if max(fits) >= _ALIKE:
                way = int(np.flatnonzero(near[:, later])[int(np.argmax(fits))])
                yield Lookalike(first, second, _turned(way >= 4, way % 4), Evidence(0, 0, max(fits), (1, 1)))


def _turn(thumbnail: NDArray[np.uint8], way: int) -> NDArray[np.uint8]:
    """Mirror a thumbnail left to right if `way` is 4 or more, then turn it clockwise by `way` % 4 quarters."""
    return np.ascontiguousarray(np.rot90(thumbnail[:, ::-1] if way >= 4 else thumbnail, -(way % 4)))


def _hashes(thumbnails: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return (8, n, 4) words: the perceptual hashes of (n, side, side) pictures, in the eight ways of `_turn`.

    The hash is that of imagehash.phash: which of the lowest 16 x 16 frequencies of the cosine transform are above
    their median. A flip changes the sign of odd frequencies, a quarter turn clockwise is a transpose and a flip.
    """
    low = dctn(thumbnails.astype(np.float32), axes=(1, 2))[:, :_HASH_SIDE, :_HASH_SIDE]
    odd = np.where(np.arange(_HASH_SIDE) % 2, -1, 1)
    hashes = []
    for start in (low, low * odd):
        for _ in range(4):
            flat = start.reshape(len(start), -1)
            hashes.append(np.packbits(flat > np.median(flat, axis=1, keepdims=True), axis=1).view(np.uint64))
            start = start.transpose(0, 2, 1) * odd
    return np.stack(hashes)


def _degrees_off(turn: complex) -> float:
    """Degrees between a turn and the nearest quarter turn."""
    degrees = np.degrees(cmath.phase(turn))
    return float(degrees - 90 * round(degrees / 90))


def _turned(mirrored: bool, quarter: int) -> str:
    """Say how an image that is mirrored left to right, then turned clockwise by quarters, differs from the original."""
    if mirrored and quarter == 2:
        return "flipped top to bottom"
    turn = ("", "turned by 90 degrees clockwise", "turned by 180 degrees", "turned by 90 degrees anticlockwise")[
        quarter
    ]
    return " and ".join(filter(None, ("flipped left to right" if mirrored else "", turn)))


def _describe(first: Look, second: Look, pose: _Pose, covered: tuple[float, float]) -> str:
    quarter = round(np.degrees(cmath.phase(pose.turn)) / 90) % 4
    if abs(_degrees_off(pose.turn)) < _UPRIGHT_DEGREES:
        parts = [_turned(pose.mirrored, quarter)]
    else:
        degrees = round(np.degrees(cmath.phase(pose.turn)))
        way = "clockwise" if degrees > 0 else "anticlockwise"
        parts = ["flipped left to right" if pose.mirrored else "", f"turned by about {abs(degrees)} degrees {way}"]
    first_px, second_px = (max(side.size) / SIDE for side in (first, second))
    scale = abs(pose.turn) * second_px / first_px
    if min(covered) >= _WHOLE:
        parts.append(f"scaled by {scale:.2g}" if abs(scale - 1) > 0.05 else "")
    elif covered[1] >= _WHOLE:
        parts.append(f"a crop with {covered[0]:.0%} of the area")
    elif covered[0] >= _WHOLE:
        parts.append(f"a larger view, of which the other is {covered[1]:.0%} of the area")
    elif parts == [""] and abs(scale - 1) <= 0.05:
        origin = -pose.move / pose.turn * first_px
        parts.append(f"shifted by about ({round(origin.real)}, {round(origin.imag)}) px")
    else:
        parts.append(f"overlapping in {max(covered):.0%}")
    return ", ".join(filter(None, parts))


def groups_of(pairs: Sequence[Lookalike]) -> list[list[Lookalike]]:
    """Divide pairs into groups of images that are linked; each group lists its pairs in order."""
    parent: dict[int, int] = {}

    def root(number: int) -> int:
        parent.setdefault(number, number)
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    for pair in pairs:
        parent[root(pair.second)] = root(pair.first)
    groups: dict[int, list[Lookalike]] = defaultdict(list)
    for pair in pairs:
        groups[root(pair.first)].append(pair)
    return list(groups.values())
