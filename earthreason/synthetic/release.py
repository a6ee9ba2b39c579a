"""Write synthetic scenes in the layout of the official release."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.files import atomic_path, refuse_taken
from earthreason.masks.png import encode_mask_png
from earthreason.processes import process_pool, run_in_order
from earthreason.synthetic.generate import EMPTY_SHARE, SPLITS, compose_scene
from earthreason.synthetic.maps import start_maps, write_map
from earthreason.types import OPTIONAL_FACTS

OFFICIAL_COUNTS = {"train": 2371, "val": 1135, "test": 1928}
_QUALITY = 92
_CHUNK = 16


@dataclass(frozen=True)
class WrittenRelease:
    """Number of scenes and number of empty targets that were written, by split."""

    scenes: dict[str, int]
    empty: dict[str, int]


def split_counts(n: int) -> dict[str, int]:
    """Divide `n` scenes among the splits in the proportions of the official release.

    Raises:
        EarthReasonError: `n` is too small for one scene in each split.
    """
    total = sum(OFFICIAL_COUNTS.values())
    counts = {split: round(n * OFFICIAL_COUNTS[split] / total) for split in ("val", "test")}
    counts = {"train": n - sum(counts.values()), **counts}
    if min(counts.values()) < 1:
        raise EarthReasonError(f"{n} is too few for train, val and test; use at least 5 scenes")
    return counts


def write_release(
    out: Path,
    scenes: int | Mapping[str, int],
    seed: int,
    *,
    workers: int = 1,
    size: tuple[int, int] | None = (512, 512),
    empty_share: float = EMPTY_SHARE,
    category_maps: bool = False,
    progress: Callable[[int], object] | None = None,
) -> WrittenRelease:
    """Write scenes as `out/{train,val,test}/{images,labels,QAs}`; the bytes do not depend on `workers`.

    The folder appears only when it is complete; an interrupted run leaves nothing behind.

    Args:
        out: folder to write; it must not exist, or be empty.
        scenes: number of scenes by split, or a total to divide as in the official release; a split without scenes
            gets no folder.
        seed: seed of the dataset.
        workers: number of processes.
        size: height and width in pixels; None draws one for each scene by `draw_size`.
        empty_share: share of scenes with an empty target.
        category_maps: whether to write `maps.category_map` of each scene as `categories/STEM.png` too, and the list of
            kinds as `categories/categories.json`.
        progress: called with the number of scenes just finished.

    Raises:
        UnknownNameError: a split is not train, val or test.
        EarthReasonError: `out` is not empty, the numbers of scenes are too small or negative, or `empty_share` is not
            between 0 and 1.
    """
    refuse_taken(out)
    wanted = split_counts(scenes) if isinstance(scenes, int) else scenes
    for split, count in wanted.items():
        if split not in SPLITS:
            raise UnknownNameError("split", split, SPLITS)
        if count < 0:
            raise EarthReasonError(f"{count} scenes for {split}: the number of scenes must not be negative")
    counts = {split: wanted[split] for split in SPLITS if wanted.get(split)}
    if not counts:
        raise EarthReasonError("there are no scenes to write; set at least one of train, val and test above 0")
    empty = dict.fromkeys(counts, 0)
    jobs = [
        (seed, split, range(start, min(start + _CHUNK, count)), size, empty_share, category_maps)
        for split, count in counts.items()
        for start in range(0, count, _CHUNK)
    ]
    with atomic_path(out) as folder:
        for split in counts:
            for part in ("images", "labels", "QAs"):
                (folder / split / part).mkdir(parents=True)
            if category_maps:
                start_maps(folder / split)
        with process_pool(workers) as pool:
            written = run_in_order(pool, partial(_write_chunk, folder), jobs)
            for (_, split, indices, *_), nothing in zip(jobs, written, strict=True):
                empty[split] += nothing
                if progress is not None:
                    progress(len(indices))
    return WrittenRelease(counts, empty)


def _write_chunk(
    folder: Path,
    seed: int,
    split: str,
    indices: range,
    size: tuple[int, int] | None,
    empty_share: float,
    category_maps: bool,
) -> int:
    """Generate and write some scenes of a split; return the number of empty targets."""
    nothing = 0
    for index in indices:
        made = compose_scene(seed, split, index, size, empty_share)
        sample = made.sample()
        stem = sample.sample_id
        if category_maps:
            write_map(folder / split, stem, made.scene)
        sample.image.save(folder / split / "images" / f"{stem}.jpg", quality=_QUALITY)
        (folder / split / "labels" / f"{stem}.png").write_bytes(encode_mask_png(sample.mask))
        qa = {"sample_id": stem, "questions": sample.questions, "answer": sample.answers}
        qa |= {key: getattr(sample, key) for key in sorted(OPTIONAL_FACTS)}
        (folder / split / "QAs" / f"{stem}.json").write_text(json.dumps(qa, indent=1), encoding="utf-8")
        nothing += sample.is_empty
    return nothing
