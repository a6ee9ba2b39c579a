import numpy as np
import pytest
from filelock import FileLock
from PIL import Image
from typer.testing import CliRunner

from annotation_tools.assist.grabcut import GrabCut
from annotation_tools.assist.models import build_model
from annotation_tools.assist.sam import component_boxes
from annotation_tools.cli import app
from annotation_tools.drawing import draw
from annotation_tools.prelabels import prelabel
from annotation_tools.workspace import Workspace
from earthreason.errors import EarthReasonError

from .assist.tiny import tiny_sam, tiny_sam2
from .conftest import box, import_images


@pytest.fixture
def bright_square(tmp_path):
    """A bright square on textured ground, 120 x 160."""
    rng = np.random.default_rng(0)
    pixels = rng.normal((70, 90, 60), 6, (120, 160, 3))
    pixels[30:80, 40:100] = rng.normal((225, 215, 205), 6, (50, 60, 3))
    (tmp_path / "in").mkdir()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(tmp_path / "in" / "s.png")
    import_images(tmp_path / "work", str(tmp_path / "in"))
    return Workspace.open(tmp_path / "work"), box((120, 160), 30, 40, 80, 100)


@pytest.mark.parametrize(("name", "least"), [("superpixels", 0.7), ("grabcut", 0.95)])
def test_helpers_find_what_stands_out(bright_square, name, least):
    workspace, truth = bright_square
    prelabel(workspace, build_model(name, None, "cpu"), name)
    found = workspace.prelabels()["s"]
    assert found.tool == name
    assert (found.mask & truth).sum() / (found.mask | truth).sum() > least


def test_a_flat_image_has_nothing_that_stands_out():
    assert GrabCut().predict([Image.new("RGB", (64, 64))], ["?"]) == [None]


def test_any_predictor_can_be_used(bright_square):
    workspace, _ = bright_square
    prelabel(workspace, build_model("everything", None, "cpu"), "everything")
    assert workspace.prelabels()["s"].mask.all()


def test_masks_that_are_there_to_be_corrected_stay_unless_replaced(bright_square):
    workspace, truth = bright_square
    workspace.write_prelabels({"s": draw("s", truth, "court", tool="import")})
    assert prelabel(workspace, build_model("everything", None, "cpu"), "everything") == {}
    assert workspace.prelabels()["s"].tool == "import"
    prelabel(workspace, build_model("everything", None, "cpu"), "everything", replace=True)
    assert workspace.prelabels()["s"].tool == "everything"


def test_a_mask_of_another_size_is_refused_and_nothing_is_kept(bright_square):
    class Wrong:
        def predict(self, images, questions):
            return [np.ones((3, 3), bool)]

    workspace, _ = bright_square
    with pytest.raises(EarthReasonError, match=r"returned a \(3, 3\) mask for sample 's' of height 120 and width 160"):
        prelabel(workspace, Wrong(), "wrong")
    assert workspace.prelabels() == {}


class Stopped:
    """Marks everything, and is interrupted at its third call."""

    def __init__(self, workspace=None):
        self.calls, self.workspace, self.kept = 0, workspace, []

    def predict(self, images, questions):
        self.calls += 1
        if self.workspace is not None:
            with FileLock(self.workspace.root / ".lock", timeout=0):  # as `collect` would
                self.kept.append(len(self.workspace.prelabels()))
        if self.calls == 3:
            raise KeyboardInterrupt
        return [np.ones((image.height, image.width), bool) for image in images]


def test_an_interrupted_run_keeps_what_it_has_and_the_next_goes_on(workspace):
    with pytest.raises(KeyboardInterrupt):
        prelabel(workspace, Stopped(), "stopped", batch_size=1)
    assert set(workspace.prelabels()) == {"a", "b"}
    assert set(prelabel(workspace, build_model("everything", None, "cpu"), "everything")) == {"c", "d"}
    assert workspace.prelabels()["a"].tool == "stopped"


def test_masks_are_kept_while_it_runs_and_the_workspace_is_free_for_others(workspace, monkeypatch):
    monkeypatch.setattr("annotation_tools.prelabels.KEPT_EVERY", 0.0)
    predictor = Stopped(workspace)
    with pytest.raises(KeyboardInterrupt):
        prelabel(workspace, predictor, "stopped", batch_size=1)
    assert predictor.kept == [0, 1, 2]


def test_a_mask_that_came_while_it_ran_stays(workspace):
    class Slow:
        def predict(self, images, questions):
            workspace.write_prelabels({"a": draw("a", box((20, 30), 1, 1, 5, 5), tool="import")})
            return [np.ones((20, 30), bool) for _ in images]

    assert set(prelabel(workspace, Slow(), "slow")) == {"b", "c", "d"}
    assert workspace.prelabels()["a"].tool == "import"


def test_the_workspace_is_free_while_the_command_runs(workspace, monkeypatch):
    monkeypatch.setattr("annotation_tools.assist.models.build_model", lambda *_: Stopped(workspace))
    done = CliRunner().invoke(app, ["masks", "prelabel", str(workspace.root)])
    assert done.exit_code == 0, done.output
    assert "4 pre-annotations by grabcut, 0 of them empty" in done.output


def test_boxes_of_components_are_the_largest_first():
    mask = box((20, 20), 0, 0, 2, 2) | box((20, 20), 5, 6, 15, 18)
    assert component_boxes(mask) == [(6, 5, 18, 15), (0, 0, 2, 2)]


@pytest.mark.parametrize(
    ("name", "checkpoint", "message"),
    [
        ("sam", None, "sam needs --checkpoint"),
        ("sam", "/nowhere", "no SAM weights at /nowhere"),
        ("grabcot", None, "unknown model 'grabcot'"),
    ],
)
def test_helpers_that_cannot_be_built_say_why(name, checkpoint, message):
    with pytest.raises(EarthReasonError, match=message):
        build_model(name, checkpoint, "cpu")


@pytest.mark.parametrize(("name", "make"), [("sam", tiny_sam), ("sam2", tiny_sam2)])
def test_sam_of_any_size_runs_from_a_folder(bright_square, tmp_path, name, make):
    workspace, _ = bright_square
    found = prelabel(workspace, build_model(name, str(make(tmp_path / "weights")), "cpu"), name)
    assert found["s"].mask.shape == (120, 160)


@pytest.mark.parametrize("before", [0, 2, 4])
def test_progress_adds_up_to_all_tasks(workspace, before):
    mask = box((20, 30), 1, 1, 5, 5)
    workspace.write_prelabels({name: draw(name, mask) for name in "abcd"[:before]})
    steps = []
    prelabel(workspace, build_model("superpixels", None, "cpu"), "superpixels", progress=steps.append)
    assert sum(steps) == 4
