import itertools

import pytest
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.grounding.profiles import PROFILES, choose_profile, fit_patches

SIDES = (7, 28, 41, 42, 43, 123, 500, 999, 1024, 2048, 5000)
PUBLISHED_MOST_PIXELS = 12_845_056  # `max_pixels` in preprocessor_config.json of Qwen2.5-VL
SMALL = [(w, h) for w, h in itertools.product(SIDES, SIDES) if max(w, h) / min(w, h) <= 200]


def test_images_get_the_size_that_transformers_gives_them():
    for width, height in SMALL:
        assert fit_patches(width, height) == smart_resize(height, width)[::-1], (width, height)


def test_no_server_resizes_what_was_sent_once_more():
    for width, height in SMALL:
        sent = fit_patches(width, height)
        assert smart_resize(*sent[::-1])[::-1] == sent
        assert smart_resize(*sent[::-1], max_pixels=PUBLISHED_MOST_PIXELS)[::-1] == sent


def test_only_pixel_coordinates_change_the_image_that_is_sent():
    assert PROFILES["pixels"].sent_size(300, 200) == (308, 196)
    assert PROFILES["thousand"].sent_size(300, 200) == (300, 200)


@pytest.mark.parametrize(
    ("model", "profile"),
    [
        ("Qwen/Qwen2.5-VL-7B-Instruct", "pixels"),
        ("qwen2_5_vl", "pixels"),
        ("qwen2-vl-72b-instruct", "thousand"),
        ("qwen3-vl:8b", "thousand"),
        ("models/gemini-2.5-pro", "thousand-yx"),
        ("OpenGVLab/InternVL3-8B", "internvl"),
        ("gpt-5-mini", "thousand"),
        ("gpt-4o-2024-08-06", "thousand"),
    ],
)
def test_the_name_of_a_model_tells_its_coordinates(model, profile):
    assert choose_profile(model).name == profile


def test_what_is_given_wins_over_the_name():
    assert choose_profile("qwen2.5-vl", "fraction").name == "fraction"


def test_an_unknown_model_must_say_how_it_gives_coordinates():
    with pytest.raises(EarthReasonError, match="--vlm my-vlm: .*give --coordinates, one of pixels, thousand, "):
        choose_profile("my-vlm")
    with pytest.raises(UnknownNameError, match="pixels"):
        choose_profile("my-vlm", "pixel")
