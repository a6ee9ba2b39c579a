"""Generate samples from seeds. The number of workers affects neither the samples nor their order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from PIL import Image

from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.synthetic.categories import CATEGORIES, HELD_OUT_CATEGORIES
from earthreason.synthetic.questions import choose_target, write_answers, write_questions
from earthreason.synthetic.render import render_scene
from earthreason.synthetic.scene import RenderedScene
from earthreason.types import Sample

SPLITS = ("train", "val", "test")
EMPTY_SHARE = 0.12
"""Default share of scenes with an empty target."""
_SMALL = ((640, 480), (400, 600), (256, 256), (300, 777), (128, 128))
_LARGE = ((1024, 1024), (768, 1366), (2048, 2048))
VARIED = (*[(512, 512)] * 4, *_SMALL, *_LARGE)
"""Heights and widths from which a size is drawn if none is given; a third of the scenes are 512 x 512 px."""


def generate_scene(
    seed: int,
    split: str,
    index: int,
    size: tuple[int, int] | None = (256, 256),
    empty_share: float = EMPTY_SHARE,
) -> Sample:
    """Generate a sample; the same arguments always give the same bytes.

    Args:
        seed: seed of the dataset.
        split: `train`, `val` or `test`. Some categories never appear in `train`, whose questions have other wordings.
        index: index within the split, from 0.
        size: height and width in pixels; None draws a size from `VARIED`.
        empty_share: share of scenes with an empty target.

    Raises:
        UnknownNameError: the split does not exist.
        EarthReasonError: `empty_share` is not between 0 and 1.
    """
    return generate_drawn(seed, split, index, size, empty_share)[0]


def generate_drawn(
    seed: int, split: str, index: int, size: tuple[int, int] | None, empty_share: float
) -> tuple[Sample, RenderedScene]:
    """Generate the sample of `generate_scene`; return it with the scene, which has every object."""
    if split not in SPLITS:
        raise UnknownNameError("split", split, SPLITS)
    if not 0 <= empty_share <= 1:
        raise EarthReasonError(f"empty_share is {empty_share}, but must be between 0 and 1")
    rng = np.random.default_rng([seed, SPLITS.index(split), index])
    training = split == "train"
    exclude = HELD_OUT_CATEGORIES if training else frozenset()
    categories = [name for name in CATEGORIES if name not in exclude]
    # Take the categories in turn from a random start, so that any run of consecutive samples is balanced.
    start = int(np.random.default_rng([seed, SPLITS.index(split)]).integers(len(categories)))
    category = categories[(start + index) % len(categories)]
    empty = bool(rng.random() < empty_share)
    shape = VARIED[int(rng.integers(len(VARIED)))] if size is None else size
    scene = render_scene(rng, category, size=shape, include=not empty, exclude=exclude)
    target = choose_target(rng, scene, category)
    sample = Sample(
        sample_id=f"synthetic_s{seed}_{split}_{index:06d}",
        image=Image.fromarray(scene.image),
        mask=target.mask,
        questions=write_questions(rng, target, category, training),
        answers=write_answers(rng, target, category, training),
        category=category,
        ground_resolution=scene.gsd,
        source="synthetic",
        reasoning_type=target.reasoning_type,
    )
    return sample, scene


def iterate_scenes(
    seed: int,
    counts: Mapping[str, int],
    *,
    size: tuple[int, int] | None = (256, 256),
    workers: int = 1,
    empty_share: float = EMPTY_SHARE,
) -> Iterator[Sample]:
    """Yield the samples of all splits, in the order of `counts`, whatever the number of workers.

    Args:
        seed: seed of the dataset.
        counts: number of scenes by split.
        size: height and width in pixels; None draws a size from `VARIED` for each scene.
        workers: number of processes.
        empty_share: share of scenes with an empty target.

    Raises:
        UnknownNameError: the split does not exist.
        EarthReasonError: `empty_share` is not between 0 and 1.
    """
    jobs = [(seed, split, index, size, empty_share) for split, count in counts.items() for index in range(count)]
    if workers == 1:
        yield from (generate_scene(*job) for job in jobs)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(generate_scene, *zip(*jobs, strict=True), chunksize=8)
