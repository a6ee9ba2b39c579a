"""Any text is drawn as it was written, whatever its script, or with a box that is explained."""

import warnings
from xml.etree import ElementTree

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.textpath import TextPath
from PIL import Image

from earthreason import show
from earthreason.reports.grid import Answer, draw_grid
from earthreason.reports.lettering import Lettering, draw_bars
from earthreason.reports.samples import compose
from earthreason.types import Sample

LONG = "After knee surgery, a runner may train only in flat laps, WWWWWWWW MMMMMMMM, that are seen from one spot. " * 4
UNKNOWN = "\U0010fffd"
"""A character of private use, which no font of the tests has."""


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def filled(tmp_path, monkeypatch):
    """Install a font whose only letter fills the whole line: U+10FFFD."""
    pen = TTGlyphPen(None)
    for point, draw in zip([(0, 0), (0, 1000), (1000, 1000), (1000, 0)], ["moveTo", *["lineTo"] * 3], strict=True):
        getattr(pen, draw)(point)
    pen.closePath()
    square = pen.glyph()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "filled"])
    builder.setupCharacterMap({ord(UNKNOWN): "filled"})
    builder.setupGlyf({".notdef": square, "filled": square})
    builder.setupHorizontalMetrics({".notdef": (1000, 0), "filled": (1000, 0)})
    builder.setupHorizontalHeader(ascent=1000, descent=0)
    builder.setupNameTable({"familyName": "Filled", "styleName": "Regular"})
    builder.setupOS2(usWeightClass=400)
    builder.setupPost()
    builder.save(tmp_path / "filled.ttf")
    monkeypatch.setattr(fontManager, "ttflist", [*fontManager.ttflist])
    fontManager.addfont(tmp_path / "filled.ttf")


def ink_of(text, **options):
    figure = Figure(figsize=(4, 1))
    canvas = FigureCanvasAgg(figure)
    figure.text(0.1, 0.5, text, size=20, **options)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., 0] < 128


def a_row(**changes):
    row = {"sample_id": "s", "image": Image.new("RGB", (60, 40)), "mask": Image.new("L", (60, 40))}
    return row | {"questions": ["Where?"], "answers": []} | changes


@pytest.mark.parametrize("text", ["from $5 to $6", "$x^2$", r"\$ 5", r"$\frac{1$ and $\foo$", "$"])
def test_dollars_are_no_mathematics(text):
    drawn, plain = ink_of(Lettering.of([text]).write(text)), ink_of(text, parse_math=False)
    assert plain.any()
    assert np.array_equal(drawn, plain)


def test_a_letter_is_drawn_in_an_installed_font_that_has_it(filled):
    lettering = Lettering.of([f"a {UNKNOWN}"])
    assert lettering.families[-1] == "Filled"
    drawn = ink_of(lettering.write(UNKNOWN), family=lettering.families)
    rows, columns = np.flatnonzero(drawn.any(1)), np.flatnonzero(drawn.any(0))
    assert drawn[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()  # nothing but the filled square
    # 20 points at 100 dots per inch are 27.8 dots.
    assert len(rows) == pytest.approx(27.8, abs=1.5)
    assert not any("no font" in text.get_text() for text in texts_of(a_row(questions=[UNKNOWN])))


def texts_of(row):
    shown = show(row)
    return compose([shown._part]).findobj(lambda artist: hasattr(artist, "get_text"))


def test_a_letter_that_no_font_has_is_a_box_which_is_explained():
    found = [text.get_text() for text in texts_of(a_row(questions=[f"Where is {UNKNOWN}?"]))]
    assert "Q1 Where is □?\n□: a character that no font of this computer has" in found
    assert not any("□" in text.get_text() for text in texts_of(a_row()))


def test_half_characters_and_controls_are_drawn_written_and_printed(tmp_path):
    shown = show(
        a_row(sample_id="a\ud83d", questions=["Where \udc80 is\x00 it\x1b?"], answers=["\udfff"]), **{"m\ud800": None}
    )
    for name in ("a.png", "a.pdf", "a.svg"):
        shown.save(tmp_path / name)
    page = ElementTree.fromstring(shown._repr_html_().encode())
    assert ["".join(node.itertext()) for node in page.iter("li")] == ["Where � is� it�?"]
    assert repr(shown).encode().startswith("<a�".encode())


def test_the_texts_of_a_sample_stay_on_the_picture_and_below_each_other():
    shown = show(a_row(sample_id="W" * 300, questions=[LONG, "W" * 400, "", "one\ntwo"]), **{"m" * 100: None})
    figure = compose([shown._part])
    figure.draw_without_rendering()
    [part] = figure.subfigs
    texts = [part._suptitle, *(axis.title for axis in figure.axes), part._supxlabel]
    boxes = [text.get_window_extent() for text in texts]
    for box in boxes:
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.width
        assert box.y0 >= 0
        assert box.y1 <= figure.bbox.height
    heading, *captions, questions = boxes
    assert heading.y0 >= max(box.y1 for box in captions) - 1
    assert questions.y1 <= min(axis.get_window_extent().y0 for axis in figure.axes) + 1


def test_a_text_of_a_book_is_cut_with_the_number_of_lines_left_out():
    [drawn] = [
        text.get_text() for text in texts_of(a_row(questions=["\n".join(["line"] * 1000)])) if "Q1" in text.get_text()
    ]
    assert drawn.count("line\n") == 200
    assert drawn.endswith("… 800 more lines")


def test_bars_and_grids_take_any_text():
    figure = Figure()
    draw_bars(figure.subplots(), {"$a$ \ud800": 2, f"{UNKNOWN}": 1}, "samples", "red")
    figure.draw_without_rendering()
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [r"\$a\$ �", "□"]
    sample = Sample("a", Image.new("RGB", (60, 40)), np.zeros((40, 60), bool), [r"$\frac{1$" + UNKNOWN])
    grid = draw_grid([(sample, [Answer("$m$", None, 0.0)])])
    grid.draw_without_rendering()
    assert grid.axes[0]._left_title.get_text() == r"\$\frac{1\$□"


def test_names_of_any_length_leave_room_for_the_bars():
    figure = Figure(figsize=(6, 3.4), layout="constrained")
    axis = figure.subplots()
    draw_bars(axis, {"W" * 500: 2, "船" * 200: 1, "a name of many short words " * 9: 1}, "samples", "red")
    figure.draw_without_rendering()
    assert axis.get_window_extent().width > 0.4 * figure.bbox.width
    assert all(label.get_text().endswith("…") for label in axis.get_yticklabels())


def test_text_is_wrapped_at_the_width_in_points_and_loses_nothing():
    lettering = Lettering.of([LONG])
    lines = lettering.wrap(LONG, 150, 8)
    assert " ".join(lines) == LONG.strip()
    # The outlines of Matplotlib measure the ink; the room of a letter is a little wider.
    assert all(TextPath((0, 0), line, size=8).get_extents().width <= 150 for line in lines)
    assert "".join(lettering.wrap("M" * 100, 150, 8)) == "M" * 100
    assert lettering.wrap("one\ntwo", 150, 8) == ["one", "two"]
    assert lettering.wrap("", 150, 8) == [""]
    assert lettering.wrap("WW", 1, 8, "  ") == ["W", "  W"]
