import json
import logging
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from baselines.common.languages import byte_tokenizer
from baselines.registry import PredictorOptions
from baselines.segearth_r1.configuration import SegEarthR1Config
from baselines.segearth_r1.modeling import SegEarthR1Model
from baselines.segearth_r1.predictor import SegEarthR1Predictor
from baselines.segearth_r1.processing import SegEarthR1Processor
from baselines.segearth_r1.tiny import make_tiny
from earthreason.errors import EarthReasonError
from earthreason.masks.grids import Grid
from earthreason.types import Predictor
from tests.baselines.tiny import save_tiny

QUESTIONS = ["where could a boat moor?", "which part burns first, and why would it?", "a?"]


def pictures(count=3):
    rng = np.random.default_rng(0)
    shapes = [(60, 90), (90, 60), (128, 128)]
    return [Image.fromarray(rng.integers(0, 255, (*shapes[n % 3], 3), dtype=np.uint8)) for n in range(count)]


@pytest.fixture(scope="module")
def predictor():
    return SegEarthR1Predictor(*make_tiny(), batch_size=2)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("model") / "tiny")


def logits_of(predictor, images, questions):
    return [logits for logits, _ in predictor.logits(images, questions)]


def test_it_is_a_predictor_and_masks_have_the_images_size(predictor):
    assert isinstance(predictor, Predictor)
    for found, image in zip(predictor.segment(pictures(), QUESTIONS), pictures(), strict=True):
        assert 0 <= found.no_target_score <= 1
        assert found.mask is None or (found.mask.shape == (image.height, image.width) and found.mask.dtype == bool)


def test_a_batch_answers_as_one_by_one(predictor):
    together = list(predictor.logits(pictures(), QUESTIONS))
    for (logits, presence), image, question in zip(together, pictures(), QUESTIONS, strict=True):
        ((alone, _),) = predictor.logits([image], [question])
        assert presence is None
        assert torch.allclose(logits, alone, atol=1e-4)


def test_questions_about_one_image_share_its_features(predictor, monkeypatch):
    seen = []
    encode = predictor.model.encode_image
    monkeypatch.setattr(predictor.model, "encode_image", lambda x: seen.append(len(x)) or encode(x))
    monkeypatch.setattr(predictor, "batch_size", 3)
    image = pictures(1)[0]
    shared = logits_of(predictor, [image] * 3, QUESTIONS)
    assert seen == [1]
    (alone,) = logits_of(predictor, [image], QUESTIONS[1:2])
    assert torch.allclose(shared[1], alone, atol=1e-4)


def test_on_the_canvas_masks_have_its_size(predictor):
    model, processor = predictor.model, predictor.processor
    found = SegEarthR1Predictor(model, processor, on_canvas=True).segment(pictures(1), QUESTIONS[:1])[0]
    assert found.mask is None or found.mask.shape == (256, 256)


def test_small_masks_can_count_as_no_target(predictor):
    strict = SegEarthR1Predictor(predictor.model, predictor.processor, min_area=10**6)
    assert strict.predict(pictures(), QUESTIONS) == [None] * 3


def decisions(predictor, largest, presence):
    """What is made of two pixels, the larger logit given, and of a logit of presence."""
    logits = None if presence is None else torch.tensor(presence)
    found = predictor._decide(torch.tensor([[largest, -3.0]]), logits)
    return found.mask is not None, round(found.no_target_score, 3)


def test_at_the_default_threshold_a_mask_stays_where_presence_is_likelier_than_not(predictor):
    assert predictor.no_target_threshold == 0.5
    assert decisions(predictor, 2.0, 0.1) == (True, 0.475)
    assert decisions(predictor, 2.0, 0.0) == (True, 0.5)
    assert decisions(predictor, 2.0, -0.1) == (False, 0.525)
    assert decisions(predictor, -2.0, 5.0)[0] is False  # there is no mask to give


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_without_a_head_the_default_threshold_never_drops_a_mask(predictor, dtype):
    for logit in (1e-30, 1e-7, 1e-3, 0.5, 20.0):
        for sign in (1, -1):
            logits = torch.tensor([[sign * logit, -3.0]], dtype=dtype)
            assert (predictor._decide(logits, None).mask is not None) is bool(logits.max() > 0)


def test_a_threshold_may_be_given_or_comes_with_the_checkpoint_or_is_a_half_in_old_ones(checkpoint, tmp_path):
    folder = shutil.copytree(checkpoint, tmp_path / "model")
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**content, "no_target_threshold": 0.3}))
    calibrated = SegEarthR1Predictor.from_pretrained(folder)
    assert calibrated.no_target_threshold == 0.3
    assert decisions(calibrated, 2.0, 0.5) == (False, 0.378)
    given = SegEarthR1Predictor.build(PredictorOptions(checkpoint=str(folder), no_target_threshold=0.0))
    assert given.no_target_threshold == 0.0
    assert decisions(given, 2.0, 9.0)[0] is False
    (folder / "config.json").write_text(
        json.dumps({key: value for key, value in content.items() if key != "no_target_threshold"})
    )
    assert SegEarthR1Predictor.from_pretrained(folder).no_target_threshold == 0.5


@pytest.mark.parametrize("threshold", [-0.1, 1.5, float("nan")])
def test_a_threshold_that_no_score_can_reach_is_an_error(predictor, threshold):
    with pytest.raises(EarthReasonError, match="between 0 and 1"):
        SegEarthR1Predictor(predictor.model, predictor.processor, no_target_threshold=threshold)


def test_out_of_memory_halves_the_batch_and_says_so(predictor, monkeypatch, caplog):
    forward = predictor._forward

    def limited(batch):
        if len(batch.rows) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(batch)

    monkeypatch.setattr(predictor, "_forward", limited)
    monkeypatch.setattr(predictor, "batch_size", 4)
    monkeypatch.setattr(logging.getLogger("earthreason"), "propagate", True)
    questions = (QUESTIONS * 2)[:4]
    expected = [logits_of(predictor, [image], [q])[0] for image, q in zip(pictures(4), questions, strict=True)]
    with caplog.at_level(logging.WARNING, "earthreason.segearth_r1"):
        found = logits_of(predictor, pictures(4), questions)
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(found, expected, strict=True))
    assert predictor.batch_size == 1
    assert "batches of 2" in caplog.text
    assert "batches of 1" in caplog.text


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_here_is_told_before_the_checkpoint_is_read():
    for device, words in (("cuda", "GPU build of torch, or use --device cpu"), ("gpu", "--device gpu: ")):
        with pytest.raises(EarthReasonError, match=words):
            SegEarthR1Predictor.from_pretrained("nowhere", device)


def test_one_image_too_large_for_memory_is_an_error(predictor, monkeypatch):
    def never(batch):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(predictor, "_forward", never)
    monkeypatch.setattr(predictor, "batch_size", 1)
    with pytest.raises(EarthReasonError, match="bfloat16"):
        predictor.predict(pictures(1), ["a?"])


@pytest.mark.parametrize(
    ("image", "question", "words"),
    [
        (Image.new("RGB", (8, 8)), "", "question is empty"),
        (Image.new("RGB", (8, 8)), " \n ", "question is empty"),
        (Image.new("RGB", (8, 8)), "word " * 2000, "shorten it"),
        (Image.new("RGB", (8, 8)), b"o\xf9 atterrir ?".decode(errors="surrogateescape"), "not Unicode"),
        (Image.new("RGB", (0, 8)), "where?", "0 x 8 pixels"),
        (Image.new("I;16", (8, 8)), "where?", "8 bits a channel"),
        (Image.new("F", (8, 8)), "where?", "8 bits a channel"),
    ],
)
def test_unusable_input_is_an_error_that_says_why(predictor, image, question, words):
    with pytest.raises(EarthReasonError, match=words):
        predictor.predict([image], [question])


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1"])
def test_other_eight_bit_pictures_are_read_as_rgb(predictor, mode):
    assert len(predictor.predict([Image.new(mode, (20, 30))], ["where?"])) == 1


def test_a_checkpoint_loads_without_warnings_and_answers_as_it_was_saved(checkpoint, predictor, monkeypatch, caplog):
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    loaded = SegEarthR1Predictor.from_pretrained(checkpoint)
    assert not caplog.records
    for name, tensor in predictor.model.state_dict().items():
        assert torch.equal(tensor, loaded.model.state_dict()[name]), name
    ours, theirs = (logits_of(p, pictures(1), QUESTIONS[:1])[0] for p in (predictor, loaded))
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_bfloat16_stays_close_to_float32(checkpoint, predictor):
    half = SegEarthR1Predictor.from_pretrained(checkpoint, dtype="bfloat16")
    assert next(half.model.parameters()).dtype == torch.bfloat16
    found = logits_of(half, pictures(1), QUESTIONS[:1])[0].float()
    expected = logits_of(predictor, pictures(1), QUESTIONS[:1])[0]
    assert torch.isfinite(found).all()
    assert (found - expected).abs().mean() < 0.1 * expected.abs().mean()


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda f: (f / "config.json").unlink(), "no config.json"),
        (lambda f: (f / "config.json").write_text('{"model_type": "llava_phi"}'), "baselines convert"),
        (lambda f: (f / "config.json").write_text('{"model_type": "bert"}'), "contains a bert model"),
        (lambda f: (f / "config.json").write_text("{"), "not the configuration of a model"),
        (lambda f: (f / "config.json").write_text("[1]"), "not the configuration of a model"),
        (lambda f: (f / "config.json").write_bytes(b"\xff\xfe"), "not the configuration of a model"),
        (
            lambda f: (
                (f / "final").mkdir(),
                (f / "config.json").rename(f / "final" / "config.json"),
                (f / "config.json").write_text('{"name": "a run"}'),
            ),
            "a run; give the model in it: .*final",
        ),
        (lambda f: (f / "model.safetensors").unlink(), "cannot be loaded"),
        (lambda f: (f / "model.safetensors").write_bytes(b"junk"), "cannot be loaded"),
        (lambda f: (f / "tokenizer.json").unlink(), "no tokenizer|has no"),
        (lambda f: byte_tokenizer().save_pretrained(f), r"no \[SEG\]"),
    ],
)
def test_a_broken_checkpoint_is_named(tmp_path, prepare, words):
    folder = save_tiny(tmp_path / "tiny")
    prepare(folder)
    with pytest.raises(EarthReasonError, match=words):
        SegEarthR1Predictor.from_pretrained(folder)


def test_a_checkpoint_that_is_nowhere_is_an_error():
    with pytest.raises(EarthReasonError, match="there is no checkpoint"):
        SegEarthR1Predictor.from_pretrained("nobody/nothing")
    with pytest.raises(EarthReasonError, match="there is no folder /nowhere/at/all; give the folder of a checkpoint"):
        SegEarthR1Predictor.from_pretrained("/nowhere/at/all")


def test_the_answer_is_text(predictor):
    assert isinstance(predictor.answer(pictures(1)[0], "where?", max_new_tokens=5), str)


def test_every_parameter_but_those_of_the_reply_learns_from_the_mask():
    model, processor = make_tiny()
    model.train()
    batch = processor(pictures(2), QUESTIONS[:2], answers=["There.", None])
    masks = torch.zeros(2, 256, 256, dtype=torch.uint8)
    masks[0, 50:150, 50:150] = 1
    output = model(**batch, masks=masks)
    assert set(output.losses) == {"mask", "dice", "language"}
    assert output.loss.item() == pytest.approx(sum(value.item() for value in output.losses.values()), rel=1e-5)
    output.loss.backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_several_questions_need_pixels_or_features():
    model, processor = make_tiny()
    batch = processor.pad([processor.prompt("where?")])
    with pytest.raises(ValueError, match="pixel_values"):
        model(**batch)


def test_other_canvases_and_compressions_follow_from_the_configuration():
    assert SegEarthR1Config().visual_tokens == 64
    assert SegEarthR1Config(connector_strides=(2, 1)).visual_tokens == 256
    with pytest.raises(ValueError, match="multiple of 128"):
        SegEarthR1Config(image_size=1000)


def test_configuration_survives_saving(tmp_path):
    config = make_tiny()[0].config
    config.save_pretrained(tmp_path)
    again = SegEarthR1Config.from_pretrained(tmp_path)
    assert again.to_diff_dict() == config.to_diff_dict()


def test_a_processor_needs_a_padding_token():
    tokenizer = byte_tokenizer()
    tokenizer.add_tokens(["[SEG]"])
    with pytest.raises(EarthReasonError, match="padding"):
        SegEarthR1Processor(tokenizer, 256, 4)


def test_eager_and_compiled_constants_serve_training_after_inference():
    model, processor = make_tiny(seed=1)
    batch = processor(pictures(1), ["where?"])
    with torch.inference_mode():
        model(**batch)
    model.train()
    model(**batch, masks=torch.ones(1, 256, 256)).loss.backward()


def test_the_letterbox_of_the_processor_is_the_judges_grid():
    _, processor = make_tiny()
    grid = Grid("letterbox", 256)
    image = Image.new("RGB", (90, 60), "white")
    pixels = processor.pixels([image])[0]
    rows, columns = grid.resized_shape(60, 90)
    top, left = grid.padding(60, 90)
    inside = torch.zeros(256, 256, dtype=torch.bool)
    inside[top : top + rows, left : left + columns] = True
    assert torch.equal(pixels[0] == 255, inside)


def test_the_model_has_a_meta_form():
    with torch.device("meta"):
        model = SegEarthR1Model(make_tiny()[0].config)
    assert all(p.is_meta for p in model.parameters())


def test_compiled_masks_are_those_of_the_plain_model(predictor, monkeypatch):
    compiled = []

    def capture(function):  # as on a GPU, without minutes of making kernels for a CPU
        compiled.append(function)
        return compile_(function, backend="eager", fullgraph=True)

    compile_ = torch.compile
    monkeypatch.setattr(torch, "compile", capture)
    fast = SegEarthR1Predictor(predictor.model, predictor.processor, batch_size=2, compiled=True)
    found, expected = (logits_of(one, pictures(), QUESTIONS) for one in (fast, predictor))
    assert compiled
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(found, expected, strict=True))


def test_texts_are_padded_to_a_multiple_and_learned_positions_with_them(predictor):
    processor = predictor.processor
    prompts = [processor.prompt("where?", answer="There.", reply=True), processor.prompt("where else?", reply=True)]
    plain, padded = processor.pad(prompts), processor.pad(prompts, multiple=64)
    length = padded["input_ids"].shape[1]
    assert length % 64 == 0
    assert padded["learned"].shape[1] % 64 == 0
    assert torch.equal(padded["labels"][:, : plain["labels"].shape[1]], plain["labels"])
    # Each position before a label once, and the last one, before which nothing is, for the rest.
    for row, labels in zip(padded["learned"].tolist(), padded["labels"].tolist(), strict=True):
        expected = [n for n in range(length - 1) if labels[n + 1] != -100]
        assert row == expected + [length - 1] * (len(row) - len(expected))
