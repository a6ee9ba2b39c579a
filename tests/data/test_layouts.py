"""Every quirk of fabricated releases, alone and in pairs: what loads, what is left out, and what `verify` says."""

import io

import numpy as np
import pytest
from PIL import Image

from earthreason.data.audit.verify import audit
from earthreason.data.omissions import Tolerance
from earthreason.data.sources import open_folder_or_file
from tests.data.releases import ON_DISK, cases, fabricate


def pixels_of(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


@pytest.mark.parametrize("quirks", cases(), ids=lambda quirks: " + ".join(quirks) or "sound")
def test_what_is_sound_loads_and_the_rest_is_listed(tmp_path, quirks):
    root = tmp_path / "data"
    made = fabricate(root, quirks)
    before = sorted(path for path in root.rglob("*"))

    source = open_folder_or_file(root, Tolerance(share=1.0))
    loaded = {split: {record.sample_id: record for record in source.read(split)} for split in source.counts}

    assert source.name == "release"
    assert source.counts == dict.fromkeys(ON_DISK, 4)
    assert {(omission.split, omission.sample) for omission in source.omissions} == made.left_out
    for split, samples in made.samples.items():
        assert list(loaded[split]) == [f"{ON_DISK[split]}-{stem}" for stem in sorted(samples)]
        for stem, expected in samples.items():
            record = loaded[split][f"{ON_DISK[split]}-{stem}"]
            assert np.array_equal(pixels_of(record.image), expected.pixels)
            assert np.array_equal(pixels_of(record.mask)[..., 0] != 0, expected.mask)
            assert record.questions == expected.questions
    audited, names = audit(root), {f"{ON_DISK[split]}/{stem}" for split, stem in made.left_out}
    assert {name for finding in audited.findings if finding.severity == "error" for name in finding.samples} == names
    assert audited.left_out == sorted(names)
    assert sorted(path for path in root.rglob("*")) == before
