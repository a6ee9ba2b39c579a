"""`earthreason datasets` lists every set, and what of it is at hand."""

import json

import pytest
from typer.testing import CliRunner

from earthreason import load_dataset
from earthreason.cli.main import app
from earthreason.data.configs import CONFIGS
from earthreason.errors import UnknownNameError
from tests.data.fakes import refsegrs, risbench, rrsis_d


def run(*arguments, columns=80, **variables):
    result = CliRunner().invoke(app, ["datasets", *arguments], env={"COLUMNS": str(columns), **variables})
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def cache(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def test_every_configuration_is_listed(cache):
    sets = json.loads(run("--json", "-"))
    assert {name for listed in sets for name in (listed["name"], *listed["variants"])} == set(CONFIGS)


@pytest.mark.parametrize("columns", [80, 200])
def test_the_table_fits_the_terminal_and_has_sizes_and_licences(cache, columns):
    lines = run(columns=columns).splitlines()
    assert max(map(len, lines)) <= columns
    (row,) = (line for line in lines if line.split()[:1] == ["rrsis-d"])
    assert "12,181 / 1,740 / 3,481" in row
    assert "unknown" in row
    assert row.split()[-1] == "no"
    assert ("https://arxiv.org/abs/2312.12470" in row) == (columns == 200)


def test_one_set_is_described_in_full(cache):
    text = run("refsegrs")
    for part in (
        "samples: train 2,172, validation 431, test 1,817",
        "licence: CC-BY-4.0",
        "paper: https://arxiv.org/abs/2306.08625",
        "citation: RRSIS: Referring Remote Sensing Image Segmentation",
        "get it from: https://huggingface.co/datasets/JessicaYuan/RefSegRS",
        "revision: 6aed24edec3ffa32e9872d2d505971b7dae44b7a",
    ):
        assert part in text


def test_sets_that_were_prepared_or_found_are_at_hand(cache, tmp_path):
    data = tmp_path / "data"
    refsegrs.make(data / "RefSegRS")
    rrsis_d.make(data / "RRSIS-D")
    risbench.make(tmp_path / "elsewhere")
    load_dataset("earthreason", "risbench", data_dir=tmp_path / "elsewhere")
    sets = {listed["name"]: listed for listed in json.loads(run("--json", "-", EARTHREASON_DATA=str(data)))}
    assert sets["refsegrs"]["found"] == str(data / "RefSegRS")
    assert sets["rrsis-d"]["found"] == str(data / "RRSIS-D")
    assert sets["default"]["found"] is None
    assert [listed["samples"] for listed in sets["risbench"]["prepared"]] == [{"train": 2, "validation": 1, "test": 2}]
    rows = {line.split()[0]: line.split()[-1] for line in run(EARTHREASON_DATA=str(data)).splitlines() if line.strip()}
    assert (rows["refsegrs"], rows["risbench"], rows["sample"]) == ("found", "prepared", "no")


def test_the_release_is_found_as_the_set_that_default_loads(cache, release):
    sets = {listed["name"]: listed for listed in json.loads(run("--json", "-", EARTHREASON_DATA=str(release)))}
    assert {name for name, listed in sets.items() if listed["found"]} == {"default"}
    assert sets["default"]["found"] == str(release)


def test_a_name_that_is_none_names_the_nearest(cache):
    result = CliRunner().invoke(app, ["datasets", "risbensh"])
    assert isinstance(result.exception, UnknownNameError)
    assert "did you mean 'risbench'" in str(result.exception)
