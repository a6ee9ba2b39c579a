import itertools

import pytest

from earthreason.errors import UnknownNameError
from earthreason.grounding.profiles import PROFILES, fit_patches, get_profile

SIDES = (7, 28, 41, 42, 43, 123, 500, 999, 1024, 2048, 5000)
PUBLISHED_MOST_PIXELS = 12_845_056  # `max_pixels` in preprocessor_config.json of Qwen2.5-VL
SMALL = [(w, h) for w, h in itertools.product(SIDES, SIDES) if max(w, h) / min(w, h) <= 200]


@pytest.fixture
def smart_resize():
    return pytest.importorskip("transformers.models.qwen2_vl.image_processing_pil_qwen2_vl").smart_resize


def test_images_get_the_size_that_transformers_gives_them(smart_resize):
    for width, height in SMALL:
        assert fit_patches(width, height) == smart_resize(height, width)[::-1], (width, height)


def test_no_server_resizes_what_was_sent_once_more(smart_resize):
    for width, height in SMALL:
        sent = fit_patches(width, height)
        assert smart_resize(*sent[::-1])[::-1] == sent
        assert smart_resize(*sent[::-1], max_pixels=PUBLISHED_MOST_PIXELS)[::-1] == sent


def test_only_pixel_coordinates_change_the_image_that_is_sent():
    assert PROFILES["pixels"].sent_size(300, 200) == (308, 196)
    assert PROFILES["thousand"].sent_size(300, 200) == (300, 200)


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match="unknown coordinates 'pixel'; did you mean 'pixels'"):
        get_profile("pixel")
