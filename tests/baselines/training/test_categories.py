"""The category head learns from maps that lie on the image, and leaves no trace in what is saved."""

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from baselines.common.losses import UNMAPPED, category_loss
from baselines.segearth_r1.predictor import SegEarthR1Predictor
from baselines.training import loop
from baselines.training.categories import CategoryMaps, on_features, place_map
from baselines.training.config import DataConfig, TrainConfig
from baselines.training.data import StepDataset, order_of, turned
from baselines.training.learner import build_learner
from baselines.training.loop import train
from earthreason import load_dataset
from earthreason.errors import EarthReasonError
from earthreason.synthetic import write_release
from tests.baselines.training.test_loop import losses


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes") / "set"
    write_release(folder, {"train": 8}, seed=3, size=(128, 128), category_maps=True)
    return folder


def config_of(scenes, **changes):
    optim = {"learning_rate": 2e-3, "global_batch": 4, "micro_batch": 4, "steps": 4, "clip": 1.0}
    values = {
        "log_every": 1,
        "save_every": 2,
        "model": {"size": "mini", "freeze_vision": False, "image_size": 128},
        "data": {"data_dir": str(scenes), "validation": "train[:2]", "category_maps": True, **changes.pop("data", {})},
        "optim": {**optim, **changes.pop("optim", {})},
    }
    return TrainConfig.model_validate({**values, **changes})


def test_the_loss_is_the_cross_entropy_worked_by_hand():
    # Two classes. Pixels: logits (0, log 3) of class 1, (0, 0) of class 0, one unmapped, one (log 3, 0) of class 1.
    logits = torch.tensor([[0.0, 0.0, 9.0, math.log(3)], [math.log(3), 0.0, -9.0, 0.0]]).view(1, 2, 2, 2)
    categories = torch.tensor([[[1, 0], [UNMAPPED, 1]]], dtype=torch.uint8)
    expected = (math.log(4 / 3) + math.log(2) + math.log(4)) / 3
    assert category_loss(logits, categories).item() == pytest.approx(expected, rel=1e-6)


def test_samples_without_a_map_have_no_loss_and_no_gradient():
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    categories = torch.full((2, 4, 4), UNMAPPED, dtype=torch.uint8)
    loss = category_loss(logits, categories)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))
    categories[1] = 2
    alone = category_loss(logits[1:], categories[1:])
    assert category_loss(logits, categories).item() == pytest.approx(alone.item())


@pytest.mark.parametrize("symmetry", range(8))
def test_map_image_and_mask_turn_together(symmetry):
    values = torch.from_numpy(np.random.default_rng(symmetry).integers(0, 9, (8, 8), dtype=np.uint8))
    item = {"image": values.repeat(3, 1, 1), "mask": values > 4, "native_mask": values > 4, "categories": values}
    found = turned({**item, "question": "Where would a boat rest?", "answer": None}, symmetry)
    independent = np.rot90(values.numpy(), symmetry % 4)
    independent = independent[:, ::-1] if symmetry >= 4 else independent
    assert np.array_equal(found["categories"].numpy(), independent)
    assert torch.equal(found["image"][0], found["categories"])
    assert torch.equal(found["mask"], found["categories"] > 4)


def test_a_map_lies_on_the_canvas_as_its_mask_does(scenes):
    rows = load_dataset("earthreason", split="train", data_dir=str(scenes))
    config = config_of(scenes)
    dataset = StepDataset(rows, build_learner(config, list), config, order_of(rows, config))
    names = json.loads((scenes / "train" / "categories" / "categories.json").read_text())
    for row in range(len(rows)):
        item, category = dataset._item(row, 0), rows[row]["category"]
        if not rows[row]["is_empty"]:
            shown = {names[value] for value in item["categories"][item["mask"]].unique()}
            assert category in shown
    assert on_features(torch.arange(64).view(8, 8)).tolist() == [[18, 22], [50, 54]]


def test_a_wide_map_is_padded_with_no_category():
    values = np.array([[1, 2, 3, 4]] * 2, np.uint8)  # 2 x 4 on 4 x 4: one row of padding above and below
    assert place_map(values, 4).tolist() == [[0] * 4, [1, 2, 3, 4], [1, 2, 3, 4], [0] * 4]


def test_workers_give_what_a_thread_gives_in_shapes_that_never_change(scenes):
    rows = load_dataset("earthreason", split="train", data_dir=str(scenes))

    def batches(workers):
        config = config_of(scenes, workers=workers, data={"augment": "dihedral"})
        dataset = StepDataset(rows, build_learner(config, list), config, order_of(rows, config))
        return [passes[0][1]["categories"] for passes in dataset.iterate(0, 3)]

    alone, shared = batches(0), batches(2)
    assert {(tuple(maps.shape), maps.dtype) for maps in alone} == {((4, 32, 32), torch.uint8)}
    assert all(map(torch.equal, alone, shared))


def test_the_head_trains_resumes_and_is_not_saved(scenes, tmp_path, monkeypatch):
    runs, start = [], loop.TrainingRun.resume
    monkeypatch.setattr(loop.TrainingRun, "resume", lambda run: runs.append(run) or start(run))
    train(config_of(scenes, optim={"ema": 0.5}, validate_every=2), tmp_path / "run")
    train(config_of(scenes, optim={"ema": 0.5}, validate_every=2), tmp_path / "run")  # from its last checkpoint
    first, again = (run.model.category_head.weight for run in runs)
    assert torch.equal(first, again)
    fresh = build_learner(config_of(scenes), list).model.category_head.weight
    assert not torch.equal(first, fresh)
    assert set(losses(tmp_path / "run", "category")) == {1, 2, 3, 4}
    for name in ("final", "best"):
        assert not [key for key in load_file(tmp_path / "run" / name / "model.safetensors") if "category" in key]
        assert "category" not in (tmp_path / "run" / name / "config.json").read_text()
    predictor = SegEarthR1Predictor.from_pretrained(tmp_path / "run" / "final")
    assert predictor.model.category_head is None


def test_a_weight_of_0_gives_the_losses_of_a_run_without_maps(scenes, tmp_path):
    train(config_of(scenes, optim={"category_weight": 0.0, "clip": 0.0}), tmp_path / "with")
    train(config_of(scenes, optim={"clip": 0.0}, data={"category_maps": False}), tmp_path / "without")
    with_head, without = (load_file(tmp_path / name / "final" / "model.safetensors") for name in ("with", "without"))
    assert with_head.keys() == without.keys()
    for name in ("mask", "dice", "language"):  # Adam enlarges rounding in the weights, where gradients are near 0
        assert losses(tmp_path / "with", name) == pytest.approx(losses(tmp_path / "without", name), rel=1e-3)


def test_psalm_has_the_head_too(scenes):
    config = config_of(scenes, model={"name": "psalm", "size": "mini", "image_size": 128})
    rows = load_dataset("earthreason", split="train", data_dir=str(scenes))
    learner = build_learner(config, list)
    [(_, batch)] = StepDataset(rows, learner, config, order_of(rows, config))[0]
    learner.model(**batch).loss.backward()
    assert learner.model.category_head.weight.grad.abs().sum() > 0


def test_four_scenes_are_learned_by_heart(scenes):
    """The head alone on features that a few steps can move: the loss falls far below that of guessing."""
    config = config_of(scenes)
    learner = build_learner(config, list)
    rows = load_dataset("earthreason", split="train[:4]", data_dir=str(scenes))
    dataset = StepDataset(rows, learner, config, order_of(rows, config))
    [(_, batch)] = dataset[0]
    model = learner.model.train()
    optimizer, history = torch.optim.AdamW(model.parameters(), lr=3e-3), []
    for _ in range(40):
        features = model.encode_image(batch["pixel_values"]).mask_features
        loss = category_loss(model.category_head(features), batch["categories"])
        history.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert history[-1] < 0.3 * history[0]


def refused(config, match):
    with pytest.raises(EarthReasonError, match=match):
        CategoryMaps.of(DataConfig.model_validate({"category_maps": True, **config}))


def test_missing_maps_are_one_clear_error(scenes, tmp_path):
    (tmp_path / "train").mkdir()
    remedy = "write them with `earthreason synth --category-maps`, or set data.category_maps=false"
    refused({"data_dir": str(tmp_path)}, f"{tmp_path} has no categories/categories.json.*'train'; {remedy}")
    refused({}, f"needs data.data_dir.*{remedy}")
    refused({"data_dir": str(scenes), "train": "validation"}, "'validation'")
    with pytest.raises(EarthReasonError, match="has no categories/categories.json"):
        build_learner(config_of(tmp_path), list)


def test_a_damaged_map_is_named(scenes, tmp_path):
    maps = CategoryMaps.of(DataConfig(data_dir=str(scenes), category_maps=True, train="train[:4]+train[4:]"))
    folder = tmp_path / "categories"
    folder.mkdir()
    damaged = CategoryMaps((folder,), maps.names[:3])
    assert (damaged.read("absent", (4, 4), 128) == UNMAPPED).all()
    for name, values in (("wide", np.zeros((4, 5), np.uint8)), ("high", np.full((4, 4), 3, np.uint8))):
        Image.fromarray(values).save(folder / f"{name}.png")
    (folder / "torn.png").write_bytes(b"\x89PNG")
    for name, reason in (
        ("wide", "not uint8 4x5"),
        ("high", "the value 3, but there are 3"),
        ("torn", "not a readable"),
    ):
        with pytest.raises(EarthReasonError, match=f"{name}.png.*{reason}"):
            damaged.read(name, (4, 4), 128)


def test_a_model_without_mask_features_is_refused(scenes):
    config = config_of(scenes, model={"name": "lisa", "size": "mini", "image_size": 128})
    with pytest.raises(EarthReasonError, match="LisaModel can have no category head"):
        build_learner(config, list)
