"""What tells one run's data and weights from another's, and what a comparison measures."""

from types import SimpleNamespace

import pytest
import torch
from datasets import Dataset

from baselines.compare import measure
from baselines.compare.identity import hash_folder, hash_rows, identify_model
from baselines.training.config import ModelConfig, TrainConfig
from baselines.training.learner import build_learner


def hash_of(*rows):
    return hash_rows(Dataset.from_list(list(rows)))


@pytest.mark.parametrize(
    ("rows", "other"),
    [
        ([{"a": "x", "b": "yz"}], [{"a": "xy", "b": "z"}]),
        ([{"a": ["x", "y"]}], [{"a": ["xy"]}]),
        ([{"a": [b"x", b"yz"]}], [{"a": [b"xy", b"z"]}]),
        ([{"a": [["x"], ["y"]]}], [{"a": [["x", "y"], []]}]),
        ([{"a": "x"}, {"a": "y"}], [{"a": "y"}, {"a": "x"}]),
        ([{"a": 1}], [{"a": "1"}]),
        ([{"a": 1}], [{"b": 1}]),
        ([{"a": None}], [{"a": ""}]),
    ],
)
def test_rows_of_other_content_have_another_hash(rows, other):
    assert hash_of(*rows) != hash_of(*other)


def test_the_order_of_the_columns_does_not_count():
    assert hash_of({"a": 1, "b": ["x"]}) == hash_of({"b": ["x"], "a": 1})


def test_the_hash_of_a_model_depends_on_the_names_and_the_content_of_its_files(tmp_path):
    (tmp_path / "a").write_text("1")
    found = [hash_folder(tmp_path)]
    (tmp_path / "a").rename(tmp_path / "b")
    found.append(hash_folder(tmp_path))
    (tmp_path / "b").write_text("2")
    found.append(hash_folder(tmp_path))
    assert len(set(found)) == 3


def test_a_model_is_identified_by_its_configuration_its_shapes_and_the_files_it_starts_from(tmp_path):
    def identify(**settings):
        return identify_model(TrainConfig(model=ModelConfig(size="mini", image_size=128, **settings)), list)

    first = identify()
    assert first == identify()
    assert first != identify(architecture={"no_target_head": True})
    learner = build_learner(TrainConfig(model=ModelConfig(size="mini", image_size=128)), list)
    learner.save(learner.model, tmp_path)
    started = identify(checkpoint=str(tmp_path))
    assert started.keys() - first.keys() == {"files of model.checkpoint"}
    with torch.no_grad():
        next(learner.model.parameters()).add_(1)
    learner.save(learner.model, tmp_path)
    again = identify(checkpoint=str(tmp_path))
    assert started["architecture"] == again["architecture"]
    assert started["files of model.checkpoint"] != again["files of model.checkpoint"]


@pytest.mark.parametrize(
    ("times", "count", "fastest"),
    [
        ([10.0, 1.0, 4.0], 3, 1.0),
        ([0.5, 0.5, 0.25, 1.5, 0.5], 5, 0.25),  # the first four take 2.75 seconds
    ],
)
def test_speed_is_that_of_the_fastest_of_three_rounds_and_seconds_after_one_that_does_not_count(
    monkeypatch, times, count, fastest
):
    rounds = []
    clock = iter([reading for number, time in enumerate(times) for reading in (100.0 * number, 100.0 * number + time)])
    monkeypatch.setattr(measure.time, "perf_counter", lambda: next(clock))
    predictor = SimpleNamespace(predict=lambda images, questions: rounds.append(questions))
    samples = [SimpleNamespace(image=None, questions=[f"{n}?", "other?"]) for n in range(8)]
    assert measure.measure_predictor(predictor, samples) == {"samples_per_second": 8 / fastest}
    assert rounds == [[f"{n}?" for n in range(8)]] * (1 + count)
