import pytest

from baselines.vlm_sam.families import choose_profile
from earthreason.errors import EarthReasonError, UnknownNameError


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
