"""Only encodings that pycocotools reads as we do are accepted; its decoder in a process of its own is the judge."""

import json
import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco

from earthreason.errors import RLEError
from earthreason.masks import kernel
from earthreason.masks.rle import encode_mask, rle_area, validate_rle

SHORTEST = "shortest form"
# It may crash on encodings that we should have refused, so it has a process of its own.
DECODER = """
import json, sys
from pycocotools import mask as coco
for line in sys.stdin:
    height, width, counts = json.loads(line)
    decoded = coco.decode({"size": [height, width], "counts": counts.encode()})
    print("".join(map(str, decoded.ravel(order="F"))))
"""


def number(value: int) -> str:
    """Write a number as COCO does: five bits a character from the lowest, until the rest is the sign."""
    text = ""
    while True:
        bits, value = value & 31, value >> 5
        more = value != (-1 if bits & 16 else 0)
        text += chr(48 + bits + 32 * more)
        if not more:
            return text


def stretched(text: str) -> str:
    """Write the last number with one character more than it needs."""
    bits = ord(text[-1]) - 48
    return text[:-1] + chr(48 + bits + 32) + ("O" if bits & 16 else "0")


def random_text(random: random.Random, height: int, width: int) -> str:
    """Write runs, some of them empty, that fill a mask; sometimes with a number stretched or a character replaced."""
    left, runs = height * width, []
    while left:
        runs.append(left if len(runs) > 60 else min(left, random.choice([0, 1, 3, 40, random.randint(0, left)])))
        left -= runs[-1]
    numbers = [number(run - (runs[k - 2] if k > 2 else 0)) for k, run in enumerate(runs)]
    if random.random() < 0.3:
        k = random.randrange(len(numbers))
        for _ in range(random.randint(1, 6)):
            numbers[k] = stretched(numbers[k])
    text = "".join(numbers)
    if random.random() < 0.3:
        k = random.randrange(len(text))
        text = text[:k] + chr(random.randint(48, 111)) + text[k + 1 :]
    return text


def test_pycocotools_decodes_every_accepted_text_to_our_pixels():
    generator = random.Random(5)
    masks, ours = [], []
    for _ in range(3000):
        height, width = generator.randint(1, 40), generator.randint(1, 40)
        text = random_text(generator, height, width)
        try:
            runs = kernel.foreground_boundaries({"size": [height, width], "counts": text})
        except RLEError:
            continue
        pixels = np.zeros(height * width, np.uint8)
        for start, stop in runs.reshape(-1, 2):
            pixels[start:stop] = 1
        masks.append(json.dumps([height, width, text]))
        ours.append("".join(map(str, pixels)))
    decoder = subprocess.run(
        [sys.executable, "-c", DECODER], input="\n".join(masks), capture_output=True, text=True, check=True
    )
    assert decoder.stdout.split() == ours
    assert len(ours) > 1000


def test_numbers_with_characters_to_spare_are_refused():
    # pycocotools 2.0.11 reads 71 pixels here, in a mask of 40.
    for counts in ("1W10inooooO", "P04", "4P0", "0oOT"):
        with pytest.raises(RLEError, match=SHORTEST):
            validate_rle({"size": [1, 40], "counts": counts})


@given(st.integers(-(1 << 29), (1 << 29) - 1).filter(bool), st.integers(1, 3))
def test_one_spelling_of_every_number_is_accepted(value, times):
    # Of the fourth run on, differences may be negative; this run is then 2**29 + value long.
    long = (1 << 29) + value
    size = [1 << 16, 1 << 16]
    before = [1, 1 << 29, 1]
    rest = (1 << 32) - sum(before) - long
    start, middle, end = "".join(map(number, before)), number(value), number(rest - 1)
    accepted = {"size": size, "counts": start + middle + end}
    assert rle_area(accepted) == (1 << 29) + long
    for _ in range(times):
        middle = stretched(middle)
    with pytest.raises(RLEError):
        validate_rle({"size": size, "counts": start + middle + end})


@pytest.mark.parametrize("total", [(1 << 29) - 1, 1 << 29, 1 << 30, 3 << 30, (1 << 32) - 1])
def test_a_first_run_of_up_to_32_bits_is_read_as_pycocotools_does(total):
    counts = "0" + number(total)
    rle = {"size": [1, total], "counts": counts}
    assert kernel.backend().decode_runs(counts, total, np.empty(len(counts), np.int64)) == 2
    assert int(coco.area({"size": rle["size"], "counts": counts.encode()})) == total


def test_a_run_of_33_bits_and_a_difference_below_30_bits_are_refused():
    # rleFrString, the C function of pycocotools, shifts their last bits out of an int.
    for total, counts in (
        (1 << 32, number(1 << 32)),
        (1 << 31, number(1) + number(1 << 30) + number(1) + number(1 - (1 << 30)) + number((1 << 30) - 4)),
    ):
        with pytest.raises(RLEError, match="over-long"):
            kernel.foreground_boundaries({"size": [1, total], "counts": counts})


def test_encodings_of_pycocotools_are_accepted():
    rng = np.random.default_rng(3)
    for _ in range(200):
        mask = rng.random(rng.integers(1, 80, 2)) < rng.random() ** 3
        assert rle_area(encode_mask(mask)) == mask.sum()


@pytest.mark.parametrize("place", range(60, 140))
def test_a_number_with_a_character_to_spare_is_refused_wherever_it_stands_in_a_long_text(place):
    # 16 x 20 alternating pixels: 320 numbers of one character, the sum of two is the first difference.
    mask = np.zeros((16, 20), bool)
    mask[1::2] = True
    rle = encode_mask(mask)
    text = rle["counts"]
    assert len(text) == 320
    longer = text[:place] + stretched(text[place]) + text[place + 1 :]
    with pytest.raises(RLEError, match=SHORTEST):
        validate_rle({"size": rle["size"], "counts": longer})


@pytest.mark.parametrize("place", range(60, 140, 2))
def test_a_run_of_33_bits_is_refused_wherever_it_stands_in_a_long_text(place):
    runs = [1] * 240
    runs[place] = 1 << 32
    text = "".join(number(run - (runs[k - 2] if k > 2 else 0)) for k, run in enumerate(runs))
    with pytest.raises(RLEError, match="over-long"):
        kernel.foreground_boundaries({"size": [1, sum(runs)], "counts": text})
