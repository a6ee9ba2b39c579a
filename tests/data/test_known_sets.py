"""Every set is recognised by its own source and by no other, and loads by its configuration."""

from importlib import import_module

import pytest

from earthreason import load_dataset
from earthreason.data.reader import open_source, read_all
from earthreason.data.sources import FORMATS, find_format
from tests.data.fakes import SIZES, risbench

ALSO = {
    "earthreason-fs": {"parquet"},
    "geopix-instruct": {"parquet"},
    "geopixel": {"reasonseg"},
    "liss4reason": {"release"},
    "rrsis-hr": {"rrsis-d"},
}
"""Formats that may read a set too, which has precedence."""


def make(name, folder):
    import_module(f"tests.data.fakes.{name.replace('-', '_')}").make(folder)
    return folder


def test_every_set_is_among_them():
    assert {f.name for f in FORMATS.values() if f.config} == SIZES.keys()


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("above", ["", "data/downloads"])
def test_a_set_is_recognised_by_its_own_source_alone(name, above, tmp_path):
    make(name, tmp_path / above / "set")
    root = tmp_path / "data" if above and name != "reasonseg" else tmp_path / above / "set"
    matched, _ = find_format(root)
    assert matched.name == name
    matching = {f.name for f in FORMATS.values() if f.matches(root)}
    assert {name} <= matching <= {name} | ALSO.get(name, set())


@pytest.mark.parametrize("other", [risbench.make_mirror, risbench.make_saved])
def test_risbench_is_recognised_in_the_forms_of_the_hub(other, tmp_path):
    other(tmp_path)
    assert find_format(tmp_path)[0].name == "risbench"


@pytest.mark.parametrize("name", SIZES)
def test_a_set_loads_by_its_configuration(name, tmp_path):
    folder = make(name, tmp_path / "set")
    loaded = load_dataset("earthreason", name, data_dir=folder)
    assert {split: len(rows) for split, rows in loaded.items()} == SIZES[name]
    ids = [sample_id for rows in loaded.values() for sample_id in rows["sample_id"]]
    assert len(set(ids)) == len(ids)
    # With one split less on disk, or by another command, the others keep their ids.
    assert sorted(record.sample_id for _, record in read_all(open_source(folder))) == sorted(ids)
