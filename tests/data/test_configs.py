import os
import subprocess
import sys
from pathlib import Path

import pytest

from earthreason.data import configs

ROOT = Path(__file__).resolve().parents[2]


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
def test_prepared_folders_are_in_the_cache_of_datasets_before_and_after_its_import(variables, tmp_path):
    code = """
import sys
from earthreason.data.configs import prepared_root
before = prepared_root()
assert "datasets" not in sys.modules
from datasets import config
assert before == prepared_root() == config.HF_DATASETS_CACHE / "earthreason-prepared", before
"""
    names = ("HF_HOME", "XDG_CACHE_HOME", "HF_DATASETS_CACHE")
    kept = {name: value for name, value in os.environ.items() if name not in names}
    environment = {**kept, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), **variables}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_sample_with_other_columns_is_prepared_anew(monkeypatch):
    monkeypatch.setattr(configs, "_prepare_once", lambda config, prefix, key, *_: key)
    before = configs.SampleConfig().prepare(None)
    monkeypatch.setattr(configs, "FORMAT", configs.FORMAT + 1)
    assert configs.SampleConfig().prepare(None) != before
