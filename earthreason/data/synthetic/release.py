"""Write synthetic scenes in the layout of the official release."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from earthreason.data.schema import encode_mask_png
from earthreason.data.synthetic.generate import SPLITS, generate_scene
from earthreason.errors import EarthReasonError
from earthreason.files import atomic_path, refuse_taken

OFFICIAL_COUNTS = {"train": 2371, "val": 1135, "test": 1928}
_QUALITY = 92
_CHUNK = 16


@dataclass(frozen=True)
class Written:
    """What was written: scenes and empty targets by split."""

    scenes: dict[str, int]
    empty: dict[str, int]


def split_counts(n: int) -> dict[str, int]:
    """`n` scenes shared over the splits as in the official release."""
    total = sum(OFFICIAL_COUNTS.values())
    counts = {split: round(n * OFFICIAL_COUNTS[split] / total) for split in ("val", "test")}
    return {"train": n - sum(counts.values()), **counts}


def write_release(
    out: Path,
    n: int,
    seed: int,
    *,
    workers: int = 1,
    size: tuple[int, int] | None = (512, 512),
    progress: Callable[[int], object] | None = None,
) -> Written:
    """Write `n` scenes as `out/{train,val,test}/{images,labels,QAs}`; the bytes do not depend on `workers`.

    The folder appears when it is complete; an interrupted run leaves nothing.

    Args:
        out: must not exist, or be empty.
        n: scenes over all splits.
        seed: of the set.
        workers: processes.
        size: height and width in pixels; None varies it.
        progress: called with the number of scenes just finished.

    Raises:
        EarthReasonError: `out` is not empty, or `n` is too small to fill three splits.
    """
    refuse_taken(out)
    counts = split_counts(n)
    if min(counts.values()) < 1:
        raise EarthReasonError(f"{n} scenes do not fill train, val and test; ask for at least 5")
    empty = dict.fromkeys(SPLITS, 0)
    jobs = [
        (seed, split, range(start, min(start + _CHUNK, count)), size)
        for split, count in counts.items()
        for start in range(0, count, _CHUNK)
    ]
    with atomic_path(out) as folder:
        for split in counts:
            for part in ("images", "labels", "QAs"):
                (folder / split / part).mkdir(parents=True)
        with ProcessPoolExecutor(workers) as pool:
            for (_, split, indices, _), nothing in zip(
                jobs, pool.map(_write_chunk, [folder] * len(jobs), *zip(*jobs, strict=True)), strict=True
            ):
                empty[split] += nothing
                if progress is not None:
                    progress(len(indices))
    return Written(counts, empty)


def _write_chunk(folder: Path, seed: int, split: str, indices: range, size: tuple[int, int] | None) -> int:
    """Make and write some scenes of a split; return how many have an empty target."""
    nothing = 0
    for index in indices:
        sample = generate_scene(seed, split, index, size)
        stem = sample.sample_id
        sample.image.save(folder / split / "images" / f"{stem}.jpg", quality=_QUALITY)
        (folder / split / "labels" / f"{stem}.png").write_bytes(encode_mask_png(sample.mask))
        qa = {
            "questions": sample.questions,
            "answer": sample.answers,
            "category": sample.category,
            "ground_resolution": sample.ground_resolution,
            "reasoning_type": sample.reasoning_type,
            "source": sample.source,
        }
        (folder / split / "QAs" / f"{stem}.json").write_text(json.dumps(qa, indent=1), encoding="utf-8")
        nothing += sample.is_empty
    return nothing
