"""The dataset and the data module feed torchgeo's own trainer.

EARTHREASON_TORCHGEO=/path/to/environment/bin/python python -m pytest tests/integrations/test_torchgeo.py
"""

from tests.integrations.foreign import snippet_of

START = """
import json
import numpy as np, torch
from torchgeo.datasets import NonGeoDataset
from earthreason import load_dataset
from earthreason_torchgeo import EarthReason, EarthReasonDataModule, IGNORED, collate
"""
LIBRARY = "torchgeo"


def test_samples_have_the_types_of_torchgeo_and_the_pixels_of_the_rows(run):
    code = """
from torch.utils.data import DataLoader
sets = {split: EarthReason("sample", split) for split in ("train", "val", "test")}
rows = load_dataset("earthreason", "sample", split="validation")
same, kinds = [], set()
for number in range(0, 60, 7):
    sample, row = sets["val"][number], rows[number]
    same.append(bool((sample["image"].numpy().transpose(1, 2, 0) == np.asarray(row["image"].convert("RGB"))).all()))
    same.append(bool((sample["mask"].numpy() == np.asarray(row["mask"]) // 255).all()))
    same.append((sample["question"], sample["sample_id"]) == (row["questions"][0], row["sample_id"]))
    kinds.add((str(sample["image"].dtype), str(sample["mask"].dtype), sample["image"].ndim, sample["mask"].ndim))
print(json.dumps([[len(each) for each in sets.values()], all(same), list(kinds),
    isinstance(sets["val"], NonGeoDataset), float(sets["val"][0]["image"].max()) > 1]))
"""
    lengths, same, kinds, is_dataset, to_255 = run(code)
    assert lengths == [160, 60, 100]
    assert (same, is_dataset, to_255) == (True, True, True)
    assert kinds == [["torch.float32", "torch.int64", 3, 2]]


def test_ignored_pixels_are_255_at_their_own_size_and_on_a_canvas(run):
    # A mask of 2 x 4 pixels on a canvas of 4 x 4 lies in its rows 1 and 2.
    code = """
from PIL import Image
import earthreason_torchgeo
grey = lambda values: Image.fromarray(np.array(values, np.uint8))
row = {"sample_id": "a", "image": Image.new("RGB", (4, 2), (9, 9, 9)), "questions": ["Where?"], "answers": [],
    "mask": grey([[255, 255, 0, 0], [0, 0, 0, 0]]), "ignore": grey([[0, 0, 0, 255], [0, 0, 0, 0]]), "targets": None}
earthreason_torchgeo.load_dataset = lambda *_, **__: [row]
print(json.dumps([EarthReason(split="test", side=side)[0]["mask"].tolist() for side in (None, 4)]))
"""
    own, canvas = run(code)
    assert own == [[1, 1, 0, 255], [0, 0, 0, 0]]
    assert canvas == [[0] * 4, [1, 1, 0, 255], [0] * 4, [0] * 4]


def test_torchgeos_own_task_trains_validates_and_tests_with_it(run):
    code = """
import lightning
from torchgeo.trainers import SemanticSegmentationTask
lightning.seed_everything(0)
seen = []
class Task(SemanticSegmentationTask):
    def training_step(self, batch, *arguments):
        seen.append([tuple(batch["image"].shape), tuple(batch["mask"].shape), float(batch["image"].max()),
            len(batch["question"]), batch["sample_id"][0]])
        return super().training_step(batch, *arguments)
task = Task(model="unet", backbone="resnet18", in_channels=3, num_classes=2, task="multiclass", ignore_index=IGNORED)
data = EarthReasonDataModule(batch_size=4, side=64, config="sample")
quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False, "logger": False}
trainer = lightning.Trainer(accelerator="cpu", max_steps=2, limit_val_batches=2, limit_test_batches=2, **quiet)
before = [weight.detach().clone() for weight in task.parameters()]
trainer.fit(task, data)
moved = any(bool((one != other).any()) for one, other in zip(before, task.parameters()))
tested = trainer.test(task, data, verbose=False)[0]
print(json.dumps([seen, moved, sorted(tested), tested["test_loss"]]))
"""
    seen, moved, names, loss = run(code)
    assert len(seen) == 2
    for image, mask, brightest, questions, sample_id in seen:
        assert (image, mask, questions) == ([4, 3, 64, 64], [4, 64, 64], 4)
        assert 0 < brightest <= 1
        assert sample_id.startswith("synthetic")
    assert moved
    assert "test_MulticlassJaccardIndex" in names
    assert loss > 0


def test_the_snippet_of_the_page_runs(run):
    code = snippet_of("lightning").replace("side=512", "side=64").replace("max_steps=100", "max_steps=1")
    assert code.count("64") == code.count("max_steps=1)") == 1
    code += "\nprint(json.dumps(task.trainer.global_step))"
    assert run(code) == 1


def test_the_picture_of_a_sample_shows_its_question(run):
    code = """
import matplotlib
matplotlib.use("Agg")
rows = EarthReason("sample", "test")
sample = rows[0]
sample["question"] = r"What costs $5 or $\\frac{1$?"
figure = rows.plot({**sample, "prediction": sample["mask"]})
figure.canvas.draw()
print(json.dumps([figure.get_suptitle() == sample["question"], [axis.get_title() for axis in figure.axes]]))
"""
    assert run(code) == [True, ["image", "mask", "prediction"]]


def test_another_split_is_refused_by_name(run):
    code = """
try:
    EarthReason("sample", "validation")
except ValueError as error:
    print(json.dumps(str(error)))
"""
    assert run(code) == "split is train, val, test, not 'validation'"
