import numpy as np
import pytest
from PIL import Image

from annotation_tools.drawing import draw
from annotation_tools.imports import import_images
from annotation_tools.prelabels import GrabCut, build_helper, component_boxes, prelabel
from annotation_tools.workspace import Workspace
from earthreason.errors import EarthReasonError

from .conftest import box


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
    prelabel(workspace, build_helper(name, None, "cpu"), name)
    found = workspace.prelabels()["s"]
    assert found.tool == name
    assert (found.mask & truth).sum() / (found.mask | truth).sum() > least


def test_a_flat_image_has_nothing_that_stands_out():
    assert GrabCut().predict([Image.new("RGB", (64, 64))], ["?"]) == [None]


def test_any_predictor_can_be_used(bright_square):
    workspace, _ = bright_square
    prelabel(workspace, build_helper("everything", None, "cpu"), "everything")
    assert workspace.prelabels()["s"].mask.all()


def test_masks_that_are_there_to_be_corrected_stay_unless_replaced(bright_square):
    workspace, truth = bright_square
    workspace.write_prelabels({"s": draw("s", truth, "court", tool="import")})
    assert prelabel(workspace, build_helper("everything", None, "cpu"), "everything") == {}
    assert workspace.prelabels()["s"].tool == "import"
    prelabel(workspace, build_helper("everything", None, "cpu"), "everything", replace=True)
    assert workspace.prelabels()["s"].tool == "everything"


def test_a_mask_of_another_size_is_refused_and_nothing_is_kept(bright_square):
    class Wrong:
        def predict(self, images, questions):
            return [np.ones((3, 3), bool)]

    workspace, _ = bright_square
    with pytest.raises(EarthReasonError, match=r"wrong returned a mask of \(3, 3\) for 's'"):
        prelabel(workspace, Wrong(), "wrong")
    assert workspace.prelabels() == {}


def test_boxes_of_components_are_the_largest_first():
    mask = box((20, 20), 0, 0, 2, 2) | box((20, 20), 5, 6, 15, 18)
    assert component_boxes(mask) == [[6, 5, 18, 15], [0, 0, 2, 2]]


@pytest.mark.parametrize(("name", "checkpoint", "message"), [
    ("sam", None, "sam needs --checkpoint"), ("sam", "/nowhere", "no SAM weights at /nowhere"),
    ("grabcot", None, "unknown model 'grabcot'"),
])  # fmt: skip
def test_helpers_that_cannot_be_built_say_why(name, checkpoint, message):
    with pytest.raises(EarthReasonError, match=message):
        build_helper(name, checkpoint, "cpu")


def test_sam_of_any_size_runs_from_a_folder(bright_square, tmp_path):
    torch = pytest.importorskip("torch", reason="the baselines extra is not installed")
    from transformers import SamConfig, SamImageProcessor, SamModel, SamProcessor
    from transformers.models.sam.configuration_sam import SamMaskDecoderConfig, SamPromptEncoderConfig, SamVisionConfig

    torch.manual_seed(0)
    vision = SamVisionConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=64, patch_size=16,
                             output_channels=16, mlp_dim=16, num_pos_feats=8, global_attn_indexes=[0],
                             window_size=2)  # fmt: skip
    prompt = SamPromptEncoderConfig(hidden_size=16, image_size=64, patch_size=16)
    decoder = SamMaskDecoderConfig(hidden_size=16, mlp_dim=16, num_hidden_layers=1, num_attention_heads=2,
                                   iou_head_hidden_dim=16)  # fmt: skip
    config = SamConfig(vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder)
    SamModel(config).save_pretrained(tmp_path / "sam")
    SamProcessor(SamImageProcessor(size={"longest_edge": 64}, pad_size={"height": 64, "width": 64})).save_pretrained(
        tmp_path / "sam"
    )
    workspace, _ = bright_square
    found = prelabel(workspace, build_helper("sam", str(tmp_path / "sam"), "cpu"), "sam")
    assert found["s"].mask.shape == (120, 160)
