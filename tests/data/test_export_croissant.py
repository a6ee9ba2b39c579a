"""Croissant metadata of parquet exports: mlcroissant loads the pixels and texts."""

import io
import logging

import mlcroissant
import numpy as np
import pytest
from PIL import Image

from earthreason.data.about import About
from earthreason.data.exports import export
from earthreason.data.reader import open_source
from tests.data.memory import Memory, box, several


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    about = About(
        "Harbours: a set", "CC-BY-4.0", 'Drawn "by hand".', published="2025-05-04", citation="A. and B., 2025"
    )
    out = tmp_path_factory.mktemp("croissant") / "out"
    export(Memory(several()), "parquet", out, about=about)
    return mlcroissant.Dataset(jsonld=out / "croissant.json")


def test_it_is_valid_and_states_what_is_known(described):
    issues, metadata = described.metadata.ctx.issues, described.metadata
    assert not issues.errors
    assert (metadata.name, metadata.license) == ("Harbours: a set", ["CC-BY-4.0"])
    assert (metadata.cite_as, str(metadata.date_published.date())) == ("A. and B., 2025", "2025-05-04")
    assert metadata.data_use_cases
    assert metadata.data_limitations
    assert {each.id for each in metadata.record_sets} == {"train", "test"}


def test_the_records_hold_pictures_masks_targets_questions_and_answers(described):
    first, second = described.records("train")
    kept = several()["train"]
    assert first["train/image"].tobytes() == open_picture(kept[0].image).tobytes()
    assert np.array_equal(np.asarray(first["train/mask"]), box(2, 3, 7, 13) * 255)
    assert first["train/ignore"] is None
    assert first["train/targets"] is None
    assert [text.decode() for text in first["train/questions"]] == ["Where is a?"]
    assert [text.decode() for text in first["train/answers"]] == ["There."]
    assert (first["train/category"], first["train/ground_resolution"]) == (b"lake", 0.5)
    assert np.array_equal(np.asarray(second["train/ignore"]), box(16, 0, 20, 9) * 255)
    targets = [np.asarray(target) for target in second["train/targets"]]
    assert np.array_equal(targets, [box(5, 10, 15, 25) * 255, box(2, 3, 7, 13) * 255])
    assert list(second["train/answers"]) == []


def test_facts_of_samples_without_target_are_there(described):
    first, _ = described.records("test")
    assert first["test/is_empty"]
    assert (first["test/height"], first["test/width"]) == (20, 30)
    assert first["test/extra"] == b'{"note": 1}'
    assert first["test/category"] is None


def open_picture(content):
    return Image.open(io.BytesIO(content)).convert("RGB")


def test_an_export_without_mlcroissant_is_complete_and_says_how_to_get_it(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("earthreason.data.writers.parquet.find_spec", lambda name: None)
    with caplog.at_level(logging.WARNING):
        export(Memory(several()), "parquet", tmp_path / "out")
    assert "pip install -e '.[croissant]'" in caplog.text
    assert not (tmp_path / "out" / "croissant.json").exists()
    assert open_source(tmp_path / "out").counts == {"train": 2, "test": 2}
