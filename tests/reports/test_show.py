"""`earthreason.show` draws a row of any configuration, in files and in a notebook of a real kernel."""

import base64
import io
from importlib import import_module
from xml.etree import ElementTree

import nbformat
import numpy as np
import pytest
from datasets import Image as ImageColumn
from nbclient import NotebookClient
from PIL import Image

import earthreason
from earthreason import load_dataset, show
from earthreason.errors import EarthReasonError
from earthreason.masks.rle import encode_mask
from earthreason.overlay import PREDICTION_COLOUR, TRUTH_COLOUR
from tests.conftest import ROOT
from tests.data.fakes import SIZES


def a_row(**changes):
    """A black picture of 60 by 40 px with a target of 20 by 20 px."""
    mask = np.zeros((40, 60), np.uint8)
    mask[10:30, 20:40] = 255
    row = {"sample_id": "s", "image": Image.new("RGB", (60, 40)), "mask": Image.fromarray(mask)}
    return row | {"questions": ["Where <b>is</b> it?"], "answers": ["There & here."]} | changes


def has(picture, colour):
    return bool((np.asarray(picture) == colour).all(-1).any())


def test_image_truth_and_the_answers_of_models_are_side_by_side():
    half = np.zeros((40, 60), bool)
    half[10:30, 20:30] = True
    shown = show(a_row(), half=half, nothing=None)
    # Half of the target and nothing else is an IoU of a half.
    captions = [caption for caption, _ in shown.panels]
    assert captions == ["image", "ground truth", "half · IoU 0.50", "nothing: no target · IoU 0.00"]
    plain, truth, answer, nothing = (picture for _, picture in shown.panels)
    assert not np.asarray(plain).any()
    assert not np.asarray(nothing).any()
    assert has(truth, TRUTH_COLOUR)
    assert not has(truth, PREDICTION_COLOUR)
    assert has(answer, PREDICTION_COLOUR)


def test_masks_have_the_forms_that_evaluate_takes():
    mask = np.asarray(a_row()["mask"]) > 0
    forms = {"array": mask, "picture": Image.fromarray(mask), "rle": encode_mask(mask), "targets": [mask, mask]}
    assert all(caption.endswith("IoU 1.00") for caption, _ in show(a_row(), **forms).panels[2:])


@pytest.mark.parametrize("name", SIZES)
def test_a_row_of_every_related_set_is_drawn(name, tmp_path):
    import_module(f"tests.data.fakes.{name.replace('-', '_')}").make(tmp_path / "set")
    for rows in load_dataset("earthreason", name, data_dir=tmp_path / "set").values():
        shown = show(rows[0])
        assert rows[0]["sample_id"] in shown.heading
        assert shown.panels[0][0] == "image"
        assert len(shown.panels) == 1 + (rows[0]["mask"] is not None)


def test_encoded_and_partial_rows_are_drawn_alike():
    rows = load_dataset("earthreason", "sample", split="test[3:4]")
    [whole] = rows
    encoded = rows.cast_column("image", ImageColumn(decode=False)).cast_column("mask", ImageColumn(decode=False))[0]
    part = {name: whole[name] for name in ("image", "mask", "questions")}
    pictures = [[np.asarray(picture) for _, picture in show(row).panels] for row in (whole, encoded, part)]
    for other in pictures[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(pictures[0], other, strict=True))


def test_a_row_with_hidden_labels_has_neither_truth_nor_score():
    shown = show(a_row(mask=None), mine=np.ones((40, 60), bool))
    assert [caption for caption, _ in shown.panels] == ["image", "mine"]
    assert "no target" not in shown.heading


def test_pixels_that_count_nowhere_are_grey_and_touching_targets_keep_a_line():
    left, right, ignore = np.zeros((3, 40, 60), np.uint8)
    left[10:30, 20:30], right[10:30, 30:40], ignore[:, 50:] = 255, 255, 255
    targets = [Image.fromarray(left), Image.fromarray(right)]
    _, truth = show(a_row(targets=targets, ignore=Image.fromarray(ignore))).panels[1]
    assert np.ptp(np.asarray(truth)[20, 55]) == 0
    assert np.asarray(truth)[20, 55, 0] > 100
    assert has(np.asarray(truth)[15:25, 28:32], TRUTH_COLOUR)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("test", "takes one row"),
        ({"questions": ["Where?"]}, "takes one row"),
        ({"image": [1], "questions": [["Where?"]]}, "these are several"),
    ],
)
def test_what_is_no_row_is_refused_with_the_remedy(row, reason):
    with pytest.raises(EarthReasonError, match=reason):
        show(row)


@pytest.mark.parametrize("name", ["mask", "ignore", "targets"])
@pytest.mark.parametrize(("size", "mode", "stated"), [((9, 8), "L", "8 x 9"), ((60, 40), "RGB", "40 x 60 x 3")])
def test_a_column_that_does_not_fit_the_image_is_refused_rather_than_stretched(name, size, mode, stated):
    wrong = Image.new(mode, size)
    with pytest.raises(EarthReasonError, match=f"^{name} of the row is {stated} .* but its image is 40 x 60$"):
        show(a_row(**{name: [wrong] if name == "targets" else wrong}))


def test_arrays_single_texts_and_absent_answers_are_taken():
    row = a_row(image=np.zeros((40, 60, 3), np.uint8), questions="Where is it?", answers=None)
    shown = show(row)
    assert (shown.sample.questions, shown.sample.answers) == (["Where is it?"], [])
    with pytest.raises(EarthReasonError, match="^the image of a row is a picture or an array, not 'a.png'$"):
        show(a_row(image="a.png"))


def test_a_mask_that_does_not_fit_names_the_model_and_both_sizes():
    with pytest.raises(EarthReasonError, match=r"mine: the mask is 8 x 9 .* but the image is 40 x 60"):
        show(a_row(), mine=np.ones((8, 9), bool))
    with pytest.raises(EarthReasonError, match="mine: a float mask"):
        show(a_row(), mine=np.full((40, 60), 0.3))


@pytest.mark.parametrize("name", ["a.png", "a.pdf", "a.svg"])
def test_the_picture_is_saved_in_the_format_of_its_name(name, tmp_path):
    path = show(a_row()).save(tmp_path / name)
    heads = {"a.png": b"\x89PNG", "a.pdf": b"%PDF", "a.svg": b"<?xml"}
    assert path.read_bytes().startswith(heads[name])


@pytest.mark.parametrize("size", [(1, 512), (512, 1), (1, 1)])
def test_a_strip_of_an_image_stays_a_picture_of_a_page(size):
    row = a_row(image=Image.new("RGB", size), mask=Image.new("L", size))
    with Image.open(io.BytesIO(show(row)._repr_png_())) as picture:
        assert (
            max(picture.size) < 1600
        )  # two panels of 3.6 inches, of which the height is at most three times the width


def test_another_format_is_refused_and_writes_nothing(tmp_path):
    with pytest.raises(EarthReasonError, match="pictures are written as .png, .pdf, .svg"):
        show(a_row()).save(tmp_path / "a.jpg")
    assert not list(tmp_path.iterdir())


def test_the_html_holds_texts_as_text_and_every_panel():
    page = ElementTree.fromstring(show(a_row(), mine=None)._repr_html_())
    texts = ["".join(node.itertext()) for node in page.iter("li")]
    assert texts == ["Where <b>is</b> it?"]
    sources = [node.get("src") for node in page.iter("img")] if page.find(".//img") is not None else []
    assert len(sources) == 3
    for source in sources:
        with Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) as picture:
            assert picture.size == (60, 40)


def test_jupyter_displays_html_and_a_picture(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    lines = "from earthreason import load_dataset, show\nshow(load_dataset('earthreason', 'sample', split='test')[0])"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(lines)])
    NotebookClient(notebook, timeout=120).execute()
    [output] = [each for each in notebook.cells[0].outputs if each.output_type == "execute_result"]
    assert "<figure" in output.data["text/html"]
    with Image.open(io.BytesIO(base64.b64decode(output.data["image/png"]))) as picture:
        assert picture.format == "PNG"
        assert picture.width > 600
    assert "synthetic_s7_test_000000" in output.data["text/plain"]


def test_it_is_among_the_public_names():
    assert "show" in earthreason.__all__
