"""Cards, metadata and `ds.info` state licence and origin by evidence, and never call other data official."""

import json
import os
import subprocess
import sys

import datasets
import mlcroissant
import pytest

from earthreason import load_dataset
from earthreason.data import configs, origin
from earthreason.data.about import OFFICIAL, OWN_DATA, SYNTHETIC
from earthreason.data.configs import CONFIGS
from earthreason.data.exports import FORMATS, about_of, export
from earthreason.data.prepared import write_prepared
from earthreason.data.reader import open_source
from earthreason.errors import DataFormatError
from earthreason.synthetic.release import write_release
from tests.conftest import write_sample
from tests.data.memory import Memory, several

CLAIMS = ("Apache", "Million-AID", "2504.09644", "earth-insights")


def place_release(root):
    for split in ("train", "test"):
        write_sample(root / split, f"{split}_1")
    return root


def test_a_folder_in_the_layout_of_the_release_is_the_users_own(release):
    assert about_of(open_source(release)) == OWN_DATA
    info = load_dataset("earthreason", data_dir=release, split="test").info
    assert info.license == "unknown"
    assert not any(claim in f"{info.description}{info.citation}{info.homepage}" for claim in CLAIMS)


@pytest.mark.parametrize("below", ["", "RSReasonSeg", "EarthReason/EarthReason"])
@pytest.mark.parametrize(
    ("repository", "expected"), [("earth-insights/EarthReason", OFFICIAL), ("me/mine", OWN_DATA), (None, OWN_DATA)]
)
def test_the_record_of_a_download_says_whether_it_is_the_release(tmp_path, below, repository, expected):
    place_release(tmp_path / "release" / below)
    (tmp_path / "download.json").write_text(json.dumps({"repository": repository, "revision": "0", "files": {}}))
    assert about_of(open_source(tmp_path / "release")) == expected
    info = load_dataset("earthreason", data_dir=tmp_path / "release", split="test").info
    assert (info.license, info.homepage) == (expected.licence, expected.url or "")


def test_the_cache_of_the_hub_says_whether_it_is_the_release(tmp_path):
    for name, expected in (("earth-insights--EarthReason", OFFICIAL), ("me--EarthReason", OWN_DATA)):
        folder = place_release(tmp_path / f"datasets--{name}" / "snapshots" / "0" / "RSReasonSeg")
        assert about_of(open_source(folder)) == expected


def test_the_published_number_of_samples_is_the_release_unless_its_scenes_are_synthetic(release, tmp_path, monkeypatch):
    monkeypatch.setattr(origin, "PUBLISHED", {"train": 3, "validation": 1, "test": 2})
    assert about_of(open_source(release)) == OFFICIAL
    write_release(tmp_path / "scenes", {"train": 3, "val": 1, "test": 2}, seed=5, size=(96, 96))
    about = about_of(open_source(tmp_path / "scenes"))
    assert (about.origin, about.licence) == (SYNTHETIC.origin, "Apache-2.0")
    assert "synthetic" in about.title


@pytest.mark.parametrize("form", FORMATS)
def test_an_export_hands_its_licence_to_the_next(release, tmp_path, form):
    about = OWN_DATA.stated("Harbours: 2025", "CC-BY-4.0")
    export(open_source(release), form, tmp_path / "a", about=about)
    export(open_source(tmp_path / "a"), "parquet", tmp_path / "b")
    card = (tmp_path / "b" / "README.md").read_text()
    assert "license: cc-by-4.0\n" in card
    assert "# Harbours: 2025\n" in card
    assert load_dataset("earthreason", data_dir=tmp_path / "a", split="test").info.license == "CC-BY-4.0"


def test_the_sample_stays_synthetic_in_every_step(tmp_path, monkeypatch):
    few = configs.SampleConfig(counts=(("train", 1), ("val", 1), ("test", 2)))
    monkeypatch.setitem(configs.CONFIGS, "sample", few)
    export(open_source("sample"), "release", tmp_path / "a")
    export(open_source(tmp_path / "a"), "coco", tmp_path / "b")
    info = json.loads((tmp_path / "b" / "annotations" / "test.json").read_text())["info"]
    assert info["description"] == f"EarthReason sample. {SYNTHETIC.origin}"


def test_related_sets_keep_their_own_description(tmp_path):
    folder = tmp_path / "set" / "val"
    folder.mkdir(parents=True)
    write_sample(tmp_path / "made", "a")
    (tmp_path / "made" / "images" / "a.jpg").rename(folder / "a.jpg")
    shape = {"label": "target", "points": [[1, 1], [9, 1], [9, 9]]}
    (folder / "a.json").write_text(json.dumps({"text": ["where?"], "is_sentence": True, "shapes": [shape]}))
    source = open_source(tmp_path / "set")
    assert source.name == "reasonseg"
    assert about_of(source).title.startswith("ReasonSeg")
    assert load_dataset("earthreason", data_dir=tmp_path / "set").values()
    export(source, "parquet", tmp_path / "out")
    assert "# ReasonSeg" in (tmp_path / "out" / "README.md").read_text()


def test_a_broken_description_is_named(release):
    (release / "about.json").write_text('{"colour": 1}')
    with pytest.raises(DataFormatError, match=r"about\.json: not title, licence and origin"):
        about_of(open_source(release))


# What others read


@pytest.mark.parametrize("form", ["parquet", "webdataset"])
def test_plain_datasets_shows_licence_citation_and_description_of_an_export(tmp_path, form):
    export(Memory(several()), form, tmp_path / "out", about=OFFICIAL)
    info = datasets.load_dataset(str(tmp_path / "out"), split="test", cache_dir=str(tmp_path / "cache")).info
    assert (info.license, info.citation) == (OFFICIAL.licence, OFFICIAL.citation)
    assert info.homepage == "https://huggingface.co/datasets/earth-insights/EarthReason"
    assert info.description == f"EarthReason\n{OFFICIAL.origin}"


def test_an_export_of_ones_own_data_claims_nothing_of_the_official_release(release, tmp_path):
    source = open_source(release)
    export(source, "parquet", tmp_path / "own")
    export(source, "parquet", tmp_path / "named", about=about_of(source).stated("Harbours", "CC-BY-4.0"))
    for name, title, licence in (("own", OWN_DATA.title, "unknown"), ("named", "Harbours", "CC-BY-4.0")):
        card = (tmp_path / name / "README.md").read_text()
        metadata = json.loads((tmp_path / name / "croissant.json").read_text())
        assert f"license: {licence.lower()}\n" in card
        assert f"# {title}\n" in card
        assert (metadata["name"], metadata["license"]) == (title, licence)
        assert not {"url", "creator", "citeAs", "datePublished"} & set(metadata)
        for claim in CLAIMS:
            assert claim not in card + json.dumps(metadata)


def test_card_and_metadata_of_the_official_release_say_the_same(tmp_path):
    export(Memory(several()), "parquet", tmp_path / "out", about=OFFICIAL)
    card = (tmp_path / "out" / "README.md").read_text()
    metadata = mlcroissant.Dataset(jsonld=tmp_path / "out" / "croissant.json").metadata
    assert OFFICIAL.licence in card
    assert "license: other\n" in card
    assert metadata.license == [OFFICIAL.licence]
    assert (metadata.url, metadata.cite_as) == (OFFICIAL.url, OFFICIAL.citation)
    assert [each.name for each in metadata.creators] == ["earth-insights"]


def test_a_card_is_written_without_any_sample(tmp_path):
    write_prepared(tmp_path / "card", "default", {}, {})
    assert "Rows: ." in (tmp_path / "card" / "README.md").read_text()


def test_a_parquet_export_loads_without_this_package(tmp_path):
    out = tmp_path / "sample"
    export(open_source("sample"), "parquet", out)
    code = (
        f"import datasets; d = datasets.load_dataset({str(out)!r}, split='test'); print(len(d), d[3]['questions'][0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    ours = load_dataset("earthreason", "sample", split="test")
    assert done.stdout.strip() == f"{len(ours)} {ours[3]['questions'][0]}"


def test_every_configuration_is_listed_without_data_and_network(tmp_path):
    code = (
        "import datasets, earthreason\n"
        "print(*datasets.get_dataset_config_names('earthreason'))\n"
        "print(datasets.get_dataset_default_config_name('earthreason'))\n"
    )
    variables = {name: value for name, value in os.environ.items() if name != "EARTHREASON_DATA"}
    home = {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=variables | home, check=True
    )
    names, default = done.stdout.splitlines()
    assert names.split() == list(CONFIGS)
    assert {"default", "sample", "rrsis-d", "refsegrs", "reasonseg"} <= set(names.split())
    assert default == "default"
    assert not list((tmp_path / "home").rglob("*.parquet"))
