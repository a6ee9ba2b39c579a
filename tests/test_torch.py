import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from baselines.common.pixels import normalise
from earthreason import load_dataset
from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.masks.grids import Grid, place_on_grid
from earthreason.torch import (
    PixelReasoningDataset,
    collate,
    letterbox_image,
    letterbox_pixels,
    restore_logits,
    restore_mask,
)


@given(st.integers(2, 300), st.integers(2, 300), st.sampled_from([128, 256]))
def test_the_inverse_brings_a_half_plane_back_to_within_a_pixel(height, width, side):
    grid = Grid("letterbox", side)
    if min(grid.resized_shape(height, width)) < 2:
        return
    truth = np.zeros((height, width), bool)
    truth[:, : width // 2] = True
    pixels = torch.from_numpy(truth.astype(np.uint8) * 255).expand(3, -1, -1)
    canvas = letterbox_pixels(pixels, side)[0].float() - 127.5
    found = (restore_logits(canvas, side, height, width) > 0).numpy()
    step = max(1, int(np.ceil(max(height, width) / side)))
    far = np.ones(width, bool)
    far[max(0, width // 2 - step - 1) : width // 2 + step + 1] = False
    assert np.array_equal(found[:, far], truth[:, far])


def test_sizes_are_those_of_the_reference():
    assert letterbox_image(Image.new("RGB", (103, 103), "white"), 1024)[0, :, -1].max() == 0
    wide = letterbox_image(Image.new("RGB", (800, 600), "white"), 1024)[0]
    assert wide[:128].max() == 0
    assert wide[128, 0] == 255
    assert wide[-128:].max() == 0


def test_a_line_of_pixels_has_a_place():
    assert letterbox_image(Image.new("RGB", (3000, 1), "white"), 128).max() == 255


def test_normalised_black_is_minus_mean_over_deviation():
    found = normalise(torch.zeros(1, 3, 1, 1, dtype=torch.uint8)).flatten().tolist()
    assert found == pytest.approx([-123.675 / 58.395, -116.28 / 57.12, -103.53 / 57.375])


@given(st.integers(1, 200), st.integers(1, 200), st.integers(0, 2**32 - 1))
def test_a_mask_that_the_canvas_enlarges_comes_back_exactly(height, width, seed):
    side = 256
    truth = np.random.default_rng(seed).random((height, width)) < 0.5
    grid = Grid("letterbox", side)
    rows, columns = grid.resized_shape(height, width)
    if rows < height or columns < width:
        return
    canvas = torch.from_numpy(place_on_grid(truth, grid))
    assert np.array_equal(restore_mask(canvas, height, width).numpy(), truth)


@pytest.fixture(scope="module")
def split():
    return load_dataset("earthreason", "sample", split="test[:6]")


def test_an_item_has_the_judges_canvas(split):
    item = PixelReasoningDataset(split, side=256)[2]
    truth = np.asarray(split[2]["mask"]) != 0
    assert np.array_equal(item["mask"].numpy(), place_on_grid(truth, Grid("letterbox", 256)))
    assert item["image"].shape == (3, 256, 256)
    assert item["image"].dtype == torch.uint8
    assert item["question"] == split[2]["questions"][0]


def test_the_native_mask_is_that_of_the_data_at_any_canvas(split):
    for side in (64, 1024):
        batch = collate([PixelReasoningDataset(split, side=side)[n] for n in range(len(split))])
        for row, mask, height, width in zip(split, batch["native_mask"], batch["height"], batch["width"], strict=True):
            assert mask.dtype == torch.bool
            assert mask.shape == (height, width)
            assert np.array_equal(mask.numpy(), np.asarray(row["mask"]) != 0)


def test_all_questions_are_items_of_their_own(split):
    items = PixelReasoningDataset(split, side=128, questions="all")
    assert len(items) == sum(len(row["questions"]) for row in split)
    first, second = split[0]["sample_id"], split[1]["sample_id"]
    asked = [(items[n]["sample_id"], items[n]["question_index"]) for n in (0, 5, 6)]
    assert asked == [(first, 0), (first, 5), (second, 0)]


def test_random_questions_depend_on_seed_and_epoch_only(split):
    one, two = (PixelReasoningDataset(split, side=128, questions="random", seed=3) for _ in range(2))
    asked = [one[n]["question_index"] for n in range(6)]
    assert asked == [two[n]["question_index"] for n in reversed(range(6))][::-1]
    one.set_epoch(1)
    two.set_epoch(2)
    later = [[items[n]["question_index"] for n in range(6)] for items in (one, two)]
    assert len({tuple(asked), *map(tuple, later)}) == 3


def test_batches_are_stacked_also_by_worker_processes(split):
    loader = torch.utils.data.DataLoader(
        PixelReasoningDataset(split, side=128), batch_size=3, num_workers=2, collate_fn=collate
    )
    batches = list(loader)
    assert [batch["image"].shape for batch in batches] == [(3, 3, 128, 128)] * 2
    natives = [mask.numpy() for batch in batches for mask in batch["native_mask"]]
    assert all(np.array_equal(mask, np.asarray(row["mask"]) != 0) for mask, row in zip(natives, split, strict=True))
    assert [name for batch in batches for name in batch["sample_id"]] == list(split["sample_id"])


def test_an_unknown_policy_is_named(split):
    with pytest.raises(UnknownNameError, match="did you mean 'random'"):
        PixelReasoningDataset(split, questions="randm")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.to_iterable_dataset(), "without streaming=True"),
        (lambda rows: {"test": rows}, r"give one split, such as rows\['test'\]"),
        (lambda rows: rows.select_columns(["sample_id", "image", "mask"]), "no column questions, answers"),
    ],
    ids=["stream", "dict of splits", "subset of columns"],
)
@pytest.mark.parametrize("questions", ["first", "all"])
def test_rows_that_are_no_whole_split_are_named_at_once(split, change, message, questions):
    with pytest.raises(EarthReasonError, match=message):
        PixelReasoningDataset(change(split), side=32, questions=questions)


@pytest.mark.parametrize("arguments", [{"side": 0}, {"side": "256"}, {"seed": -1}], ids=str)
def test_a_number_out_of_range_is_named(split, arguments):
    with pytest.raises(EarthReasonError, match=f"{next(iter(arguments))} is a whole number from"):
        PixelReasoningDataset(split, **arguments)


@pytest.mark.parametrize("form", ["torch", "numpy", "pandas"])
def test_the_format_of_the_rows_does_not_matter(split, form):
    columns = ["sample_id", "image", "mask", "questions", "answers"]
    item = PixelReasoningDataset(split.select_columns(columns).with_format(form), side=32)[1]
    assert np.array_equal(item["native_mask"], np.asarray(split[1]["mask"]) != 0)
    assert item["question"] == split[1]["questions"][0]
