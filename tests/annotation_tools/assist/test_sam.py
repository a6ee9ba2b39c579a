"""SAM and SAM 2 with random weights, against transformers' own processor and model called directly."""

import json

import numpy as np
import pytest
from PIL import Image

from annotation_tools.assist.prompts import Click, Prompts
from annotation_tools.assist.sam import KEPT, SegmentAnything
from earthreason.errors import EarthReasonError

from .tiny import tiny_sam, tiny_sam2

torch = pytest.importorskip("torch", reason="the baselines extra is not installed")
MAKERS = {"sam": tiny_sam, "sam2": tiny_sam2}
PROMPTS = {
    "a click": Prompts((Click(70.5, 30.0),)),
    "clicks for and against": Prompts((Click(70.5, 30.0), Click(10.0, 95.0, False), Click(100.0, 40.0))),
    "a box": Prompts(boxes=((20.0, 10.0, 90.0, 77.5),)),
    "a box and clicks": Prompts((Click(50.0, 40.0), Click(25.0, 15.0, False)), ((20.0, 10.0, 90.0, 77.5),)),
}


@pytest.fixture(scope="module", params=sorted(MAKERS))
def family(request):
    return request.param


@pytest.fixture(scope="module")
def folder(family, tmp_path_factory):
    return str(MAKERS[family](tmp_path_factory.mktemp(family)))


def picture(seed=0, height=100, width=140):
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def directly(family, folder, image, prompts):
    """Masks as in transformers' documentation: the processor gets picture and prompts, the model its answer."""
    import transformers

    kind = {"sam": "Sam", "sam2": "Sam2"}[family]
    model = getattr(transformers, f"{kind}Model").from_pretrained(folder).eval()
    processor = getattr(transformers, f"{kind}Processor").from_pretrained(folder)
    given = {}
    if prompts.clicks:
        given["input_points"] = [[[[c.x, c.y] for c in prompts.clicks]]]
        given["input_labels"] = [[[int(c.positive) for c in prompts.clicks]]]
    if prompts.boxes:
        given["input_boxes"] = [[list(prompts.boxes[0])]]
    inputs = processor(images=image, return_tensors="pt", **given)
    several = len(prompts.clicks) == 1 and not prompts.boxes
    with torch.no_grad():
        outputs = model(**inputs, multimask_output=several)
    sizes = [inputs["original_sizes"]] + ([inputs["reshaped_input_sizes"]] if family == "sam" else [])
    masks = processor.post_process_masks(outputs.pred_masks, *sizes)[0][0]  # (1 or 3, height, width)
    return masks[int(outputs.iou_scores[0, 0].argmax())].numpy().astype(bool)


@pytest.mark.parametrize("prompts", PROMPTS.values(), ids=PROMPTS)
def test_masks_are_those_of_transformers_called_directly(family, folder, prompts):
    expected = directly(family, folder, picture(), prompts)
    assert 0 < expected.mean() < 1
    found = SegmentAnything(folder, "cpu", family).segment_shown(picture(), prompts)
    np.testing.assert_array_equal(found, expected)


def test_several_boxes_give_the_union_of_their_masks(family, folder):
    boxes = ((5.0, 5.0, 60.0, 50.0), (70.0, 40.0, 130.0, 95.0))
    expected = [directly(family, folder, picture(), Prompts(boxes=(box,))) for box in boxes]
    found = SegmentAnything(folder, "cpu", family).segment_shown(picture(), Prompts(boxes=boxes))
    np.testing.assert_array_equal(found, expected[0] | expected[1])


def test_clicks_on_other_things_alone_mark_nothing(family, folder):
    assert SegmentAnything(folder, "cpu", family).segment_shown(picture(), Prompts((Click(5, 5, False),))) is None


def test_a_picture_is_encoded_once_and_few_are_kept(family, folder):
    sam, encoded = SegmentAnything(folder, "cpu", family), []
    encode = sam._encode
    sam._encode = lambda image: encoded.append(image) or encode(image)
    for _ in range(3):
        sam.segment_shown(picture(), PROMPTS["a click"])
        sam.segment_shown(picture(), PROMPTS["a box"])
    assert len(encoded) == 1
    for seed in range(1, KEPT + 3):
        sam.segment_shown(picture(seed), PROMPTS["a click"])
    assert len(sam._kept) == KEPT
    sam.segment_shown(picture(), PROMPTS["a click"])  # the first picture was forgotten
    assert len(encoded) == KEPT + 4


def test_weights_of_the_other_family_are_refused(family, folder):
    other = {"sam": "sam2", "sam2": "sam"}[family]
    with pytest.raises(EarthReasonError, match=f"has weights of {family}, not of {other}; use --model {family}"):
        SegmentAnything(folder, "cpu", other)


def test_sam2_says_what_it_needs(monkeypatch, tmp_path):
    monkeypatch.setattr("annotation_tools.assist.sam.find_spec", lambda name: None)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "sam2"}), encoding="utf-8")
    with pytest.raises(EarthReasonError, match="SAM 2 needs torchvision: pip install -e './annotation_tools"):
        SegmentAnything(str(tmp_path), "cpu", "sam2")


def test_weights_of_another_model_are_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}), encoding="utf-8")
    with pytest.raises(EarthReasonError, match="has weights of bert, not of sam"):
        SegmentAnything(str(tmp_path), "cpu", "sam")
