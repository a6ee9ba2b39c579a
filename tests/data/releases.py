"""Make small releases with quirks, and say what a reader must find in them.

`fabricate(folder, quirks)` writes a release of three splits with four samples each and returns the expected samples.
Nothing here uses the package: expected values are the arrays that were written.
"""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

ON_DISK = {"train": "train", "validation": "val", "test": "test"}
HEIGHT, WIDTH = 6, 8


@dataclass
class Expected:
    """A sample: (height, width, 3) uint8 pixels, (height, width) bool mask, and questions."""

    pixels: np.ndarray
    mask: np.ndarray
    questions: list[str]


@dataclass
class Fabricated:
    """A release in memory, and what a reader must find.

    Attributes:
        files: contents by split, part and name.
        samples: expected samples by split and stem.
        left_out: (split, stem) of samples that a fault excludes.
        place: function that gives the folder of a split's part.
        split_names, part_names: spelling of both.
        junk: other files by path below the root.
        pack: function that writes the files by path into a folder.
    """

    files: dict[tuple[str, str, str], bytes] = field(default_factory=dict)
    samples: dict[str, dict[str, Expected]] = field(default_factory=dict)
    left_out: set[tuple[str, str]] = field(default_factory=set)
    place: Callable[[str, str], str] = lambda split, part: f"RSReasonSeg/{split}/{part}"
    split_names: dict[str, str] = field(default_factory=lambda: dict(ON_DISK))
    part_names: dict[str, str] = field(default_factory=lambda: {part: part for part in ("images", "labels", "QAs")})
    junk: list[str] = field(default_factory=list)
    pack: Callable[[Path, dict[str, bytes], Fabricated], None] = lambda root, files, _: write_tree(root, files)

    def rename(self, split: str, part: str, old: str, new: str) -> None:
        self.files[split, part, new] = self.files.pop((split, part, old))

    def exclude(self, split: str, stem: str) -> None:
        del self.samples[split][stem]
        self.left_out.add((split, stem))


def fabricate(root: Path, quirks: tuple[str, ...] = ()) -> Fabricated:
    """Write a release with quirks below `root`; quirks are applied in the order of `QUIRKS`."""
    made = sound_release()
    for name, (_, quirk) in QUIRKS.items():
        if name in quirks:
            quirk(made)
    paths = {}
    for (split, part, name), content in made.files.items():
        folder = made.place(made.split_names[split], made.part_names[part])
        paths[f"{folder}/{name}"] = content
    folders = sorted({path.rsplit("/", 1)[0] for path in paths})
    paths |= {f"{folder}/{name}": b"junk" for folder in folders for name in made.junk}
    made.pack(root, paths, made)
    return made


def sound_release() -> Fabricated:
    """Three splits of samples r0001 to r0004, of which r0003 is empty."""
    made = Fabricated()
    random = np.random.default_rng(20)
    for split in ON_DISK:
        made.samples[split] = {}
        for number in range(1, 5):
            stem = f"r{number:04d}"
            pixels = random.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
            mask = np.zeros((HEIGHT, WIDTH), bool) if number == 3 else random.random((HEIGHT, WIDTH)) < 0.4
            questions = [f"Where is {split} {number}?", f"And what of {split} {number}?"]
            made.samples[split][stem] = Expected(pixels, mask, questions)
            qa = {"questions": questions, "answer": ["There."] if mask.any() else []}
            made.files[split, "images", f"{stem}.png"] = png(pixels)
            made.files[split, "labels", f"{stem}.png"] = png(mask.astype(np.uint8) * 255)
            made.files[split, "QAs", f"{stem}.json"] = json.dumps(qa).encode()
    return made


def png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def write_tree(root: Path, files: dict[str, bytes]) -> None:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)


def zip_of(files: dict[str, bytes], packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return buffer.getvalue()


def tar_of(files: dict[str, bytes], mode: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


# Faults and names of single files, each of another sample


def missing_label(made: Fabricated) -> None:
    del made.files["train", "labels", "r0001.png"]
    made.exclude("train", "r0001")


def missing_image(made: Fabricated) -> None:
    del made.files["test", "images", "r0004.png"]
    made.exclude("test", "r0004")


def broken_questions(made: Fabricated) -> None:
    made.files["validation", "QAs", "r0001.json"] = b'{"questions": ["cut o'
    made.exclude("validation", "r0001")


def truncated_image(made: Fabricated) -> None:
    whole = made.files["validation", "images", "r0002.png"]
    made.files["validation", "images", "r0002.png"] = whole[: len(whole) // 2]
    made.exclude("validation", "r0002")


def two_images(made: Fabricated) -> None:
    made.files["train", "images", "r0002.jpg"] = made.files["train", "images", "r0002.png"]
    made.exclude("train", "r0002")


def label_of_another_size(made: Fabricated) -> None:
    made.files["test", "labels", "r0001.png"] = png(np.zeros((HEIGHT, WIDTH + 1), np.uint8))
    made.exclude("test", "r0001")


def first_dot(made: Fabricated) -> None:
    """The image is named after its source's suffix, so that only names up to the first dot agree."""
    made.rename("train", "images", "r0003.png", "r0003.tif.png")


def dot_in_stem(made: Fabricated) -> None:
    for part, suffix in (("images", "png"), ("labels", "png"), ("QAs", "json")):
        made.rename("test", part, f"r0002.{suffix}", f"r0002.5.{suffix}")
    made.samples["test"]["r0002.5"] = made.samples["test"].pop("r0002")


def other_case(made: Fabricated) -> None:
    made.rename("train", "labels", "r0004.png", "R0004.PNG")


def text_suffix(made: Fabricated) -> None:
    made.rename("validation", "QAs", "r0003.json", "r0003.txt")


def byte_order_mark(made: Fabricated) -> None:
    made.files["validation", "QAs", "r0004.json"] = b"\xef\xbb\xbf" + made.files["validation", "QAs", "r0004.json"]


# Nesting


def placed(place: Callable[[str, str], str]) -> Callable[[Fabricated], None]:
    def quirk(made: Fabricated) -> None:
        made.place = place

    return quirk


def is_images(part: str) -> bool:
    return part.lower() == "images"


# Spelling


def other_parts(made: Fabricated) -> None:
    made.part_names = {"images": "Images", "labels": "Labels", "QAs": "qas"}


def other_splits(made: Fabricated) -> None:
    made.split_names = {"train": "Train", "validation": "validation", "test": "TEST"}


def long_splits(made: Fabricated) -> None:
    made.split_names = {split: f"EarthReason_{name.title()}" for split, name in ON_DISK.items()}


def system_files(made: Fabricated) -> None:
    made.junk += [".DS_Store", "Thumbs.db", "._r0001.png", "._r0001.json", "__MACOSX/images/._r0001.png", "desktop.ini"]


def notes(made: Fabricated) -> None:
    made.junk += ["notes.md"]


# Packing


def packed(pack: Callable[[Path, dict[str, bytes], Fabricated], None]) -> Callable[[Fabricated], None]:
    def quirk(made: Fabricated) -> None:
        made.pack = pack

    return quirk


def by_split(files: dict[str, bytes], made: Fabricated) -> dict[str, dict[str, bytes]]:
    """Group files by the name of their split, which some name on their path is."""
    names = made.split_names.values()
    groups: dict[str, dict[str, bytes]] = {name: {} for name in names}
    for path, content in files.items():
        groups[next(name for name in names if name in path.replace("_", "/").split("/") + path.split("/"))][path] = (
            content
        )
    return groups


def zip_of_each_split(root: Path, files: dict[str, bytes], made: Fabricated) -> None:
    write_tree(root, {f"{name}.zip": zip_of(group) for name, group in by_split(files, made).items()})


def zip_of_bare_folders(root: Path, files: dict[str, bytes], made: Fabricated) -> None:
    """The split stands in the name of the archive only."""
    for name, group in by_split(files, made).items():
        bare = {
            path[path.index("/" + part + "/") + 1 :]: content
            for path, content in group.items()
            for part in made.part_names.values()
            if f"/{part}/" in path
        }
        write_tree(root, {f"EarthReason-{name}.zip": zip_of(bare)})


def zip_in_zip(root: Path, files: dict[str, bytes], made: Fabricated) -> None:
    inner = {f"{name}.zip": zip_of(group) for name, group in by_split(files, made).items()}
    write_tree(root, {"EarthReason.zip": zip_of(inner, zipfile.ZIP_STORED)})


def zip_in_pieces(root: Path, files: dict[str, bytes], _: Fabricated) -> None:
    whole = zip_of(files)
    third = len(whole) // 3
    pieces = whole[:third], whole[third : 2 * third], whole[2 * third :]
    write_tree(root, {f"EarthReason.zip.{number:03d}": piece for number, piece in enumerate(pieces, start=1)})


def train_unpacked_only(root: Path, files: dict[str, bytes], made: Fabricated) -> None:
    groups = by_split(files, made)
    write_tree(root, groups.pop(made.split_names["train"]))
    write_tree(root, {f"{name}.zip": zip_of(group) for name, group in groups.items()})


def snapshot(root: Path, files: dict[str, bytes], made: Fabricated) -> None:
    """Links into a folder of blobs beside it, as the Hub's cache has them."""
    blobs, links = root.parent / "blobs", root / "snapshots" / "983ff433"
    links.mkdir(parents=True)
    for number, (name, group) in enumerate(by_split(files, made).items()):
        write_tree(blobs, {f"{number:040x}": zip_of(group)})
        (links / f"{name}.zip").symlink_to(blobs / f"{number:040x}")


QUIRKS: dict[str, tuple[str, Callable[[Fabricated], None]]] = {
    "missing label": ("", missing_label),
    "missing image": ("", missing_image),
    "broken questions": ("", broken_questions),
    "truncated image": ("", truncated_image),
    "two images": ("", two_images),
    "label of another size": ("", label_of_another_size),
    "first dot": ("", first_dot),
    "dot in stem": ("", dot_in_stem),
    "other case": ("", other_case),
    "txt": ("", text_suffix),
    "byte order mark": ("", byte_order_mark),
    "images doubled": (
        "nesting",
        placed(lambda split, part: f"{split}/{split}/{part}" if is_images(part) else f"{split}/{part}"),
    ),
    "all doubled": ("nesting", placed(lambda split, part: f"{split}/{split}/{part}")),
    "root doubled": ("nesting", placed(lambda split, part: f"EarthReason/EarthReason/{split}/{part}")),
    "root in each split": ("nesting", placed(lambda split, part: f"{split}/RSReasonSeg/{part}")),
    "part first": ("nesting", placed(lambda split, part: f"RSReasonSeg/{part}/{split}")),
    "deep": ("nesting", placed(lambda split, part: f"a/b/c/RSReasonSeg/{split}/{part}")),
    "batches": (
        "nesting",
        placed(lambda split, part: f"{split}/{part}/batch1" if is_images(part) else f"{split}/{part}"),
    ),
    "other parts": ("", other_parts),
    "other splits": ("splits", other_splits),
    "long splits": ("splits", long_splits),
    "system files": ("", system_files),
    "notes": ("", notes),
    "one zip": ("packing", packed(lambda root, files, _: write_tree(root, {"data.zip": zip_of(files)}))),
    "one ZIP": ("packing", packed(lambda root, files, _: write_tree(root, {"DATA.ZIP": zip_of(files)}))),
    "tar": ("packing", packed(lambda root, files, _: write_tree(root, {"data.tar": tar_of(files, "w")}))),
    "tar.gz": ("packing", packed(lambda root, files, _: write_tree(root, {"data.tar.gz": tar_of(files, "w:gz")}))),
    "tgz": ("packing", packed(lambda root, files, _: write_tree(root, {"data.tgz": tar_of(files, "w:gz")}))),
    "zip of each split": ("packing", packed(zip_of_each_split)),
    "zip of bare folders": ("packing", packed(zip_of_bare_folders)),
    "zip in zip": ("packing", packed(zip_in_zip)),
    "zip in pieces": ("packing", packed(zip_in_pieces)),
    "train unpacked only": ("packing", packed(train_unpacked_only)),
    "snapshot": ("packing", packed(snapshot)),
}
"""Quirks by name: a kind of which only one can hold, or "", and the function that applies it."""


def cases() -> list[tuple[str, ...]]:
    """List every quirk alone and every pair that can hold at once."""
    names = list(QUIRKS)
    pairs = [
        (first, second)
        for number, first in enumerate(names)
        for second in names[number + 1 :]
        if not QUIRKS[first][0] or QUIRKS[first][0] != QUIRKS[second][0]
    ]
    # A folder of bare folders cannot have the parts outside.
    return [
        (),
        *((name,) for name in names),
        *(pair for pair in pairs if pair != ("part first", "zip of bare folders")),
    ]
