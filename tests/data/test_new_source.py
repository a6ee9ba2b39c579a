"""Adding a source takes one file with one registration: tried on a copy of the package with one file more."""

import numpy as np
import pytest
from PIL import Image

from earthreason.data.about import OWN_DATA
from earthreason.data.sources.base import FORMATS, SourceFormat, register
from tests.copied_package import CopiedPackage

SOURCE = '''
"""Pictures NAME.png beside masks NAME.mask.png, named in captions.csv."""

import csv

from earthreason.data.pictures import mask_of
from earthreason.data.sources.base import SourceFormat, make_record, register


class Captions:
    name = "captions"

    def __init__(self, root):
        self._root = root
        with (root / "captions.csv").open() as file:
            self._rows = list(csv.reader(file))
        self.counts = {"test": len(self._rows)}

    def read(self, split):
        for name, question in self._rows:
            mask = self._root / f"{name}.mask.png"
            yield make_record(name, self._root / f"{name}.png", mask_of(mask.read_bytes(), mask), question)


register(
    SourceFormat(
        name="captions",
        title="captions.csv beside pictures",
        matches=lambda folder: (folder / "captions.csv").is_file(),
        open=Captions,
        config="captions",
    )
)
'''
USE = """
import sys
from earthreason import load_dataset
from earthreason.cli.main import app
from earthreason.data.reader import open_source
folder = sys.argv[1]
source = open_source(folder)
print(source.name, [record.sample_id for record in source.read("test")])
for config in ("captions", None):
    row = load_dataset("earthreason", config, data_dir=folder, split="test")[0]
    print(row["sample_id"], row["questions"], row["is_empty"], row["width"])
"""


def test_a_new_source_is_one_file(tmp_path):
    copied, data = CopiedPackage(tmp_path), tmp_path / "data"
    (copied.package / "data" / "sources" / "captions.py").write_text(SOURCE)
    data.mkdir()
    Image.fromarray(np.full((4, 6, 3), 90, np.uint8)).save(data / "a.png")
    Image.fromarray(np.eye(4, 6, dtype=np.uint8) * 255).save(data / "a.mask.png")
    (data / "captions.csv").write_text("a,Where could one land?\n")
    first, *rows = copied.run("-c", USE, str(data)).splitlines()
    assert first == "captions ['a']"
    assert rows == ["a ['Where could one land?'] False 6"] * 2


@pytest.mark.parametrize("taken", [{"name": "coco"}, {"suffixes": (".tar",)}, {"config": "rrsis-d"}])
def test_a_taken_name_is_refused(taken):
    declared = {"name": "new", "title": "", "matches": bool, "open": Image.open, "about": OWN_DATA, **taken}
    before = dict(FORMATS)
    with pytest.raises(ValueError, match="already"):
        register(SourceFormat(**declared))
    assert before == FORMATS


def test_every_source_is_declared_in_a_file_of_its_own():
    files = {f.open.__module__.rpartition(".")[2] for f in FORMATS.values()}
    assert len(files) == len(FORMATS)
    assert {f.name for f in FORMATS.values() if f.config} >= {"rrsis-d", "refsegrs", "reasonseg"}
