import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import datasets
import pytest

from earthreason.data import configs, prepared


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"HF_HOME": "~/home"},
        {"HF_HOME": ""},
        {"XDG_CACHE_HOME": "~/cache"},
        {"XDG_CACHE_HOME": "relative"},
        {"XDG_CACHE_HOME": ""},
        {"HF_DATASETS_CACHE": "/elsewhere"},
        {"HF_DATASETS_CACHE": "~/kept"},
        {"HF_DATASETS_CACHE": ""},
        {"HF_DATASETS_CACHE": "/elsewhere", "HF_HOME": "/home", "XDG_CACHE_HOME": "/cache"},
    ],
    ids=str,
)
def test_prepared_folders_are_in_the_cache_of_datasets_without_its_import(variables, monkeypatch, tmp_path):
    for name in ("HF_HOME", "XDG_CACHE_HOME", "HF_DATASETS_CACHE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": str(tmp_path), **variables}.items():
        monkeypatch.setenv(name, value)
    spec = spec_from_file_location("config_read_again", Path(datasets.__file__).with_name("config.py"))
    its_config = module_from_spec(spec)
    spec.loader.exec_module(its_config)
    monkeypatch.delitem(sys.modules, "datasets")
    assert configs.prepared_root() == its_config.HF_DATASETS_CACHE / "earthreason-prepared"


def test_a_cache_that_was_chosen_in_python_is_used(monkeypatch, tmp_path):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    assert configs.prepared_root() == tmp_path / "earthreason-prepared"


def test_a_sample_with_other_columns_is_prepared_anew(monkeypatch):
    before = prepared.versions_key()
    monkeypatch.setattr(prepared, "FORMAT", prepared.FORMAT + 1)
    assert prepared.versions_key() != before
