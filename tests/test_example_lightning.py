"""The validation score of the Lightning example is the judge's, and Lightning's own bookkeeping keeps it so."""

import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
lightning = pytest.importorskip("lightning")

from torch.utils.data import DataLoader  # noqa: E402

from earthreason import evaluate, load_dataset  # noqa: E402
from earthreason.masks.rle import encode_mask  # noqa: E402
from earthreason.metrics.torch import PixelReasoningMetric  # noqa: E402
from earthreason.predictions import write_predictions  # noqa: E402
from earthreason.torch import PixelReasoningDataset, collate, restore_logits  # noqa: E402
from earthreason.types import Prediction  # noqa: E402

SIDE = 32  # far below the size of the images, so that a target shrunk to the canvas differs from the target
EXAMPLES = str(Path(__file__).resolve().parent.parent / "examples")


@pytest.fixture(scope="module")
def split():
    return load_dataset("earthreason", "sample", split="validation[:10]")


@pytest.fixture
def example(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    import lightning_module

    monkeypatch.setattr(lightning_module, "SIDE", SIDE)
    yield lightning_module
    for name in ("lightning_module", "pytorch_loop"):
        sys.modules.pop(name, None)


def loader_of(split):
    return DataLoader(PixelReasoningDataset(split, SIDE), batch_size=4, collate_fn=collate)


def trainer(**options):
    quiet = {"enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    return lightning.Trainer(accelerator="cpu", devices=1, **{"logger": False, **quiet, **options})


def answer_with_shrunken_truth(monkeypatch, example, split):
    """Let the model predict the target as the canvas shows it: the best that a model can see there."""
    canvases = iter([batch["mask"] * 2.0 - 1 for _ in range(9) for batch in loader_of(split)])
    monkeypatch.setattr(example, "logits_of", lambda images: next(canvases))


def test_the_example_scores_what_evaluate_gives_for_the_same_predictions_in_a_file(
    monkeypatch, example, split, tmp_path
):
    answer_with_shrunken_truth(monkeypatch, example, split)
    module = example.PixelReasoning()
    predictions = []
    for item in PixelReasoningDataset(split, SIDE):
        mask = restore_logits(item["mask"] * 2.0 - 1, SIDE, item["height"], item["width"]) > 0
        predictions.append(Prediction(item["sample_id"], encode_mask(mask.numpy())))
    write_predictions(tmp_path / "predictions.json", predictions)
    expected = evaluate(tmp_path / "predictions.json", split, resamples=0)

    runner = trainer()
    (logged,) = runner.validate(module, loader_of(split), verbose=False)
    assert set(logged) == set(module.judge.names)
    for name, value in logged.items():
        judged = expected[module.judge.names[name]]
        assert value == pytest.approx(np.nan if judged is None else judged, abs=1e-6, nan_ok=True), name
    assert logged["gIoU"] < 0.97  # against the shrunken target it was 1.00
    (again,) = runner.validate(module, loader_of(split), verbose=False)
    assert again == pytest.approx(logged, nan_ok=True)  # Lightning has reset the metric in between


class Other(lightning.LightningModule):
    """The other ways to log: `compute` at the end of the epoch, and the value of `forward` in each step."""

    def __init__(self):
        super().__init__()
        self.judge, self.stepwise = PixelReasoningMetric("native"), PixelReasoningMetric("native")
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, _):
        self.stepwise(batch["native_mask"], batch["native_mask"], batch["sample_id"])
        self.log_dict({f"train/{name}": score for name, score in self.stepwise.items()}, on_step=True, on_epoch=True)
        return self.layer(torch.ones(1, 1)).sum()

    def validation_step(self, batch, _):
        self.judge.update(batch["native_mask"], batch["native_mask"], batch["sample_id"])

    def on_validation_epoch_end(self):
        self.log_dict({f"val/{name}": value for name, value in self.judge.compute().items()})
        self.judge.reset()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_scores_reach_tensorboard_by_their_names_and_a_checkpoint_can_watch_one(split, tmp_path):
    from lightning.pytorch.callbacks import ModelCheckpoint
    from lightning.pytorch.loggers import TensorBoardLogger
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    watch = ModelCheckpoint(tmp_path / "best", monitor="val/gIoU", mode="max", filename="best")
    logger = TensorBoardLogger(tmp_path, name="run", version="0")
    runner = trainer(logger=logger, callbacks=[watch], enable_checkpointing=True, max_epochs=2, log_every_n_steps=1)
    runner.fit(Other(), loader_of(split), loader_of(split))
    assert (tmp_path / "best" / "best.ckpt").is_file()
    events = EventAccumulator(str(tmp_path / "run" / "0")).Reload()
    for tag in ("val/gIoU", "val/Pr_0_5", "train/gIoU_step", "train/gIoU_epoch"):
        assert {event.value for event in events.Scalars(tag)} == {1.0}
