"""Statistics as one page: every figure inside, with title and unit; numbers as in statistics.json."""

import base64
import io
import json
import re
from collections import Counter
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from rich.console import Console

from earthreason.data.reader import open_source
from earthreason.data.stats import Statistics, collect
from earthreason.reports.figures import draw_figures, list_measures, print_statistics

SET = Statistics(
    samples=Counter(train=1200, test=2),
    empty=Counter(train=1),
    target_shares=[0.01, 0.03],
    sides=[256, 512],
    resolutions=[0.5, 2.5],
    question_words=[10, 12],
    answer_words=[20],
    bigrams=Counter({("of", "the"): 3}),
    categories=Counter({"dam & lock": 2}),
    redundancy=[0.5, 1.0],
    is_official=True,
)
NAMES = {
    *("target_area", "image_size", "gsd", "text_length"),
    *("empty_targets", "bigrams", "categories", "patch_redundancy"),
}


def figures_of(page):
    """Embedded figures of a page as text, with their alternative texts."""
    found = re.findall(r'<img src="data:image/svg\+xml;base64,([^"]+)" alt="([^"]+)">', page)
    return {title: base64.b64decode(content).decode() for content, title in found}


def test_the_page_has_every_figure_and_the_folder_each_as_a_file(tmp_path):
    page = draw_figures(SET, tmp_path / "out", "my set").read_text()
    files = {file.stem: file.read_text() for file in (tmp_path / "out").glob("*.svg")}
    assert files.keys() == NAMES
    assert sorted(figures_of(page).values()) == sorted(files.values())
    assert json.loads((tmp_path / "out" / "statistics.json").read_text())["samples"] == {"train": 1200, "test": 2}
    assert "<h1>my set</h1>" in page
    assert "1,202 samples" in page
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page)  # opens offline


def test_figures_say_what_they_show_in_which_unit(tmp_path):
    figures = figures_of(draw_figures(SET, tmp_path / "out").read_text())
    units = {
        "Area of the target": "area of the target, % of the image",
        "Size of the images": "longer side, pixels",
        "Ground sampling distance (GSD)": "GSD, metres per pixel",
        "Length of questions and answers": "words",
        "Most frequent pairs of words": "occurrences in all questions",
        "Samples by category": "samples",
        "Samples by split": "samples",
        "Patch redundancy": "patches that resemble a neighbour, %",
    }
    assert figures.keys() == units.keys()
    for title, figure in figures.items():
        # Matplotlib writes the text of a drawn line as a comment.
        lines = [line.strip() for line in re.findall("<!--(.*?)-->", figure)]
        assert {title, units[title]} <= set(lines)
        assert "prefers-color-scheme: dark" in figure
        ElementTree.fromstring(figure)


def test_a_figure_of_what_the_source_does_not_state_is_left_out(tmp_path):
    bare = replace(SET, resolutions=[], categories=Counter())
    page = draw_figures(bare, tmp_path / "out").read_text()
    assert {file.stem for file in (tmp_path / "out").glob("*.svg")} == NAMES - {"gsd", "categories"}
    assert not {"Ground sampling distance (GSD)", "Samples by category"} & figures_of(page).keys()


def test_a_set_without_targets_has_no_figure_of_their_areas(tmp_path):
    draw_figures(replace(SET, target_shares=[]), tmp_path / "out")
    assert {file.stem for file in (tmp_path / "out").glob("*.svg")} == NAMES - {"target_area"}


@pytest.mark.filterwarnings("error")
def test_extreme_values_and_one_value_are_drawn_with_plain_numbers(tmp_path):
    odd = replace(SET, question_words=[1, 30_000], resolutions=[0.5], categories=Counter({"W" * 300: 2}))
    figures = figures_of(draw_figures(odd, tmp_path / "out").read_text())
    numbers = re.findall("<!--(.*?)-->", figures["Ground sampling distance (GSD)"])
    assert " 0.5 " in numbers  # the ticks of the scale around it, without powers
    assert not any("10^" in number or "mathdefault" in number for number in numbers)
    assert figures["Length of questions and answers"].count("<path") < 200  # not one bar for each of 30,000 lengths


def test_only_the_official_release_is_compared_with_the_paper(tmp_path):
    assert "paper" in figures_of(draw_figures(SET, tmp_path / "a").read_text())["Length of questions and answers"]
    assert "paper" not in draw_figures(replace(SET, is_official=False), tmp_path / "b").read_text().split("<body>")[1]
    for figure in (tmp_path / "b").glob("*.svg"):
        assert "paper" not in figure.read_text()


def test_shares_are_in_per_cent_and_what_is_missing_is_a_dash():
    rows = {measure.name: measure for measure in list_measures(replace(SET, resolutions=[]))}
    assert rows["target"].numbers == ["2", "2", "1", "3"]  # of 1 % and 3 %
    assert rows["target"].unit == "% of the image"
    assert rows["patch redundancy"].numbers == ["75", "75", "50", "100"]
    assert rows["GSD"].numbers == ["–"] * 4
    assert rows["question"].paper == "20.86"  # arXiv 2504.09644


def test_the_terminal_shows_the_same_numbers():
    text = io.StringIO()
    print_statistics(SET, Console(file=text, width=120))
    said = text.getvalue()
    assert "train 1200 (1 empty), test 2 (0 empty)" in said
    for measure in list_measures(SET):
        [line] = [line for line in said.splitlines() if line.startswith(f"{measure.name}, {measure.unit} ")]
        assert all(number in line for number in measure.numbers)


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_of_a_release_fits_a_phone(release, tmp_path, chromium, scheme):
    page = draw_figures(collect(open_source(str(release))), tmp_path / "out")
    tab = chromium.new_page(viewport={"width": 360, "height": 800}, color_scheme=scheme)
    tab.goto(page.as_uri())
    assert tab.evaluate("document.scrollingElement.scrollWidth") <= 360
    assert tab.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    tab.close()
