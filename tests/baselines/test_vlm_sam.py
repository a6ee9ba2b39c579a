"""A fake vision-language model over HTTP points, a SAM with random weights draws, bad answers are survived."""

import threading

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError
from transformers import SamConfig, SamImageProcessorPil, SamModel, SamProcessor

from baselines.registry import PredictorOptions, build_predictor
from baselines.vlm_sam.grounding import Grounding
from earthreason.errors import EarthReasonError
from earthreason.questions.client import strict_schema
from tests.questions.fake_server import Server


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    running = Server()
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield running
    running.shutdown()


@pytest.fixture(scope="module")
def sam(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sam")
    config = SamConfig(
        vision_config={
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "mlp_dim": 32,
            "image_size": 128,
            "output_channels": 32,
            "num_pos_feats": 16,
            "window_size": 4,
            "global_attn_indexes": [1],
        },
        prompt_encoder_config={"hidden_size": 32, "image_size": 128, "image_embedding_size": 8},
        mask_decoder_config={"hidden_size": 32, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 32},
    )
    SamModel(config).save_pretrained(folder)
    SamImageProcessorPil(
        size={"longest_edge": 128},
        pad_size={"height": 128, "width": 128},
        mask_size={"longest_edge": 32},
        mask_pad_size={"height": 32, "width": 32},
    ).save_pretrained(folder)
    return folder


def predictor_of(server, sam):
    address = f"http://127.0.0.1:{server.server_address[1]}/v1"
    return build_predictor("vlm_sam", PredictorOptions(checkpoint=str(sam), vlm="any", base_url=address, batch_size=4))


def pictures(*sizes):
    return [Image.new("RGB", size, (90, 120, 60)) for size in sizes]


def test_found_regions_become_masks_of_the_images_size_and_nothing_stays_nothing(server, sam):
    predictor = predictor_of(server, sam)
    images = pictures((90, 60), (64, 128), (50, 50))
    masks = predictor.predict(images, ["where to moor?", "where to land?", "where is the unicorn?"])
    assert [mask.shape for mask in masks[:2]] == [(60, 90), (128, 64)]
    assert all(mask.dtype == bool for mask in masks[:2])
    assert masks[2] is None


def test_the_prompt_reaches_sam_in_pixels_of_the_image(server, sam, monkeypatch):
    predictor, seen = predictor_of(server, sam), {}
    original = SamProcessor.__call__

    def spy(self, *arguments, **keywords):
        seen.update(keywords)
        return original(self, *arguments, **keywords)

    monkeypatch.setattr(SamProcessor, "__call__", spy)
    predictor.draw(pictures((200, 100))[0], Grounding(found=True, box=[250, 100, 750, 500], points=[[500, 1000]]))
    assert np.allclose(seen["input_boxes"], [[[50, 10, 150, 50]]])
    assert np.allclose(seen["input_points"], [[[100, 100]]])


@pytest.mark.parametrize("where", [{"box": [0, 0, 9, 9], "points": []}, {"box": None, "points": [[1, 1], [9, 9]]}])
def test_a_box_alone_or_points_alone_suffice(server, sam, where):
    mask = predictor_of(server, sam).draw(pictures((40, 30))[0], Grounding(found=True, **where))
    assert mask.shape == (30, 40)


@pytest.mark.parametrize(
    "answer",
    [
        {"found": True, "box": None, "points": []},
        {"found": True, "box": [5, 5, 5, 9], "points": []},
        {"found": True, "box": [0, 0, 2000, 9], "points": []},
        {"found": True, "box": [0, 0, 9], "points": []},
        {"found": True, "box": None, "points": [[1, 2, 3]]},
        {"found": True, "box": "left", "points": []},
    ],
)
def test_impossible_answers_are_refused(answer):
    with pytest.raises(ValidationError):
        Grounding.model_validate(answer)


def test_the_schema_is_strict():
    schema = strict_schema(Grounding)
    assert schema["required"] == ["found", "box", "points"]
    assert schema["additionalProperties"] is False


def test_a_malformed_answer_is_asked_again_and_a_second_one_counts_as_nothing_and_is_logged(server, sam, caplog):
    server.script = ["junk", "none"]
    assert predictor_of(server, sam).predict(pictures((40, 30)), ["where?"])[0] is not None
    server.script = ["always junk", "always junk"]
    assert predictor_of(server, sam).predict(pictures((40, 30)), ["where?"]) == [None]
    assert "counted as 'no target'" in caplog.text


def test_what_is_lacking_is_named(server, sam, tmp_path):
    with pytest.raises(EarthReasonError, match="needs --vlm"):
        build_predictor("vlm_sam", PredictorOptions(checkpoint=str(sam)))
    with pytest.raises(EarthReasonError, match="no SAM can be loaded"):
        build_predictor("vlm_sam", PredictorOptions(checkpoint=str(tmp_path), vlm="any"))
    server.script = ["401"]
    with pytest.raises(EarthReasonError, match="check OPENAI_API_KEY"):
        predictor_of(server, sam).predict(pictures((40, 30)), ["where?"])
