"""The scores that the training examples report are those of `earthreason.evaluate` for the same answers.

The rows have targets and none, the batches of four leave an uneven last one, and the canvas is far smaller than the
images, so that a target shrunk to it would be seen in the scores.
"""

import importlib
import json
import os
import subprocess
import sys

import pytest

from earthreason import evaluate, load_dataset
from tests.conftest import ROOT

torch = pytest.importorskip("torch")

from torch.utils.data import DataLoader, Subset  # noqa: E402

from earthreason.torch import PixelReasoningDataset, collate, restore_logits  # noqa: E402

EXAMPLES = ROOT / "examples"
SIDE, BATCH, COUNT = 32, 4, 10


@pytest.fixture(scope="module")
def rows():
    """Seven rows with a target, and three without."""
    rows = load_dataset("earthreason", "sample", split="validation")
    order = sorted(range(len(rows)), key=lambda number: rows[number]["is_empty"])
    return rows.select([*order[:7], *order[-3:]])


@pytest.fixture
def example(monkeypatch):
    """Import an example as the program that lies beside the other one."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield importlib.import_module
    for name in ("lightning_module", "pytorch_loop"):
        sys.modules.pop(name, None)


def loader_of(rows, numbers=None, **options):
    dataset = PixelReasoningDataset(rows, SIDE)
    part = dataset if numbers is None else Subset(dataset, numbers)
    return DataLoader(part, batch_size=BATCH, collate_fn=collate, **options)


def answering(loop, seed=0):
    """A network with answers of many shapes: random weights, and a threshold amid its logits."""
    torch.manual_seed(seed)
    network = loop.build_network()
    with torch.no_grad():
        network[-1].weight *= 50
    return network


def answers_of(network, rows, loop):
    """Answer row by row, without the loop's batches."""
    answers = {}
    for item in PixelReasoningDataset(rows, SIDE):
        with torch.inference_mode():
            logits = loop.logits_of(network, item["image"].unsqueeze(0))[0]
        answers[item["sample_id"]] = (restore_logits(logits, SIDE, item["height"], item["width"]) > 0).numpy()
    return answers


def test_the_plain_loop_scores_as_evaluate(rows, example):
    loop = example("pytorch_loop")
    network = answering(loop)
    network.train()
    judge = loop.validate(network, loader_of(rows))
    expected = evaluate(answers_of(network, rows, loop), rows, resamples=0)
    assert len(judge) == COUNT
    assert judge.compute() == dict(expected)
    assert expected.empty_targets == 3
    assert 0 < expected["gIoU targets"] < 1
    assert network.training  # and goes on training


def test_a_target_shrunk_to_the_canvas_is_not_what_the_loop_scores_against(rows, example, monkeypatch):
    loop = example("pytorch_loop")
    canvases = iter([batch["mask"] * 2.0 - 1 for batch in loader_of(rows)])
    monkeypatch.setattr(loop, "logits_of", lambda network, images: next(canvases))
    judge = loop.validate(answering(loop), loader_of(rows))
    assert 0.5 < judge.compute()["gIoU targets"] < 0.97  # against the shrunken target it would be 1


def test_halves_of_the_plain_loop_merge_to_the_whole(rows, example):
    from earthreason import RegionAccumulator

    loop = example("pytorch_loop")
    network = answering(loop)
    whole = loop.validate(network, loader_of(rows)).compute()
    # Ranks of a distributed sampler; the second repeats a row to be as long as the first.
    states = [loop.validate(network, loader_of(rows, part)).to_dict() for part in ([0, 2, 4, 6, 8], [1, 3, 5, 7, 0])]
    states.append(loop.validate(network, loader_of(rows, [9])).to_dict())
    first, *others = (RegionAccumulator.from_dict(json.loads(json.dumps(state))) for state in states)
    for other in others:
        first.merge(other)
    assert first.compute() == whole


# Lightning


def quiet(**options):
    off = {"enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    return {"accelerator": "cpu", "devices": 1, **off, **options}


def judged(module, answers, rows):
    """What `evaluate` gives for recorded answers, by the names that are logged."""
    expected = evaluate(answers, rows, resamples=0)
    named = {name: expected[judge] for name, judge in module.judge.names.items()}
    return {name: float("nan") if value is None else value for name, value in named.items()}


def test_lightning_logs_what_evaluate_gives_in_every_epoch(rows, example, monkeypatch):
    lightning = pytest.importorskip("lightning")
    program = example("lightning_module")
    epochs, asked = [{}], []
    networks = [answering(example("pytorch_loop"), seed) for seed in range(3)]

    def recorded(_, batch):
        answers = masks_of(networks[len(epochs) - 1], batch)  # others in every epoch
        epochs[-1].update({name: mask.numpy() for name, mask in zip(batch["sample_id"], answers, strict=True)})
        asked.append(len(answers))
        return answers

    masks_of = program.masks_of
    monkeypatch.setattr(program, "masks_of", recorded)
    logged = []

    class Watch(lightning.Callback):
        def on_validation_end(self, trainer, module):
            logged.append({name: value.item() for name, value in trainer.callback_metrics.items()})
            epochs.append({})

    module = program.PixelReasoning()
    options = quiet(max_epochs=2, num_sanity_val_steps=2, callbacks=[Watch()])
    lightning.Trainer(**options).fit(module, loader_of(rows), loader_of(rows))

    sanity, first, second = epochs[:3]
    assert asked == [4, 4] + [4, 4, 2] * 2  # two steps of the sanity check, then two epochs
    assert (len(sanity), len(first), len(second)) == (8, COUNT, COUNT)
    assert any((first[name] != second[name]).any() for name in first)  # so a mixture would show
    for answers, values in ((first, logged[1]), (second, logged[2])):
        assert values == pytest.approx(judged(module, answers, rows), abs=1e-6, nan_ok=True)
    assert logged[1] != logged[2]


PROGRAM = """
import json, sys
from pathlib import Path
sys.path[:0] = [EXAMPLES, ROOT]
import lightning, torch
from torch.utils.data import DataLoader
from lightning_module import PixelReasoning
from earthreason import load_dataset
from earthreason.torch import PixelReasoningDataset, collate

processes = int(sys.argv[1])
rows = load_dataset("earthreason", "sample", split="validation[:11]")
module = PixelReasoning()
torch.manual_seed(0)
for weight in module.network.parameters():
    torch.nn.init.normal_(weight)
loader = DataLoader(PixelReasoningDataset(rows, 32), batch_size=4, collate_fn=collate)
trainer = lightning.Trainer(accelerator="cpu", devices=processes, logger=False, enable_checkpointing=False,
    enable_progress_bar=False)
(scores,) = trainer.validate(module, loader, verbose=False)
if trainer.is_global_zero:
    Path(f"{processes}.json").write_text(json.dumps([trainer.world_size, scores]))
"""


@pytest.mark.slow
def test_two_processes_of_lightning_log_what_one_does(tmp_path):
    pytest.importorskip("lightning")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.replace("EXAMPLES", repr(str(EXAMPLES))).replace("ROOT", repr(str(ROOT))))
    found = []
    for processes in (1, 2):  # 11 rows: the sampler gives the second process one of the first's again
        command = [sys.executable, str(program), str(processes)]
        variables = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr
        found.append(json.loads((tmp_path / f"{processes}.json").read_text()))
    (one, alone), (two, together) = found
    assert (one, two) == (1, 2)
    assert together == pytest.approx(alone, abs=1e-7, nan_ok=True)
    assert 0 < alone["gIoU"] < 1


# Other ways to log


def test_scores_reach_tensorboard_by_their_names_and_a_checkpoint_can_watch_one(rows, tmp_path):
    lightning = pytest.importorskip("lightning")
    from lightning.pytorch.callbacks import ModelCheckpoint
    from lightning.pytorch.loggers import TensorBoardLogger
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from earthreason.metrics.torch import PixelReasoningMetric

    class Other(lightning.LightningModule):
        """`compute` at the end of the epoch, and the value of `forward` in each step."""

        def __init__(self):
            super().__init__()
            self.judge, self.stepwise = PixelReasoningMetric("native"), PixelReasoningMetric("native")
            self.layer = torch.nn.Linear(1, 1)

        def training_step(self, batch, _):
            self.stepwise(batch["native_mask"], batch["native_mask"], batch["sample_id"])
            scores = {f"train/{name}": score for name, score in self.stepwise.items()}
            self.log_dict(scores, on_step=True, on_epoch=True)
            return self.layer(torch.ones(1, 1)).sum()

        def validation_step(self, batch, _):
            self.judge.update(batch["native_mask"], batch["native_mask"], batch["sample_id"])

        def on_validation_epoch_end(self):
            self.log_dict({f"val/{name}": value for name, value in self.judge.compute().items()})
            self.judge.reset()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    watch = ModelCheckpoint(tmp_path / "best", monitor="val/gIoU", mode="max", filename="best")
    logger = TensorBoardLogger(tmp_path, name="run", version="0")
    options = quiet(logger=logger, callbacks=[watch], enable_checkpointing=True, max_epochs=2, log_every_n_steps=1)
    lightning.Trainer(**options).fit(Other(), loader_of(rows), loader_of(rows))
    assert (tmp_path / "best" / "best.ckpt").is_file()
    events = EventAccumulator(str(tmp_path / "run" / "0")).Reload()
    for tag in ("val/gIoU", "val/Pr_0_5", "train/gIoU_step", "train/gIoU_epoch"):
        assert {event.value for event in events.Scalars(tag)} == {1.0}
