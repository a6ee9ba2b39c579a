"""Single values that callers of the judge pass: masks, sample ids and question indices."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from typing import Any, Protocol, cast

import numpy as np
from PIL import Image
from pydantic import ValidationError

from earthreason.errors import EarthReasonError, RLEError, show_value
from earthreason.masks.record import RLERecord
from earthreason.masks.rle import encode_mask, union_rles, validate_rle
from earthreason.predictions.coco import plain_scalar
from earthreason.predictions.schema import MAX_QUESTION_INDEX
from earthreason.predictions.segmentation import rle_of_record
from earthreason.types import RLE

_MASK_FORMS = "a mask is a (height, width) array, a torch tensor, a one-channel picture or a COCO RLE"
_RLE_FORM = 'a mask as RLE is {"size": [height, width], "counts": "..."}'
_ONE_CHANNEL = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L", "I;16N", "F")


class SupportsArray(Protocol):
    """A value that converts to an array, such as a torch tensor, a JAX array or a DataFrame of pixels."""

    def __array__(self, *args: Any, **kwargs: Any) -> Any: ...


MaskLike = np.ndarray | SupportsArray | Image.Image | RLE | Mapping[str, Any]
"""A (height, width) array or tensor, a one-channel picture, or a COCO RLE. Pixels are bool, 0 and 1, or 0 and 255."""


def as_rle(mask: MaskLike) -> RLE:
    """Encode a mask of any accepted form; tensors may be on any device, of any number type, and require gradients.

    Raises:
        RLEError: the value is not a mask; says what to do with it.
    """
    return _as_compressed(mask) if isinstance(mask, Mapping) else encode_mask(_foreground(_as_array(mask)))


def as_rles(value: MaskLike | list[MaskLike]) -> list[RLE]:
    """Encode a mask, or a list of masks in the order of the targets.

    Raises:
        RLEError: a value is not a mask, or the list is empty; says what to do with it.
    """
    if not isinstance(value, list) or any(isinstance(part, list | tuple | int | float) for part in value):
        return [as_rle(cast("MaskLike", value))]
    if not value:
        raise RLEError('a list of masks is empty: pass None for "no target", or zeros for an empty ground truth')
    return [as_rle(mask) for mask in value]


def unite_targets(masks: list[RLE]) -> tuple[RLE, tuple[RLE, ...]]:
    """Return the union of one or more masks, and the masks if there are several.

    Raises:
        RLEError: their sizes differ.
    """
    return (masks[0], ()) if len(masks) == 1 else (union_rles(masks), tuple(masks))


def _as_compressed(mask: Mapping[str, Any]) -> RLE:
    if isinstance(mask.get("counts"), list | np.ndarray):
        try:
            return rle_of_record(dict(mask), RLERecord.model_validate)
        except ValidationError:
            raise RLEError(_RLE_FORM) from None
        except ValueError as error:
            raise RLEError(str(error)) from None
    try:
        counts, size = mask["counts"], [operator.index(side) for side in mask["size"]]
        counts = counts.decode("ascii") if isinstance(counts, bytes) else counts
    except (KeyError, TypeError, ValueError):
        raise RLEError(_RLE_FORM) from None
    if not isinstance(counts, str):
        raise RLEError(f"the counts of an RLE are text, bytes or a list of run lengths, not {type(counts).__name__}")
    rle = RLE(size=size, counts=str(counts))
    validate_rle(rle)
    return rle


def _as_array(mask: Any) -> np.ndarray:
    if isinstance(mask, Image.Image):
        return _pixels(mask)
    if isinstance(mask, np.ma.MaskedArray):
        raise RLEError("a mask is a plain array, not a masked one; use `.filled(0)` or `.filled(1)`")
    if isinstance(mask, np.ndarray):
        return mask
    if mask is None:
        raise RLEError("a mask is missing: an empty target is a (height, width) array of zeros, not None")
    if isinstance(mask, list | tuple):
        raise RLEError(
            f"{_MASK_FORMS}, not a {type(mask).__name__}; convert rows of pixels with `numpy.array`, and draw polygons "
            "first"
        )
    try:
        if hasattr(mask, "detach"):  # torch is not imported for this, because most callers do without it
            tensor = mask.detach().cpu()
            tensor = tensor if str(tensor.layout) == "torch.strided" else tensor.to_dense()
            small = tensor.is_floating_point() and tensor.element_size() < 4  # numpy lacks bfloat16 and float8
            return np.asarray((tensor.float() if small else tensor.resolve_conj().resolve_neg()).numpy())
        if hasattr(mask, "__array__"):
            return np.asarray(mask)
    except Exception as error:
        reason = str(error).split("\n")[0]
        raise RLEError(f"{type(mask).__name__} does not convert to an array ({reason}); pass a numpy array") from None
    raise RLEError(f"{_MASK_FORMS}, not {type(mask).__name__}")


def _pixels(picture: Image.Image) -> np.ndarray:
    """Return the pixels of a picture with one channel; for a palette, its indices."""
    if picture.mode not in _ONE_CHANNEL:
        raise RLEError(f"a mask has one channel, but this picture has mode {picture.mode}; use `.convert('L')`")
    try:
        pixels = np.asarray(picture)
        drawn = np.asarray(picture.convert("L")) if picture.mode == "P" and picture.getpalette() else pixels
    except (OSError, SyntaxError, ValueError) as error:  # a file that is cut off, or closed
        raise RLEError(f"the picture cannot be read ({error}); open its file again") from None
    if not np.array_equal(drawn != 0, pixels != 0):
        raise RLEError(
            "in the palette of this picture, index 0 is not black, or another one is: pass `numpy.asarray(picture)` if "
            "the target is where the index is not 0, or `picture.convert('L')` if it is where the colour is not black"
        )
    return pixels


def _foreground(array: np.ndarray) -> np.ndarray:
    """Return the pixels that are not 0; refuse every array whose pixels do not say what is foreground."""
    if array.ndim != 2 or array.size == 0:
        raise RLEError(f"a mask has shape (height, width), but this array has shape {array.shape}{_reshaping(array)}")
    kind = array.dtype.kind
    if kind == "b":
        return array
    if kind not in "iuf":
        raise RLEError(
            f"a mask holds bool or numbers, but this array has dtype {array.dtype}; use `mask.astype(float)`"
        )
    if kind == "f" and np.isnan(array).any():
        raise RLEError(
            "a float mask may contain only 0 and 1, but this one has NaN; replace it first, e.g. with "
            "`numpy.nan_to_num(mask)`"
        )
    foreground = array != 0
    high = array.max()
    if array.min() >= 0 and (high in (0, 1) or (high == 255 and kind != "f")) and (array[foreground] == high).all():
        return foreground
    if kind == "f":
        raise RLEError(
            f"a float mask may contain only 0 and 1, but this one has {_some(array)}, such as logits or probabilities; "
            "threshold it first: `mask > 0` for logits, `mask > 0.5` for probabilities, `mask > 127` for 0 to 255"
        )
    raise RLEError(
        f"an integer mask may contain only 0 and 1, or 0 and 255, but this one has {_some(array)}; threshold logits "
        "first with `mask > 0`, and select a class of a label map with `mask == label`"
    )


def _reshaping(array: np.ndarray) -> str:
    if array.ndim > 2 and 1 in (array.shape[0], array.shape[-1]):
        return "; drop the axes of length 1 with `mask.squeeze()`"
    return "; pass one mask, of one channel" if array.ndim > 2 and array.size else ""


def _some(array: np.ndarray) -> str:
    values = np.unique(array)
    others = values[(values != 0) & (values != 1)]
    dots = ", ..." if len(others) > 3 else ""
    return ", ".join(f"{value:g}" for value in others[:3]) + dots


def sample_id_of(value: Any) -> str:
    """Return a sample id as text; COCO's integers, also of numpy or in a tensor without axes, become decimal digits.

    Raises:
        EarthReasonError: the value is neither a non-empty text nor an integer, or UTF-8 cannot encode it.
    """
    plain = plain_scalar(value)
    if isinstance(plain, bool) or not isinstance(plain, str | int) or plain == "":
        raise EarthReasonError(f"a sample id is a text or an integer, not {_show(plain)}")
    if isinstance(plain, str) and not plain.isascii() and any("\ud800" <= letter <= "\udfff" for letter in plain):
        raise EarthReasonError(f"a sample id is a text that UTF-8 can encode, not {_show(plain)}")
    return str(plain)


def question_index_of(value: Any) -> int:
    """Return a question index as an integer.

    Raises:
        EarthReasonError: the value is not an integer from 0 to `MAX_QUESTION_INDEX`.
    """
    plain = plain_scalar(value)
    if isinstance(plain, bool) or not isinstance(plain, int) or not 0 <= plain <= MAX_QUESTION_INDEX:
        raise EarthReasonError(f"a question index is an integer from 0 to {MAX_QUESTION_INDEX}, not {_show(plain)}")
    return plain


def finite_score(value: Any) -> float | None:
    """Return a confidence as a number, None if there is none.

    Raises:
        EarthReasonError: the value is no finite number.
    """
    plain = plain_scalar(value)
    if plain is None or (isinstance(plain, int | float) and not isinstance(plain, bool) and math.isfinite(plain)):
        return plain
    raise EarthReasonError(f"a score is a finite number or None, not {_show(plain)}")


def _show(value: Any) -> str:
    return f"{show_value(value)} ({type(value).__name__})"
