"""What a step is made of does not depend on workers or processes; turned images keep their masks and words."""

import json
import pickle
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from baselines.training import data
from baselines.training.config import TrainConfig
from baselines.training.data import (
    StepDataset,
    check_texts,
    names_direction,
    order_of,
    resolution_of,
    turned,
    without_words,
)
from baselines.training.learner import build_learner
from baselines.training.order import Order, epoch_rows
from earthreason import load_dataset
from earthreason.errors import EarthReasonError
from tests.conftest import write_sample


def config_of(**data):
    return TrainConfig.model_validate(
        {
            "model": {"size": "mini"},
            "optim": {"global_batch": 4, "micro_batch": 2},
            "data": {"config": "sample", "question": "random", **data},
        }
    )


@pytest.fixture(scope="module")
def rows():
    return load_dataset("earthreason", "sample", split="train[:16]")


def dataset_of(rows, config, *ranks):
    return StepDataset(rows, build_learner(config, list), config, order_of(rows, config), *ranks)


def same(a, b):
    return [n for n, _ in a] == [n for n, _ in b] and all(
        torch.equal(x[key], y[key]) for (_, x), (_, y) in zip(a, b, strict=True) for key in x
    )


def test_worker_processes_give_what_a_thread_gives(rows):
    config = config_of(augment="dihedral")
    alone = list(dataset_of(rows, config).iterate(1, 6))
    shared = list(dataset_of(rows, config.model_copy(update={"workers": 2})).iterate(1, 6))
    assert len(alone) == 5
    assert all(same(a, b) for a, b in zip(alone, shared, strict=True))


def test_what_a_worker_process_gets_holds_no_model(rows):
    dataset = dataset_of(rows, config_of())
    assert len(pickle.dumps(dataset)) < 200_000  # the model has 2 MB


def test_two_ranks_together_see_what_one_sees(rows):
    config = config_of(augment="dihedral")
    whole = dataset_of(rows, config)[3]
    parts = [dataset_of(rows, config, rank, 2)[3] for rank in range(2)]
    assert same(whole, sorted(parts[0] + parts[1], key=lambda numbered: numbered[0]))


def test_a_global_batch_that_cannot_be_shared_is_refused(rows):
    with pytest.raises(EarthReasonError, match="multiple of optim.micro_batch"):
        dataset_of(rows, config_of(), 0, 3)


@given(st.integers(0, 7), st.integers(0, 2**32 - 1))
def test_image_and_mask_turn_together(symmetry, seed):
    mask = torch.from_numpy(np.random.default_rng(seed).random((8, 8)) < 0.5)
    item = {
        "image": mask.repeat(3, 1, 1).byte(),
        "mask": mask,
        "native_mask": mask,
        "question": "Where would a boat rest?",
        "answer": None,
    }
    found = turned(item, symmetry)
    assert torch.equal(found["image"][0].bool(), found["mask"])
    assert torch.equal(found["native_mask"], found["mask"])
    assert found["mask"].sum() == mask.sum()


def test_the_eight_symmetries_differ_and_the_first_changes_nothing():
    mask = torch.arange(9).view(3, 3)
    item = {"image": mask.repeat(3, 1, 1), "mask": mask, "native_mask": mask, "question": "q", "answer": None}
    seen = {tuple(turned(item, symmetry)["mask"].flatten().tolist()) for symmetry in range(8)}
    assert len(seen) == 8
    assert torch.equal(turned(item, 0)["mask"], mask)


@pytest.mark.parametrize(
    ("text", "directed"),
    [
        ("Which is on the left bank?", True),
        ("Where does the sun rise, towards the east?", True),
        ("the Northern edge", True),
        ("Which of them leaves most of the lawn free?", False),
        ("What is left over?", True),  # rather upright once too often
        ("the leftmost hangar", True),
        ("the rightmost one", True),
        ("the topmost field", True),
        ("the uppermost row", True),
        ("the bottommost pier", True),
        ("counterclockwise from the gate", True),
        ("moving rightwards", True),
        ("facing 3 o'clock", True),
        ("the first column of containers", True),
        ("the NE corner", True),
        ("further up in the image", True),
        ("which side is lit first at dawn", True),
        ("a row of houses by the columns of the temple", False),
        ("put down your rights, or straighten up", False),
        (None, False),
    ],
)
def test_words_of_direction_are_found(text, directed):
    assert names_direction([text]) is directed


def test_an_item_that_names_a_direction_stays_upright():
    mask = torch.arange(4).view(2, 2)
    item = {
        "image": mask.repeat(3, 1, 1),
        "mask": mask,
        "native_mask": mask,
        "question": "q",
        "answer": "the western one",
    }
    assert all(torch.equal(turned(item, symmetry)["mask"], mask) for symmetry in range(8))


@given(st.integers(4, 60), st.floats(0.05, 0.95), st.integers(0, 3))
def test_empty_targets_come_as_often_as_asked(samples, share, epoch):
    empties = tuple(range(0, samples, 3))
    order = Order(samples, 4, 1, empties, share)
    found = epoch_rows(order, epoch)
    counts = np.bincount(found, minlength=samples)
    chosen = np.isin(found, empties).sum()
    assert chosen == round(share * samples)
    others = np.delete(counts, empties)
    for kind in (counts[list(empties)], others):
        assert kind.max() - kind.min() <= 1


def test_asking_for_empty_targets_where_there_are_none_is_an_error(rows):
    filled = rows.filter(lambda row: not row["is_empty"])
    with pytest.raises(EarthReasonError, match="has no empty target"):
        order_of(filled, config_of(empty_share=0.3))


def test_a_text_that_does_not_fit_is_named_with_its_sample_before_training(rows):
    config = config_of()
    learner = build_learner(config, list)
    check_texts(rows, config, learner.collate)
    number = rows["is_empty"].index(False)
    long = rows.map(lambda row, n: {"answers": ["There! " * 500]} if n == number else {}, with_indices=True)
    name = rows[number]["sample_id"]
    with pytest.raises(EarthReasonError, match=f"training sample {name}: the answer has .*shorten it: 'There! There!"):
        check_texts(long, config, learner.collate)
    with pytest.raises(EarthReasonError, match="the question has .*shorten it: 'Where, where"):
        learner.processor.prompt("Where, " + "where " * 500, answer="There.", reply=True)


def test_the_reply_that_nothing_is_there_counts_when_texts_are_checked(rows):
    config = config_of()
    collate = build_learner(config, list).collate
    empty = rows.filter(lambda row: row["is_empty"]).select([0])
    longest = collate.processor.max_length - len(collate.processor.prompt("?", reply=True)) + 1
    for length, fits in ((longest, True), (longest + 1, False)):
        asked = empty.map(lambda row, length=length: {"questions": ["a" * length]})
        with nullcontext() if fits else pytest.raises(EarthReasonError, match="the question has .* 1 more than fit"):
            check_texts(asked, config, collate)


@pytest.mark.parametrize(
    ("asked", "cores", "gpu", "workers"),
    [
        (3, 8, True, 3),
        (0, 8, True, 0),
        ("auto", 8, True, 7),
        ("auto", 64, True, 16),
        ("auto", 1, True, 1),
        ("auto", 8, False, 0),
    ],
)
def test_beside_a_gpu_all_cores_but_one_load_data(asked, cores, gpu, workers, monkeypatch):
    monkeypatch.setattr(data, "usable_cores", lambda: cores)
    monkeypatch.setattr(data.torch.cuda, "is_available", lambda: gpu)
    assert data.count_workers(asked) == workers


def test_a_share_of_the_words_is_left_out_in_their_order():
    text = " ".join(str(number) for number in range(10_000))
    kept = [int(word) for word in without_words(text, 0.3, np.random.default_rng(0)).split()]
    assert kept == sorted(kept)
    assert 6_850 < len(kept) < 7_150  # three standard deviations around 7,000


def test_a_question_never_loses_all_its_words():
    assert without_words("Where?", 0.999, np.random.default_rng(0)) == "Where?"
    assert without_words("Where is it?", 0.0, np.random.default_rng(0)) == "Where is it?"


def test_the_range_of_ground_resolutions_is_that_of_the_split_on_the_canvas(tmp_path):
    """Scenes of 24 x 32 pixels of 1, 2 and 4 m, on a canvas of 64: 0.5, 1 and 2 m, less a tenth of the way to 1 m."""
    for number, gsd in enumerate((1.0, 2.0, 4.0)):
        write_sample(tmp_path / "train", f"s{number}")
        path = tmp_path / "train" / "QAs" / f"s{number}.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "ground_resolution": gsd}))
    rows = load_dataset("earthreason", split="train", data_dir=str(tmp_path))
    assert resolution_of(rows, 64) == pytest.approx((0.55, 1.9))
