import re

import numpy as np
import pytest
from PIL import Image

from earthreason.metrics.evaluate import evaluate_protocols
from earthreason.metrics.inputs import as_predictions, as_references
from earthreason.metrics.protocols import PROTOCOLS
from earthreason.reports.evaluation import Scene, write_report

FIELD = np.zeros((20, 30), bool)
FIELD[5:15, 5:20] = True
NOTHING = np.zeros_like(FIELD)
NASTY = '<script>alert("x")</script>'


def write(folder, gallery=24, load_scene=lambda _: None, info=None):
    truth = as_references({"right": FIELD, "wrong": FIELD, "missed": FIELD, "none": NOTHING, "false": NOTHING})
    predictions = as_predictions({"right": FIELD, "wrong": ~FIELD, "missed": None, "none": None, "false": FIELD})
    predictions.info.update(info or {})
    results = evaluate_protocols(predictions, truth, list(PROTOCOLS.values()), resamples=50)
    return write_report(folder, results, predictions, load_scene, gallery).read_text()


def test_each_gallery_shows_its_kind_of_question(tmp_path):
    page = write(tmp_path, load_scene=lambda _: Scene(Image.new("RGB", (30, 20)), ["Where?"], []))
    sections = re.findall(r'<h2 id="g\d">(\w+\s?\w+)(.*?)(?=<h2)', page, re.DOTALL)
    shown = {title: re.findall(r"· (\w+) · question", text) for title, text in sections}
    assert shown["Worst"][0] == "wrong"
    assert shown["Best"][0] == "right"
    assert shown["False positives"] == ["false"]
    assert shown["False negatives"] == ["missed"]


def test_the_page_needs_no_network_and_its_pictures_exist(tmp_path):
    page = write(tmp_path, load_scene=lambda _: Scene(Image.new("RGB", (30, 20)), ["Where?"], []))
    pictures = re.findall(r'(?:src|href)="(pictures/[^"]+)"', page)
    assert pictures
    assert all((tmp_path / picture).is_file() for picture in pictures)
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page)
    assert 'loading="lazy"' in page


def test_the_page_tells_the_no_target_threshold_of_the_predictions(tmp_path):
    assert "no-target threshold" not in write(tmp_path / "without")
    page = write(tmp_path / "with", info={"no_target_threshold": 0.31})
    assert "; no-target threshold of the predictions: 0.31.</p>" in page
    assert NASTY not in write(tmp_path / "nasty", info={"no_target_threshold": NASTY})


def test_what_data_says_is_never_markup(tmp_path):
    page = write(tmp_path, load_scene=lambda _: Scene(Image.new("RGB", (30, 20)), [NASTY], [NASTY]))
    assert NASTY not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize("gallery", [0, 1])
def test_the_gallery_is_as_long_as_asked(tmp_path, gallery):
    page = write(tmp_path, gallery)
    assert page.count('class="sample"') <= 4 * gallery


def test_every_protocol_has_its_row(tmp_path):
    page = write(tmp_path)
    assert all(name in page for name in PROTOCOLS)
    # Headings of the table of protocols and of each of the tables of groups: target, target area.
    assert page.count('<th scope="col">gIoU</th><th scope="col">cIoU</th><th scope="col">Pr@0.5</th>') == 3
