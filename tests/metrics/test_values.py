"""Every form of a mask, an id and an index that people pass, and one clear line for each that cannot be scored."""

import io
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pycocotools import mask as coco

from earthreason import RegionAccumulator, evaluate
from earthreason.errors import EarthReasonError, RLEError
from earthreason.metrics.values import as_rle, question_index_of, sample_id_of

torch = pytest.importorskip("torch")

# By hand: 4 of the 8 target pixels are predicted and nothing else, so the IoU is 0.5.
TRUTH = np.zeros((4, 6), bool)
TRUTH[1:3, 1:5] = True
HALF = TRUTH & (np.arange(6) < 3)
BYTES = HALF.astype(np.uint8)


def paletted(indices, colours):
    picture = Image.frombytes("P", indices.shape[::-1], indices.tobytes())
    picture.putpalette(colours)
    return picture


def closed():
    picture = Image.fromarray(BYTES)
    picture.close()
    return picture


def cut():
    content = io.BytesIO()
    Image.fromarray(BYTES).save(content, "PNG")
    return Image.open(io.BytesIO(content.getvalue()[:-30]))


ACCEPTED = {
    "bool": HALF,
    "0 and 1": BYTES,
    "0 and 255": BYTES * 255,
    "int64": HALF.astype(np.int64),
    "uint16": BYTES.astype(np.uint16) * 255,
    "float": HALF.astype(np.float32),
    "float16": HALF.astype(np.float16),
    "big-endian": HALF.astype(">i4"),
    "column-major": np.asfortranarray(HALF),
    "a view": np.repeat(HALF, 2, axis=1)[:, ::2],
    "read-only": np.frombuffer(BYTES.tobytes(), np.uint8).reshape(BYTES.shape),
    "DataFrame of pixels": pd.DataFrame(HALF),
    "picture 1": Image.fromarray(HALF),
    "picture L": Image.fromarray(BYTES * 255),
    "picture I": Image.fromarray(BYTES.astype(np.int32)),
    "picture I;16": Image.fromarray(BYTES.astype(np.uint16)),
    "picture F": Image.fromarray(BYTES.astype(np.float32)),
    "palette indices": Image.fromarray(BYTES).convert("P"),
    "palette of black and one colour": paletted(BYTES, [0, 0, 0, 128, 0, 0]),
    "palette without colours": Image.frombytes("P", (6, 4), BYTES.tobytes()),
    "record array": BYTES.view(np.recarray),
    "longdouble": HALF.astype(np.longdouble),
    "negative zero": np.where(HALF, 1.0, -0.0),
    "reversed view": BYTES[::-1].copy()[::-1],
    "uint64 tensor": torch.from_numpy(BYTES).to(torch.uint64),
    "RLE that is no dict": MappingProxyType(coco.encode(np.asfortranarray(BYTES))),
    "RLE with bytes": coco.encode(np.asfortranarray(BYTES)),
    "tensor": torch.from_numpy(HALF),
    "uint8 tensor": torch.from_numpy(BYTES * 255),
    "bfloat16 tensor": torch.from_numpy(BYTES).bfloat16(),
    "float8 tensor": torch.from_numpy(BYTES).float().to(torch.float8_e4m3fn),
    "half tensor": torch.from_numpy(BYTES).half(),
    "tensor with gradients": torch.from_numpy(BYTES).float().requires_grad_(),
    "result of a graph": torch.from_numpy(BYTES).float().requires_grad_() * 1,
    "parameter": torch.nn.Parameter(torch.from_numpy(BYTES).float()),
    "sparse tensor": torch.from_numpy(BYTES).to_sparse(),
    "transposed tensor": torch.from_numpy(BYTES.T.copy()).T,
}


@pytest.mark.parametrize("mask", ACCEPTED.values(), ids=ACCEPTED)
def test_accepted_masks_have_the_iou_worked_by_hand_in_every_place(mask):
    assert evaluate({"a": mask}, {"a": TRUTH}, "native", resamples=0)["gIoU"] == 0.5
    assert evaluate({"a": HALF}, {"a": mask}, "native", resamples=0)["gIoU"] == 1
    judge = RegionAccumulator("native")
    judge.update("a", mask, TRUTH)
    assert judge.compute()["cIoU"] == 0.5


@pytest.mark.filterwarnings("ignore:Sparse CSR")
def test_sparse_tensors_of_every_layout_are_masks():
    whole = torch.from_numpy(BYTES).float()
    for sparse in (whole.to_sparse(), whole.to_sparse_csr(), whole.to_sparse_csc(), whole.to_sparse_bsr((2, 2))):
        assert as_rle(sparse) == as_rle(HALF)


class OnGPU:
    """What a CuPy array does: it refuses to leave the device unasked."""

    def __array__(self, *args, **kwargs):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")


REFUSED = {
    "None as truth": (None, "array of zeros, not None"),
    "negative integers": (np.array([[-3, 7], [0, 1]]), r"this one has -3, 7; .*`mask > 0`"),
    "label map": (np.array([[0, 1], [2, 3]], np.uint8), "`mask == label`"),
    "ignored 255 beside 1": (np.array([[0, 1], [255, 1]], np.uint8), "this one has 255"),
    "minus one": (np.array([[0, -1]]), "this one has -1"),
    "one class": (np.array([[0, 7]]), "this one has 7"),
    "logits": (np.array([[0.5, -4.0]]), "has -4, 0.5, .*threshold it first: `mask > 0` for logits"),
    "float 0 to 255": (np.array([[0.0, 255.0]]), "`mask > 127` for 0 to 255"),
    "NaN": (np.array([[0, np.nan]]), "has NaN"),
    "infinity": (np.array([[0, np.inf]]), "has inf"),
    "complex": (np.ones((2, 2), complex), "dtype complex128"),
    "strings": (np.array([["0", "1"]]), "dtype <U1"),
    "objects": (np.array([[0, None]], object), r"dtype object; use `mask.astype\(float\)`"),
    "pixels that may be missing": (pd.DataFrame(HALF).astype("boolean"), "dtype object"),
    "white palette": (paletted(BYTES, [255, 255, 255, 0, 0, 0]), r"index 0 is not black.*`numpy.asarray\(picture\)`"),
    "closed picture": (closed(), "the picture cannot be read"),
    "cut picture": (cut(), "the picture cannot be read .*truncated"),
    "generator": ((mask for mask in [HALF]), "not generator"),
    "memory": (memoryview(BYTES), "not memoryview"),
    "largest integer": (BYTES.astype(np.uint64) * np.uint64(2**64 - 1), "may contain only 0 and 1"),
    "dates": (np.array([["2020-01-01"]], "datetime64[D]"), "dtype datetime64"),
    "channel first": (BYTES[None], r"shape \(1, 4, 6\); drop the axes of length 1 with `mask.squeeze\(\)`"),
    "channel last": (BYTES[..., None], r"\(4, 6, 1\).*squeeze"),
    "three channels": (np.zeros((4, 6, 3)), r"shape \(4, 6, 3\); pass one mask, of one channel"),
    "a line": (np.zeros(6), r"shape \(6,\)"),
    "no axes": (np.True_, r"shape \(\)"),
    "no pixels": (np.zeros((0, 6)), r"shape \(0, 6\)"),
    "masked array": (np.ma.masked_equal(BYTES, 1), r"\.filled\(0\)"),
    "rows of a list": (HALF.tolist(), "not a list; convert rows of pixels with `numpy.array`"),
    "polygon": ([[1.0, 1.0, 4.0, 1.0, 4.0, 3.0]], "draw polygons first"),
    "tuple": ((HALF, 0.9), "not a tuple"),
    "number": (1, "not int"),
    "text": ("a.png", "not str"),
    "bytes": (b"\x00\x01", "not bytes"),
    "function": (np.zeros, "not builtin_function_or_method"),
    "GPU array": (OnGPU(), r"OnGPU does not convert to an array \(Implicit .*`\.get\(\)`"),
    "meta tensor": (torch.zeros(4, 6, device="meta"), "Tensor does not convert to an array"),
    "logits in bfloat16": (torch.full((4, 6), -1.5).bfloat16(), "threshold it first"),
    "integer logits in a tensor": (torch.full((4, 6), 7), "`mask > 0`"),
    "batch of tensors": (torch.zeros(1, 4, 6), "squeeze"),
    "complex tensor": (torch.zeros(4, 6, dtype=torch.complex64), "dtype complex64"),
    "runs that fall short": ({"size": [4, 6], "counts": [20]}, "add up to 20, not to 4 x 6"),
    "negative runs": ({"size": [4, 6], "counts": [-2, 26]}, "none negative"),
    "RLE of text sides": ({"size": "46", "counts": "h0"}, "a mask as RLE is"),
    "RLE of float sides": ({"size": [4.5, 6], "counts": "h0"}, "a mask as RLE is"),
    "RLE without a size": ({"counts": "h0"}, "a mask as RLE is"),
    "RLE of other bytes": ({"size": [4, 6], "counts": b"\xff"}, "a mask as RLE is"),
    "RLE that falls short": ({"size": [4, 6], "counts": "1"}, "falls short"),
    "annotation": ({"segmentation": {}, "bbox": [0, 0, 1, 1]}, "a mask as RLE is"),
}
for _mode in ("RGB", "RGBA", "LA", "CMYK", "YCbCr", "LAB", "HSV", "RGBX", "La", "RGBa", "PA"):
    REFUSED[f"picture {_mode}"] = Image.new(_mode, (6, 4)), rf"mode {_mode}; use `.convert\('L'\)`"


@pytest.mark.parametrize(("mask", "words"), REFUSED.values(), ids=REFUSED)
def test_other_masks_get_one_line_that_names_the_sample(mask, words):
    with pytest.raises(RLEError, match=words):
        as_rle(mask)
    calls = [
        lambda: evaluate({"field": HALF}, {"field": mask}),
        lambda: RegionAccumulator().update("field", HALF, mask),
    ]
    if mask is not None:
        calls += [
            lambda: evaluate({"field": mask}, {"field": TRUTH}),
            lambda: RegionAccumulator().update("field", mask, TRUTH),
        ]
    for call in calls:
        with pytest.raises(EarthReasonError, match=words) as caught:
            call()
        assert "'field'" in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [5, np.int64(5), np.uint8(5), torch.tensor(5), np.array(5), "5", np.str_("5")])
def test_ids_are_text_or_integers(value):
    assert sample_id_of(value) == "5"
    assert type(sample_id_of(value)) is str


@pytest.mark.parametrize(
    "value",
    [True, np.True_, 5.0, np.float32(5), None, "", b"5", ("a",), torch.tensor([5, 6]), torch.tensor(5, device="meta")],
)
def test_other_ids_are_refused(value):
    with pytest.raises(EarthReasonError, match="a sample id is a text or an integer, not "):
        sample_id_of(value)


@pytest.mark.parametrize("value", ["a\udcff", "\ud800"])
def test_ids_are_texts_that_json_can_hold(value):
    with pytest.raises(EarthReasonError, match="a text that UTF-8 can encode"):
        evaluate({value: HALF}, {value: TRUTH}, "native")
    assert sample_id_of("düne \U0001f3dc") == "düne \U0001f3dc"


@pytest.mark.parametrize("value", [0, np.int32(3), torch.tensor(7), 10_000])
def test_question_indices_are_integers(value):
    assert question_index_of(value) == int(value)


@pytest.mark.parametrize("value", [-1, np.int64(-1), 10_001, True, 1.0, "1", None, torch.tensor(-2)])
def test_other_question_indices_are_refused(value):
    with pytest.raises(EarthReasonError, match="a question index is an integer from 0 to 10000, not "):
        question_index_of(value)
    with pytest.raises(EarthReasonError, match="a question index"):
        RegionAccumulator().update("a", HALF, TRUTH, value)


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        ({"size": [2, 3], "counts": 5}, "the counts of an RLE are text, bytes or a list of run lengths, not int"),
        ({"size": ["x", 3], "counts": [6]}, "size"),
        ({"size": [2, 3], "counts": [5]}, "the run lengths in counts add up to 5, not to 2 x 3 pixels"),
    ],
)
def test_run_lengths_that_are_no_mask_are_refused(mask, words):
    with pytest.raises(RLEError, match=words):
        as_rle(mask)
