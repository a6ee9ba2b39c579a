"""Masks of boxes, and of SAM and SAM 2 with random weights, held against transformers' own processors."""

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import Sam2Config, Sam2Model, SamImageProcessorPil, SamModel, SamProcessor

from baselines.vlm_sam.masks import Boxes, Sam, Sam2, load_mask_maker
from earthreason.errors import EarthReasonError
from earthreason.grounding.answers import Target
from tests.integrations.tiny_sam import save_sam

GENERATOR = np.random.default_rng(0)
PICTURE = Image.fromarray(GENERATOR.integers(0, 255, (60, 90, 3), np.uint8))
BOX, POINTS = [0.25, 0.1, 0.75, 0.5], [[0.5, 0.2], [0.6, 0.4]]


def box_of(*sides):
    return Target(box=list(sides), points=[])


@pytest.fixture(scope="module")
def sam(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sam")
    save_sam(folder)
    return folder


@pytest.fixture(scope="module")
def sam2(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sam2")
    config = Sam2Config(
        vision_config={
            "backbone_config": {
                "model_type": "sam2_hiera_det_model",
                "hidden_size": 8,
                "image_size": [128, 128],
                "blocks_per_stage": [1, 1, 2, 1],
                "embed_dim_per_stage": [8, 16, 32, 64],
                "num_attention_heads_per_stage": [1, 1, 1, 1],
                "window_size_per_stage": [4, 4, 4, 4],
                "global_attention_blocks": [3],
                "window_positional_embedding_background_size": [2, 2],
            },
            "backbone_channel_list": [64, 32, 16, 8],
            "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
            "fpn_hidden_size": 32,
        },
        prompt_encoder_config={"hidden_size": 32, "image_size": 128},
        mask_decoder_config={"hidden_size": 32, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 32},
    )
    torch.manual_seed(0)
    Sam2Model(config).save_pretrained(folder)
    return folder


@pytest.fixture(params=["sam", "sam2"])
def maker(request):
    return load_mask_maker(str(request.getfixturevalue(request.param)), "cpu", "float32")


def test_the_folder_says_which_sam_it_is(sam, sam2):
    assert isinstance(load_mask_maker(str(sam), "cpu", "float32"), Sam)
    assert isinstance(load_mask_maker(str(sam2), "cpu", "float32"), Sam2)
    assert isinstance(load_mask_maker(None, "cpu", "float32"), Boxes)


@pytest.mark.parametrize("target", [Target(box=BOX, points=[]), Target(box=None, points=POINTS)])
def test_a_box_alone_or_points_alone_suffice(maker, target):
    mask = maker.draw(PICTURE, [target])
    assert mask.shape == (60, 90)
    assert mask.dtype == bool


def test_several_targets_give_the_union_of_their_masks(maker):
    targets = [Target(box=BOX, points=[]), Target(box=[0, 0.5, 0.3, 1], points=[[0.1, 0.7]])]
    one, other = (maker.draw(PICTURE, [target]) for target in targets)
    assert (maker.draw(PICTURE, targets) == one | other).all()


@pytest.mark.parametrize("picture", [PICTURE, PICTURE.rotate(90, expand=True)], ids=["wide", "high"])
def test_sam_gives_the_mask_that_its_own_processor_leads_to(sam, picture):
    model, processor = SamModel.from_pretrained(sam).eval(), SamProcessor(SamImageProcessorPil.from_pretrained(sam))
    size = np.array(picture.size)
    box, points = (np.array(BOX) * np.tile(size, 2)).tolist(), (np.array(POINTS) * size).tolist()
    inputs = processor(picture, input_boxes=[[box]], input_points=[points], return_tensors="pt")
    sizes = inputs.pop("original_sizes"), inputs.pop("reshaped_input_sizes")
    inputs = {name: value.float() if value.is_floating_point() else value for name, value in inputs.items()}
    with torch.inference_mode():
        output = model(**inputs)
    masks = processor.image_processor.post_process_masks(output.pred_masks, *sizes)
    expected = masks[0][0, int(output.iou_scores.argmax())].numpy()
    drawn = load_mask_maker(str(sam), "cpu", "float32").draw(picture, [Target(box=BOX, points=POINTS)])
    assert expected.any()
    assert (drawn == expected).all()


def test_sam_2_sees_a_square_with_the_mean_and_std_of_imagenet(sam2):
    maker = load_mask_maker(str(sam2), "cpu", "float32")
    pixels = maker.pixels(Image.new("RGB", (90, 60), (255, 0, 51)))
    assert pixels.shape == (1, 3, 128, 128)
    by_hand = [(1 - 0.485) / 0.229, (0 - 0.456) / 0.224, (0.2 - 0.406) / 0.225]
    assert torch.allclose(pixels, torch.tensor(by_hand)[:, None, None].expand(3, 128, 128), atol=1e-5)


def test_sam_2_sees_every_pixel_of_a_larger_image(sam2):
    """At half the size, a pixel is 3/8 of two neighbours and 1/8 of the next two, so narrow stripes become grey."""
    stripes = np.resize([0, 255], (256, 256)).astype(np.uint8)
    maker = load_mask_maker(str(sam2), "cpu", "float32")
    pixels = maker.pixels(Image.fromarray(stripes).convert("RGB"))[0, :, 4:-4, 4:-4]
    grey = torch.tensor([(0.5 - 0.485) / 0.229, (0.5 - 0.456) / 0.224, (0.5 - 0.406) / 0.225])
    assert torch.allclose(pixels, grey[:, None, None].expand_as(pixels), atol=0.01)


def test_sam_2_gets_prompts_in_pixels_of_that_square(sam2, monkeypatch):
    maker, seen = load_mask_maker(str(sam2), "cpu", "float32"), {}
    original = Sam2Model.forward

    def spy(self, *arguments, **keywords):
        seen.update(keywords)
        return original(self, *arguments, **keywords)

    monkeypatch.setattr(Sam2Model, "forward", spy)
    maker.draw(PICTURE, [Target(box=BOX, points=POINTS)])
    # Sam2Processor multiplies by side / width and side / height, so a fraction of the image is one of the square.
    assert seen["input_boxes"].tolist() == [[[32, pytest.approx(12.8), 96, 64]]]
    assert seen["input_points"].flatten().tolist() == pytest.approx([64, 25.6, 76.8, 51.2])
    assert seen["input_labels"].tolist() == [[[1, 1]]]


def test_without_sam_the_masks_are_the_boxes():
    mask = Boxes().draw(PICTURE, [box_of(0.1, 0.5, 0.2, 1), box_of(0, 0, 0.1, 0.1)])
    expected = np.zeros((60, 90), bool)
    expected[30:60, 9:18] = expected[0:6, 0:9] = True
    assert (mask == expected).all()


def test_a_thin_box_has_a_pixel_at_every_side():
    assert Boxes().draw(PICTURE, [box_of(0.999, 0.999, 1, 1)]).sum() == 1
    assert Boxes().draw(PICTURE, [box_of(0, 0, 0.001, 0.001)]).sum() == 1


def test_a_point_without_a_box_needs_sam():
    with pytest.raises(ValueError, match="no mask where there is no SAM"):
        Boxes().draw(PICTURE, [Target(box=None, points=POINTS)])


def test_a_folder_without_sam_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(EarthReasonError, match=f"{tmp_path}: no SAM can be loaded: .*leave it out for masks"):
        load_mask_maker(str(tmp_path), "cpu", "float32")
