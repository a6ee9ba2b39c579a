"""Every mask format gives back the very mask, whatever chain of formats it went through."""

import json

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

pytest.importorskip("rasterio", reason="the annotation extra is not installed")

from annotation_tools.drawing import draw
from annotation_tools.formats.base import AS_STATED
from annotation_tools.formats.brush import decode_brush, encode_brush
from annotation_tools.formats.cvat import write_cvat
from annotation_tools.formats.labelme import document_of_drawing
from annotation_tools.formats.labelstudio import (
    drawing_of_results,
    results_of_drawing,
    task_of_drawing,
)
from annotation_tools.workspace import AnnotationTask
from earthreason.data.pictures import mask_of
from earthreason.masks.png import encode_mask_png
from earthreason.masks.rle import decode_rle, encode_mask

from ..conftest import drawings_in

masks = st.tuples(st.integers(1, 24), st.integers(1, 24)).flatmap(
    lambda shape: arrays(bool, shape, elements=st.booleans(), fill=st.booleans())
)
HOLE = np.ones((7, 9), bool)
HOLE[2:4, 3:6] = False
PARTS = np.zeros((8, 8), bool)
PARTS[0, 0] = PARTS[7, 7] = PARTS[3:5, 3:5] = True
PIXEL = np.zeros((5, 6), bool)
PIXEL[4, 5] = True
SPECIAL = {
    "hole": HOLE,
    "several parts": PARTS,
    "one pixel": PIXEL,
    "a pixel's image": np.ones((1, 1), bool),
    "empty": np.zeros((6, 4), bool),
    "full": np.ones((6, 4), bool),
}


def through_brush(mask, folder):
    return decode_brush(encode_brush(mask), *mask.shape)


def through_labelstudio_results(mask, folder):
    results = json.loads(json.dumps(results_of_drawing(draw("a", mask))))
    return drawing_of_results(results, AnnotationTask("a", "a.png", *mask.shape), "here", AS_STATED).mask


def through_labelstudio_file(mask, folder):
    (folder / "ls.json").write_text(json.dumps([task_of_drawing(draw("a", mask), "a.png")]))
    return drawings_in(folder / "ls.json", mask.shape)[0].mask


def through_cvat(mask, folder):
    write_cvat(folder / "cvat.xml", [draw("a", mask)], {"a": "a.png"})
    return drawings_in(folder / "cvat.xml", mask.shape)[0].mask


def through_labelme(mask, folder):
    (folder / "a.json").write_text(json.dumps(document_of_drawing(draw("a", mask), "a.png")))
    return drawings_in(folder / "a.json", mask.shape)[0].mask


def through_coco(mask, folder):
    height, width = mask.shape
    image = {
        "id": 1,
        "file_name": "a.png",
        "height": height,
        "width": width,
        "earthreason": {"is_empty": not mask.any()},
    }
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": encode_mask(mask)}
    (folder / "coco.json").write_text(
        json.dumps({"images": [image], "annotations": [annotation] if mask.any() else []})
    )
    return drawings_in(folder / "coco.json", mask.shape)[0].mask


def through_rle(mask, folder):
    return decode_rle(encode_mask(mask))


def through_png(mask, folder):
    return mask_of(encode_mask_png(mask), folder / "a.png")


WAYS = {
    way.__name__.removeprefix("through_"): way
    for way in (
        through_brush,
        through_labelstudio_results,
        through_labelstudio_file,
        through_cvat,
        through_labelme,
        through_coco,
        through_rle,
        through_png,
    )
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", SPECIAL)
def test_special_masks_come_back(way, kind, tmp_path):
    assert np.array_equal(WAYS[way](SPECIAL[kind], tmp_path), SPECIAL[kind])


@settings(max_examples=60)
@given(mask=masks, chain=st.lists(st.sampled_from(sorted(WAYS)), min_size=1, max_size=4))
def test_any_chain_of_formats_is_exact(mask, chain, tmp_path_factory):
    folder, now = tmp_path_factory.mktemp("chain"), mask
    for name in chain:
        now = WAYS[name](now, folder)
    assert np.array_equal(now, mask)


@given(mask=masks)
@example(mask=np.ones((300, 300), bool))  # runs longer than 16 bits
@example(mask=np.indices((64, 65)).sum(axis=0) % 2 == 0)
def test_brush_streams_say_their_own_length(mask):
    stream = encode_brush(mask)
    assert int.from_bytes(bytes(stream[:4]), "big") == mask.size * 4
    assert all(0 <= byte <= 255 for byte in stream)
    assert np.array_equal(decode_brush(stream, *mask.shape), mask)


def test_literal_records_are_read_and_soft_edges_marked_from_half_coverage():
    # One literal record of eight words: two pixels, the first of alpha 128, the second of alpha 127.
    bits = f"{8:032b}" + f"{7:05b}" + "".join(f"{n - 1:04b}" for n in (3, 4, 8, 16)) + "0" + "00" + "111"
    bits += "".join(f"{value:08b}" for value in (9, 9, 9, 128, 5, 5, 5, 127))
    bits += "0" * (-len(bits) % 8)
    stream = [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]
    assert decode_brush(stream, 1, 2).tolist() == [[True, False]]
