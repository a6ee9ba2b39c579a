"""Related sets load with what systems leave in folders, one or two folders deeper, and not with an emptied list.

The numbers of samples are those that the makers of the fakes write.
"""

import importlib
import io
import json
import shutil
import tarfile
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from earthreason.data.omissions import Tolerance
from earthreason.data.reader import open_source, read_all
from earthreason.data.sources.base import omissions_of
from earthreason.errors import DataFormatError
from tests.data.fakes import SIZES

WRITTEN = {name.replace("-", "_"): sizes for name, sizes in SIZES.items()}
"""Number of samples by the module that makes the set."""


@pytest.fixture(params=WRITTEN)
def made(request, tmp_path):
    folder = tmp_path / "around" / "again" / "set"
    importlib.import_module(f"tests.data.fakes.{request.param}").make(folder)
    return request.param.replace("_", "-"), WRITTEN[request.param], folder


def loaded(folder):
    source = open_source(folder, Tolerance(share=1.0))
    return source.name, Counter(split for split, _ in read_all(source)), list(omissions_of(source))


def test_a_set_two_folders_deeper_is_found(made):
    name, written, folder = made
    assert loaded(folder.parents[1]) == (name, written, [])


def test_files_of_operating_systems_are_no_samples(made):
    name, written, folder = made
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            (path / "Thumbs.db").write_bytes(b"thumbs")
        else:  # AppleDouble, as macOS writes on foreign disks
            path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7")
    shutil.copytree(folder, folder.parent / "__MACOSX")
    (folder.parent / "__MACOSX").rename(folder / "__MACOSX")
    assert loaded(folder) == (name, written, [])


@pytest.mark.parametrize("module", ["refsegrs", "risbench"])
def test_an_empty_list_of_a_split_is_not_taken_for_a_split_without_samples(tmp_path, module):
    importlib.import_module(f"tests.data.fakes.{module}").make(tmp_path)
    (tmp_path / "output_phrase_val.txt").write_bytes(b"\n")
    with pytest.raises(DataFormatError, match=r"output_phrase_val\.txt: the list of phrases is empty"):
        open_source(tmp_path)


def picture(array):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("prefix", ["", "./", "scenes.v2/north/"])
def test_shards_of_other_writers_load_whatever_the_order_of_files_and_the_folders_of_keys(tmp_path, prefix):
    """webdataset's TarWriter sorts the parts of a sample, so that `json` stands before `mask.png`."""
    masks = [np.zeros((4, 6), np.uint8), np.full((4, 6), 255, np.uint8)]
    with tarfile.open(tmp_path / "test-000000.tar", "w") as archive:
        for number, mask in enumerate(masks):
            facts = {
                "sample_id": str(number),
                "height": 4,
                "width": 6,
                "is_empty": number == 0,
                "questions": ["Where?"],
            }
            parts = {
                "mask.png": picture(mask),
                "png": picture(np.dstack([mask] * 3)),
                "json": json.dumps(facts).encode(),
            }
            for part, content in sorted(parts.items()):
                member = tarfile.TarInfo(f"{prefix}{number:04d}.{part}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    source = open_source(tmp_path)
    assert source.counts == {"test": 2}
    for record, mask in zip(source.read("test"), masks, strict=True):
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(record.mask))), mask)
