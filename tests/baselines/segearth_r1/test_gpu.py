"""SegEarth-R1 on a GPU. `python -m benchmarks.gpu run --rehearse` runs these on the CPU, but for what needs a card."""

import copy

import numpy as np
import pytest
import torch
from PIL import Image

from baselines.segearth_r1.predictor import SegEarthR1Predictor
from baselines.segearth_r1.tiny import make_tiny
from tests.baselines.segearth_r1.test_golden import batch_of, golden, model  # noqa: F401 (fixtures)

pytestmark = pytest.mark.gpu
QUESTIONS = ["where could a ship tie up?", "where?", "which part of all this would still be dry after a week of rain?"]


def pictures(count=3):
    rng = np.random.default_rng(5)
    sizes = [(200, 300), (256, 256), (310, 123)]
    return [Image.fromarray(rng.integers(0, 255, (*sizes[n % 3], 3), dtype=np.uint8)) for n in range(count)]


def predictor_on(device, **options):
    made, processor = make_tiny(3)
    return SegEarthR1Predictor(made.to(device), processor, **options)


def golden_run(model, golden, device, dtype):  # noqa: F811
    facts, arrays = golden
    pixels = torch.nn.functional.interpolate(
        torch.from_numpy(arrays["image_lowres"]), size=1024, mode="bilinear", align_corners=False
    )
    batch = batch_of(facts, arrays, model.config.visual_tokens)
    moved = copy.deepcopy(model).to(device, dtype)
    with torch.inference_mode():
        image = moved.encode_image(pixels.to(device, dtype))
        output = moved(image=image, **{name: tensor.to(device) for name, tensor in batch.items()})
    return image, output, arrays


def relative(found, expected):
    return np.abs(found.float().cpu().numpy() - expected).max() / np.abs(expected).max()


def test_the_golden_run_agrees_in_float32(gpu, model, golden):  # noqa: F811
    image, output, arrays = golden_run(model, golden, gpu, torch.float32)
    errors = {
        "visual tokens": relative(image.visual_tokens, arrays["visual_tokens"]),
        "mask features": relative(image.mask_features[:, ::16, ::8, ::8], arrays["mask_features_strided"]),
        "query": relative(output.description_embedding, arrays["description_embedding"]),
        "mask logits": relative(output.mask_logits.unsqueeze(1), arrays["mask_logits"]),
    }
    assert max(errors.values()) < 1e-3, errors


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_points_the_same_way(gpu, dtype, model, golden):  # noqa: F811
    if gpu == "cpu" and dtype == torch.float16:
        pytest.skip("a CPU takes half a minute for it, or more")
    image, output, arrays = golden_run(model, golden, gpu, dtype)
    for found, expected in (
        (image.visual_tokens, arrays["visual_tokens"]),
        (output.description_embedding, arrays["description_embedding"]),
        (output.mask_logits.unsqueeze(1), arrays["mask_logits"]),
    ):
        assert found.isfinite().all()
        cosine = torch.nn.functional.cosine_similarity(
            found.float().cpu().flatten(), torch.from_numpy(expected).flatten(), dim=0
        )
        assert cosine > 0.99


def test_alone_and_batched_agree(gpu):
    predictor = predictor_on(gpu)
    together = [logits.cpu() for logits, _ in predictor.logits(pictures(), QUESTIONS)]
    for picture, question, expected in zip(pictures(), QUESTIONS, together, strict=True):
        (found,) = [logits.cpu() for logits, _ in predictor.logits([picture], [question])]
        assert torch.allclose(found, expected, atol=1e-3 * float(expected.abs().max()))


def test_the_device_computes_what_the_cpu_does(gpu):
    expected = [logits for logits, _ in predictor_on("cpu").logits(pictures(), QUESTIONS)]
    found = [logits.cpu() for logits, _ in predictor_on(gpu).logits(pictures(), QUESTIONS)]
    for a, b in zip(found, expected, strict=True):
        assert torch.allclose(a, b, atol=1e-3 * float(b.abs().max()))


def test_words_are_those_of_the_cpu(gpu):
    expected = predictor_on("cpu").answer(pictures(1)[0], QUESTIONS[0], max_new_tokens=12)
    assert predictor_on(gpu).answer(pictures(1)[0], QUESTIONS[0], max_new_tokens=12) == expected


def test_a_batch_too_large_for_the_card_is_halved(gpu):
    if gpu != "cuda":
        pytest.skip("a CPU does not run out of memory like this")
    predictor = predictor_on(gpu, batch_size=256)
    images, questions = pictures(256), [QUESTIONS[n % 3] for n in range(256)]
    expected = [logits.cpu() for logits, _ in predictor_on(gpu, batch_size=8).logits(images, questions)]
    torch.cuda.empty_cache()
    room = torch.cuda.memory_reserved() + 500 * 2**20
    torch.cuda.set_per_process_memory_fraction(room / torch.cuda.get_device_properties(0).total_memory)
    try:
        found = [logits.cpu() for logits, _ in predictor.logits(images, questions)]
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert 1 <= predictor.batch_size < 256
    # Other batches are added up in another order; a logit that is 0 but for that lets the decoder see another pixel.
    assert min(float(((a > 0) == (b > 0)).float().mean()) for a, b in zip(found, expected, strict=True)) > 0.97
    worst = torch.tensor([float((a - b).abs().max() / b.abs().max()) for a, b in zip(found, expected, strict=True)])
    assert worst.median() < 1e-3
