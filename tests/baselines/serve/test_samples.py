"""The samples: the shipped checkpoint answers them well, so that a first look shows what a model can do."""

import numpy as np
import pytest

from baselines.serve.pictures import check_picture
from baselines.serve.samples import _CHOSEN, _WITHOUT, Samples
from baselines.serve.segmenting import answer_scene
from earthreason.synthetic.generate import compose_scene

pytest.importorskip("torch", reason="the extra baselines is not installed")


@pytest.fixture(scope="module")
def tiny():
    from baselines.registry import build_shipped

    return build_shipped("tiny")


def marked(tiny, tmp_path, sample):
    """Return the masks of a sample's questions, (questions, height, width)."""
    path = tmp_path / "sample.jpg"
    path.write_bytes(sample.content)
    with (
        check_picture(path, sample.name, 1 << 20).open() as scene,
        answer_scene(tiny, scene, path, sample.questions, None) as (answers, _),
    ):
        return np.stack([answer.raster.mask(answers.grid.whole) for answer in answers.answers])


@pytest.mark.parametrize("name", _CHOSEN)
def test_the_shipped_checkpoint_marks_what_each_question_means(tiny, tmp_path, name):
    category, seed, _ = _CHOSEN[name]
    truth = compose_scene(
        seed, "val", 0, size=(512, 512), empty_share=0.0, wording="train", categories=[category],
        reasoning_type="function",
    ).target.mask  # fmt: skip
    for mask in marked(tiny, tmp_path, Samples().by_name[name]):
        assert (mask & truth).sum() / (mask | truth).sum() > 0.6


def test_the_shipped_checkpoint_finds_nothing_where_there_is_nothing(tiny, tmp_path):
    assert not marked(tiny, tmp_path, Samples().by_name[_WITHOUT[0]]).any()
