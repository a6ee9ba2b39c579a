"""LISA, PixelLM and PSALM train, save, load and answer through the commands and types of SegEarth-R1."""

import csv
import json
import re

import pytest
import torch
from typer.testing import CliRunner

from baselines.cli import app
from baselines.common.prompt import IGNORE, NO_TARGET_ANSWER
from baselines.registry import PredictorOptions, build_predictor
from baselines.training.config import ArchitectureConfig, TrainConfig
from baselines.training.learner import build_learner
from baselines.training.loop import train
from earthreason import load_dataset
from earthreason.errors import EarthReasonError
from earthreason.torch import PixelReasoningDataset

IDEAS = ("lisa", "pixellm", "psalm")
UNREAD = {
    "lisa": re.compile(r"vision_tower\.clip\..*layers\.1\.|post_layernorm|hypernetworks_mlps\.[123]\."),
    "pixellm": re.compile(r"vision_tower\..*layers\.3\.|post_layernorm"),
    "psalm": re.compile(r"pixel_decoder\.level_embed"),
}
"""CLIP after its last but one layer; SAM's masks that are for several answers at once; what only moves deformable
attention, whose weights start at zero."""


def config_of(name, **changes):
    return TrainConfig.model_validate(
        {
            "log_every": 1,
            "save_every": 0,
            "model": {
                "name": name,
                "size": "mini",
                "freeze_vision": False,
                "tokenizer": "learned",
                "architecture": {"no_target_head": True},
            },
            "data": {"config": "sample", "train": "train[:8]", "validation": "train[:8]"},
            "optim": {
                "learning_rate": 2e-3,
                "global_batch": 8,
                "micro_batch": 8,
                "steps": 2,
                "clip": 1.0,
                "warmup_share": 0.1,
                **changes.pop("optim", {}),
            },
            **changes,
        }
    )


def learner_of(name):
    return build_learner(config_of(name), lambda: ["where could a boat moor?"] * 3)


@pytest.fixture(scope="module")
def items():
    dataset = PixelReasoningDataset(load_dataset("earthreason", "sample", split="train"), 256)
    chosen = [next(n for n, empty in enumerate(dataset.rows["is_empty"]) if empty is kind) for kind in (True, False)]
    return [dataset[n] for n in chosen]


@pytest.mark.parametrize("name", IDEAS)
def test_gradients_reach_everything_that_is_trained(name, items):
    learner = learner_of(name)
    learner.model.eval()  # stochastic depth may leave a block out for both items
    output = learner.model(**learner.collate(items))
    assert output.mask_logits.shape == (2, 64, 64)
    assert output.presence_logits.shape == (2,)
    assert output.loss.item() == pytest.approx(sum(value.item() for value in output.losses.values()), rel=1e-5)
    output.loss.backward()
    trained = {n: p for n, p in learner.model.named_parameters() if p.requires_grad and not UNREAD[name].search(n)}
    silent = [n for n, p in trained.items() if p.grad is None or not p.grad.abs().max() > 1e-9]
    assert [n for n in silent if not n.endswith("k_proj.bias")] == []  # moves all scores of a softmax alike


@pytest.mark.parametrize("name", IDEAS)
def test_a_new_encoder_tells_images_apart(name):
    learner = learner_of(name)
    images = load_dataset("earthreason", "sample", split="test[:4]")["image"]
    with torch.no_grad():
        features = learner.model.encode_image(learner.processor.pixels(images))
    for value in (*vars(features).values(),):
        for part in (value,) if isinstance(value, torch.Tensor) else value:
            if part.dtype is torch.bool:  # whether a token shows the image; here all do
                continue
            assert part.std(0).mean() > 0.05 * part.std()


@pytest.mark.parametrize("name", IDEAS)
def test_a_mask_depends_on_image_and_question(name, items):
    learner = learner_of(name)
    predictor = learner.predictor(learner.model)
    rows = load_dataset("earthreason", "sample", split="test[:2]")
    first, second = rows["image"]
    asked = ["where could a boat moor?", "which of these burns first?"]
    with torch.no_grad():
        base, other_question, other_image = (
            predictor._forward(predictor._prepare([image], [question]))[0]
            for image, question in ((first, asked[0]), (first, asked[1]), (second, asked[0]))
        )
    assert not torch.allclose(base, other_question, atol=1e-6)
    assert not torch.allclose(base, other_image, atol=1e-6)


def test_lisa_freezes_all_that_comes_with_its_encoders():
    config = config_of("lisa")
    frozen = config.model_copy(update={"model": config.model.model_copy(update={"freeze_vision": True})})
    model = build_learner(frozen, lambda: ["where could a boat moor?"] * 3).model
    trained = {n.split(".")[0] for n, p in model.named_parameters() if p.requires_grad}
    assert trained == {"language_model", "lm_head", "query", "mask_decoder", "presence", "mask_offset"}


@pytest.mark.parametrize("name", ["lisa", "pixellm"])
def test_referring_questions_have_no_answer_to_learn(name):
    processor = learner_of(name).processor
    learned = {}
    for task in ("reasoning", "referring"):
        prompt = processor.prompt("where is it?", task, None, reply=True)
        learned[task] = processor.tokenizer.decode([i for i in prompt.labels if i != IGNORE])
    assert NO_TARGET_ANSWER in learned["reasoning"]
    assert NO_TARGET_ANSWER not in learned["referring"]


@pytest.mark.parametrize("name", IDEAS)
def test_trained_saved_loaded_and_scored_through_the_commands(name, tmp_path):
    config, run = tmp_path / "c.json", tmp_path / "run"
    config.write_text(json.dumps(config_of(name).model_dump(mode="json")))
    done = CliRunner().invoke(app, ["train", name, "--config", str(config), "--out", str(run)])
    assert done.exit_code == 0, done.output
    predictions = tmp_path / "p.json"
    chosen = f"--model {name} --checkpoint {run / 'final'} --config sample --split test[:4] --out {predictions}"
    command = ["predict", *chosen.split()]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert len(json.loads(predictions.read_text())["predictions"]) == 4


@pytest.mark.parametrize("name", IDEAS)
def test_questions_about_one_image_share_its_features_and_a_batch_answers_as_one_by_one(name):
    learner = learner_of(name)
    predictor = learner.predictor(learner.model)
    row = load_dataset("earthreason", "sample", split="test[:1]")[0]
    asked = ["where could a boat moor?", "which of these burns first, and why would it do so?", "a?"]
    together = [logits for logits, _ in predictor.logits([row["image"]] * 3, asked)]
    for question, logits in zip(asked, together, strict=True):
        ((alone, _),) = predictor.logits([row["image"]], [question])
        assert torch.allclose(alone, logits, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", IDEAS)
def test_it_learns_eight_samples_by_heart(name, tmp_path):
    steps, rate = {"lisa": (400, 1e-3), "pixellm": (300, 1e-3), "psalm": (150, 2e-3)}[name]
    config = config_of(name, log_every=steps, validate_every=steps, optim={"steps": steps, "learning_rate": rate})
    train(config, tmp_path / "run")
    with (tmp_path / "run" / "metrics.csv").open() as file:
        found = {row["name"]: float(row["value"]) for row in csv.DictReader(file) if int(row["step"]) == steps}
    assert found["validation_gIoU"] > 0.9


def test_a_part_that_a_model_does_not_have_is_named():
    config = config_of("lisa")
    model = config.model.model_copy(update={"architecture": ArchitectureConfig(d_projector=False)})
    with pytest.raises(EarthReasonError, match=r"architecture\.d_projector: lisa has no such part"):
        build_learner(config.model_copy(update={"model": model}), list)


def test_a_checkpoint_of_another_idea_is_named(tmp_path):
    learner = learner_of("lisa")
    learner.save(learner.model, tmp_path)
    with pytest.raises(EarthReasonError, match="contains a earthreason_lisa model, not earthreason_psalm"):
        build_predictor("psalm", PredictorOptions(checkpoint=str(tmp_path)))
