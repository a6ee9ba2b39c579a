"""Read GRES (LISAt, arXiv 2505.02829): one ReasonSeg annotation for each 512 px cut of an xView image.

Layout and lists are those of github.com/lisat-bair/GRES; the lists repeat stems. Polygons are drawn as LISA draws them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from earthreason.data.about import About
from earthreason.data.pictures import size_of
from earthreason.data.schema import Record, extra_keys
from earthreason.data.sources.base import (
    FROM_DISK,
    SampleSource,
    SourceFormat,
    make_record,
    named,
    read_json,
    register,
)
from earthreason.data.sources.lookup import any_starts_with, folders_below, texts_of
from earthreason.data.sources.places import NO_PICTURE, NamedFiles, pictures_in
from earthreason.data.sources.reasonseg import draw_shapes
from earthreason.errors import DataFormatError, DataNotFoundError
from earthreason.files import visible_files
from earthreason.masks.png import encode_mask_png

_CODE = "https://github.com/lisat-bair/GRES"
_ANNOTATIONS = ("gres-annotations", "gres_annotations")
_IMAGES = ("gres-images", "gres_images")
_SUBSETS = ("small", "large")
_STEM = "lisat_gres_"
_KEYS = ("text", "shapes")


class GRES(SampleSource):
    """Samples of `gres-annotations/SPLIT/*.json` and `gres-images/SPLIT/`, or of both side by side in `SPLIT/`.

    A stem that `SPLIT.txt` lists is a sample too, so that a missing annotation is reported. `extra` has the `subset`
    of stems that `small.txt` or `large.txt` lists.
    """

    name = "gres"

    def __init__(self, root: Path) -> None:
        super().__init__()
        found = _locate(root) or _side_by_side(root)
        if found is None:
            raise DataNotFoundError(
                f"{root} contains no GRES: expected gres-annotations/SPLIT/*.json and gres-images/SPLIT/, or both in "
                f"SPLIT/. The images are cut from xView by the script of {_CODE}"
            )
        self._folders: dict[str, Path] = {}
        self._pictures: dict[str, NamedFiles] = {}
        self._stems: dict[str, list[str]] = {}
        for name, split in FROM_DISK.items():
            folder = found / name
            stems = {path.stem for path in visible_files(folder, "*.json")} | set(_listed(folder / f"{name}.txt"))
            if stems:
                self._folders[split], self._stems[split] = folder, sorted(stems)
                self._pictures[split] = pictures_in(_picture_folder(found, name))
        self._subsets = {
            split: {stem: subset for subset in _SUBSETS for stem in _listed(folder / f"{subset}.txt")}
            for split, folder in self._folders.items()
        }
        self.counts = {split: len(stems) for split, stems in self._stems.items()}

    def samples(self, split: str) -> Iterator[tuple[str, Callable[[], Record]]]:
        """List the images of a split by their stems."""
        for stem in self._stems[split]:
            yield stem, partial(self._record, split, stem)

    def _record(self, split: str, stem: str) -> Record:
        path = self._folders[split] / f"{stem}.json"
        if not path.is_file():
            raise DataFormatError(f"{path} is missing, but the list of the split names it", "no annotation")
        content = read_json(path)
        with named(path, "an annotation of GRES"):
            texts, shapes = texts_of(content, "text", str(path)), list(content["shapes"])
            image = self._picture(split, stem, shapes, str(path))
            target, ignore = draw_shapes(shapes, *size_of(image))
            subset = self._subsets[split].get(stem)
        return make_record(
            f"gres_{split}_{stem}",
            image,
            target,
            texts,
            source="GRES",
            ignore=encode_mask_png(ignore) if ignore.any() else None,
            extra=extra_keys({**content, "subset": subset}, _KEYS),
        )

    def _picture(self, split: str, stem: str, shapes: list[dict[str, object]], place: str) -> Path:
        """Find the picture of the annotation's stem, else the one that the first shape names."""
        try:
            return self._pictures[split].find(f"{stem}.jpg", place)
        except DataFormatError as error:
            name = shapes[0].get("image_name") if shapes else None
            if error.reason != NO_PICTURE or not isinstance(name, str):
                raise
            return self._pictures[split].find(name, place)


def _listed(path: Path) -> list[str]:
    """Return the stems that a list names; none if there is no list."""
    if not path.is_file():
        return []
    with named(path, "a list of stems in UTF-8"):
        lines = path.read_text(encoding="utf-8-sig").split()
    return [line.removesuffix(".json").removesuffix(".jpg") for line in lines]


def _picture_folder(annotations: Path, name: str) -> Path:
    beside = (annotations.parent / images / name for images in _IMAGES)
    return next((folder for folder in beside if folder.is_dir()), annotations / name)


def _side_by_side(root: Path) -> Path | None:
    """Return the folder if its splits have annotations of any name, which could be ReasonSeg as well."""
    return root if any(any_starts_with(root / split, "*.json", _KEYS) for split in FROM_DISK) else None


def _locate(root: Path) -> Path | None:
    """Return the folder that contains the splits' annotations; side by side, their names or lists tell the set."""
    for folder, _ in folders_below(root, 2):
        for name in _ANNOTATIONS:
            if any(any_starts_with(folder / name / split, "*.json", _KEYS) for split in FROM_DISK):
                return folder / name
        for split in FROM_DISK:
            pattern = "*.json" if (folder / split / f"{split}.txt").is_file() else f"{_STEM}*.json"
            if any_starts_with(folder / split, pattern, _KEYS):
                return folder
    return None


register(
    SourceFormat(
        name="gres",
        title="GRES: gres-annotations/SPLIT/*.json and gres-images/SPLIT/, or both in SPLIT/",
        matches=_locate,
        open=GRES,
        precedence=16,
        config="gres",
        about=About(
            title="GRES",
            licence="CC-BY-NC-SA-4.0 for the annotations; the images have the terms of xView",
            origin="The annotations of GRES were published with LISAt under CC BY-NC-SA 4.0. Its images are cut from "
            "xView, whose own terms apply to them.",
            url=_CODE,
            citation="LISAt: Language-Instructed Segmentation Assistant for Satellite Imagery, arXiv 2505.02829",
        ),
        paper="https://arxiv.org/abs/2505.02829",
        how_to_get=_CODE,
        splits={"train": 7205, "validation": 500, "test": 1510},
    )
)
