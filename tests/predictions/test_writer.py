import json

import numpy as np
import pytest
from PIL import Image

from earthreason.errors import EarthReasonError
from earthreason.predictions import write_predictions
from earthreason.predictions.predict import predict_samples
from earthreason.types import Prediction, Sample


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(EarthReasonError, match=r"\.json or \.jsonl"):
        write_predictions(tmp_path / "preds.csv", [])


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "preds.json"
    write_predictions(path, [Prediction("old", None)])

    def interrupted():
        yield Prediction("new", None)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_predictions(path, interrupted())
    assert json.loads(path.read_text())["predictions"][0]["sample_id"] == "old"
    assert list(tmp_path.iterdir()) == [path]


class Stub:
    def __init__(self, answer):
        self.answer = answer
        self.batches = []

    def predict(self, images, questions):
        self.batches.append(questions)
        return self.answer(images)


SAMPLES = [Sample(f"s{k}", Image.new("RGB", (8, 5)), np.zeros((5, 8), bool), ["q0", "q1"]) for k in range(3)]


def test_samples_are_predicted_in_batches_and_in_order():
    stub = Stub(lambda images: [np.ones((5, 8), bool)] * len(images))
    predictions = list(predict_samples(stub, SAMPLES, "all", batch_size=4))
    assert [(p.sample_id, p.question_index) for p in predictions] == [(f"s{k}", q) for k in range(3) for q in range(2)]
    assert [len(batch) for batch in stub.batches] == [4, 2]


def test_an_empty_mask_is_no_target():
    stub = Stub(lambda images: [np.zeros((5, 8), bool), None, np.ones((5, 8), bool)][: len(images)])
    assert [p.segmentation is None for p in predict_samples(stub, SAMPLES)] == [True, True, False]


def test_wrong_sizes_and_counts_are_refused():
    with pytest.raises(EarthReasonError, match="sample 's0'"):
        list(predict_samples(Stub(lambda images: [np.ones((8, 5), bool)] * len(images)), SAMPLES))
    with pytest.raises(EarthReasonError, match="returned 1 mask for 3 questions"):
        list(predict_samples(Stub(lambda images: [None]), SAMPLES))


def test_logits_are_refused_and_floats_of_zero_and_one_taken():
    with pytest.raises(EarthReasonError, match="sample 's0': a float mask.*threshold it first"):
        list(predict_samples(Stub(lambda images: [np.full((5, 8), -5.0)] * len(images)), SAMPLES))
    (first, *_) = predict_samples(Stub(lambda images: [np.ones((5, 8))] * len(images)), SAMPLES)
    assert first.segmentation is not None
