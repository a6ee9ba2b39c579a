"""RRSIS-HR and RRSIS-D against masks that pycocotools filled."""

import numpy as np
import pytest

from earthreason import load_dataset
from earthreason.data.sources.base import ON_DISK
from tests.data.fakes import rrsis_d, rrsis_hr


@pytest.mark.parametrize(("name", "fake", "start"), [("rrsis-d", rrsis_d, "rrsisd"), ("rrsis-hr", rrsis_hr, "rrsishr")])
def test_masks_and_sentences_are_those_of_the_set(name, fake, start, tmp_path):
    fake.make(tmp_path / "set")
    loaded = load_dataset("earthreason", name, data_dir=tmp_path / "set")
    for split, rows in loaded.items():
        (reference,) = (key for key, value in rrsis_d.SPLITS.items() if value == ON_DISK[split])
        (row,) = rows
        assert row["sample_id"] == f"{start}_{reference}"
        assert row["source"] == name.upper()
        assert row["questions"] == rrsis_d.SENTENCES[reference]
        assert row["category"] == rrsis_d.CATEGORIES[reference - 100]
        assert np.array_equal(np.asarray(row["mask"]) != 0, rrsis_d.mask_of(reference))
