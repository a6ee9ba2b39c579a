import re

import numpy as np
import pytest
from PIL import Image

from earthreason.masks.rle import encode_mask
from earthreason.metrics.evaluate import evaluate_protocols
from earthreason.metrics.inputs import as_predictions, as_references
from earthreason.metrics.protocols import PROTOCOLS
from earthreason.metrics.references import Reference
from earthreason.reports.evaluation import Scene, write_report

FIELD = np.zeros((20, 30), bool)
FIELD[5:15, 5:20] = True
NOTHING = np.zeros_like(FIELD)
NASTY = '<script>alert("x")</script>'
TRUTH = {"right": FIELD, "wrong": FIELD, "missed": FIELD, "none": NOTHING, "false": NOTHING}
ANSWERS = {"right": FIELD, "wrong": ~FIELD, "missed": None, "none": None, "false": FIELD}


def draw_scene(_):
    return Scene(Image.new("RGB", (30, 20)), ["Where?"], [])


def write_pages(folder, truth, answers, gallery=24, load_scene=lambda _: None, info=None, boundary=False):
    predictions = as_predictions(answers)
    predictions.info.update(info or {})
    results = evaluate_protocols(
        predictions, as_references(truth), list(PROTOCOLS.values()), resamples=400, boundary=boundary
    )
    return write_report(folder, results, predictions, load_scene, gallery).read_text()


def write(folder, gallery=24, load_scene=lambda _: None, info=None, boundary=False):
    return write_pages(folder, TRUTH, ANSWERS, gallery, load_scene, info, boundary)


def cover(columns):
    """A mask that covers `columns` of the field's 15 columns, so that its IoU is columns / 15."""
    mask = NOTHING.copy()
    mask[5:15, 5 : 5 + columns] = True
    return mask


def write_many(folder, count, **options):
    """A report of `count` targets, none answered without overlap."""
    names = [f"s{n:03d}" for n in range(count)]
    answers = {name: cover(1 + n % 15) for n, name in enumerate(names)}
    return names, write_pages(folder, dict.fromkeys(names, FIELD), answers, **options)


def test_each_gallery_shows_its_kind_of_question(tmp_path):
    page = write(tmp_path, load_scene=draw_scene)
    sections = re.findall(r'<h2 id="g\d">(\w+\s?\w+)(.*?)(?=<h2)', page, re.DOTALL)
    shown = {title: re.findall(r"· <bdi>(\w+)</bdi> · question", text) for title, text in sections}
    assert shown["Worst"][0] == "wrong"
    assert shown["Best"][0] == "right"
    assert shown["False positives"] == ["false"]
    assert shown["False negatives"] == ["missed"]


def test_the_page_needs_no_network_and_its_pictures_exist(tmp_path):
    page = write(tmp_path, load_scene=draw_scene)
    pictures = re.findall(r'(?:src|href)="(pictures/[^"]+)"', page)
    assert pictures
    assert all((tmp_path / picture).is_file() for picture in pictures)
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page)
    assert 'loading="lazy"' in page


def test_the_model_and_its_headline_scores_stand_before_the_links(tmp_path):
    """Two of the five answers have IoU 1, the others 0; one of two empty targets and two of three targets are right."""
    top = write(tmp_path, info={"model": "Owl 3", "config": "wild", "split": "dusk"}).split("<nav")[0]
    assert "<h1>Owl 3</h1>" in top
    assert "Protocol SegEarth-R1" in top
    for name, value in {"gIoU": "40.00", "Pr@0.5": "40.00", "N-acc": "50.00", "T-acc": "66.67"}.items():
        assert f'<dt>{name}</dt><dd class="value">{value}</dd>' in top
    assert "<dt>config</dt><dd>wild</dd><dt>split</dt><dd>dusk</dd>" in top


@pytest.mark.parametrize("model", [None, "", " ", 7, ["a"]])
def test_a_report_without_a_name_of_the_model_is_called_after_the_predictions(tmp_path, model):
    assert "<h1>predictions</h1>" in write(tmp_path, info={"model": model})


def test_boundary_iou_is_in_headline_scores_and_groups_only_where_it_was_computed(tmp_path):
    """The bands of a mask and its complement share no pixel: of three targets one is right, of two empty ones one."""
    assert "Boundary IoU" not in write(tmp_path / "without")
    page = write(tmp_path / "with", boundary=True)
    assert '<dt>Boundary IoU</dt><dd class="value">40.00</dd>' in page
    groups = re.findall(r"<tr[^>]*><td>(present|empty)</td>.*?<td>([\d.]+)</td></tr>", page)
    assert set(groups) == {("present", "33.33"), ("empty", "50.00")}


def test_the_page_tells_the_no_target_threshold_of_the_predictions(tmp_path):
    assert "no-target threshold" not in write(tmp_path / "without")
    page = write(tmp_path / "with", info={"no_target_threshold": 0.31})
    assert "; no-target threshold of the predictions: 0.31.</p>" in page
    assert NASTY not in write(tmp_path / "nasty", info={"no_target_threshold": NASTY})


def test_what_data_says_is_never_markup(tmp_path):
    truth = [Reference(NASTY + str(n), encode_mask(FIELD), category=f"{NASTY}{n % 2}") for n in range(30)]
    answers = {reference.sample_id: cover(5) for reference in truth}
    info = {"model": NASTY, "config": NASTY, NASTY: NASTY}
    scene = Scene(Image.new("RGB", (30, 20)), [NASTY], [NASTY])
    write_pages(tmp_path, truth, answers, gallery=30, load_scene=lambda _: scene, info=info)
    pages = [file.read_text() for file in tmp_path.rglob("*.html")]
    assert len(pages) == 5  # the second and third pages of the worst and the best
    assert all("alert(" in page and NASTY not in page for page in pages)
    assert all("&lt;script&gt;" in page for page in pages)


@pytest.mark.parametrize("gallery", [0, 1])
def test_the_gallery_is_as_long_as_asked(tmp_path, gallery):
    page = write(tmp_path, gallery)
    assert page.count('class="sample"') <= 4 * gallery


def test_every_protocol_has_its_row(tmp_path):
    page = write(tmp_path)
    assert all(name in page for name in PROTOCOLS)
    # Headings of the table of protocols and of each of the tables of groups: target, target area.
    assert page.count('<th scope="col">gIoU</th><th scope="col">cIoU</th><th scope="col">Pr@0.5</th>') == 3


def test_a_long_gallery_is_divided_into_pages_that_show_every_sample_once(tmp_path):
    names, first = write_many(tmp_path, 60, gallery=500, load_scene=draw_scene)
    assert first.count("<img") == 2 * 12 * 3  # two galleries, a page of 12, three pictures each
    worst = first[first.index('id="g1"') : first.index('id="g2"')]
    further = [(tmp_path / "pages" / f"worst-{number}.html").read_text() for number in (2, 3, 4, 5)]
    shown = [name for page in (worst, *further) for name in re.findall(r"· <bdi>(\w+)</bdi> · question", page)]
    assert sorted(shown) == names
    assert "60 of 60 questions" in worst
    for page in further:
        links = re.findall(r'(?:src|href)="(\.\./[^"#]+)', page)
        assert links
        assert all((tmp_path / "pages" / link).is_file() for link in links)
    assert 'href="../index.html#g1"' in further[0]


def test_the_last_page_links_back_but_not_onward(tmp_path):
    write_many(tmp_path, 20, gallery=20)
    page = (tmp_path / "pages" / "best-2.html").read_text()
    assert 'rel="prev"' in page
    assert 'rel="next"' not in page


def test_a_shorter_report_leaves_nothing_of_an_earlier_one_and_nothing_of_others(tmp_path):
    write_many(tmp_path, 30, gallery=30)
    (tmp_path / "notes.txt").write_text("mine")
    write(tmp_path, load_scene=draw_scene)
    page = (tmp_path / "index.html").read_text()
    assert {file.name for file in tmp_path.iterdir()} == {"index.html", "pages", "pictures", "notes.txt"}
    assert not list((tmp_path / "pages").iterdir())
    assert all(f"pictures/{file.name}" in page for file in (tmp_path / "pictures").iterdir())


def test_a_report_that_fails_leaves_the_earlier_one_as_it_was(tmp_path):
    write(tmp_path, load_scene=draw_scene)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}

    def fail(_):
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        write_many(tmp_path, 30, gallery=30, load_scene=fail)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


def test_every_picture_says_what_it_shows_and_how_large_it_is(tmp_path):
    page = write(tmp_path, load_scene=draw_scene)
    pictures = re.findall(r"<img [^>]+>", page)
    assert pictures
    assert all(
        re.search(r'width="30" height="20" alt="(image|truth|prediction) of \w+, question 0"', i) for i in pictures
    )
    assert "prediction: no target" in page


def test_categories_are_plotted_best_first_with_counts_and_intervals(tmp_path):
    """One image has no interval. The mean of five 1 and five 0, resampled, is a tenth of a binomial number of 10 draws.

    P(0 or 1 of 10) is 1.1 %, P(up to 2) is 5.5 %: the interval is 20 to 80 %. Ten equal IoU of 0.25 have Wilson's:
    (0.25 + z^2/20 +- z sqrt(0.25 * 0.75/10 + z^2/400)) / (1 + z^2/10) with z = 1.96, which is 8.1 to 55.8 %.
    """
    ponds, mines = [f"pond{n}" for n in range(10)], [f"mine{n}" for n in range(10)]
    kinds = dict.fromkeys(ponds, "pond") | {"mill0": "mill"} | dict.fromkeys(mines, "mine")
    field = np.zeros((32, 32), bool)  # 32 divides the canvas of 1024, so that resizing changes no share
    field[:, :16] = True
    quarter = field.copy()
    quarter[:, 4:] = False
    truth = [Reference(name, encode_mask(field), category=kind) for name, kind in kinds.items()]
    answers = dict.fromkeys(ponds[:5], field) | dict.fromkeys(ponds[5:], ~field) | dict.fromkeys(mines, quarter)
    page = write_pages(tmp_path, truth, answers | {"mill0": field})
    bars = page[page.index('<ol class="bars">') : page.index("</ol>")]
    rows = re.findall(r'<li.*?<span>(\w+) <span class="dim">n (\d+)</span></span><span>([\d.]+)(.*?)</span>\n', bars)
    texts = [(name, n, value, re.sub("<.*?>", "", interval).strip()) for name, n, value, interval in rows]
    mine = ("mine", "10", "25.00", "8.1 to 55.8")
    assert texts == [("mill", "1", "100.00", ""), ("pond", "10", "50.00", "20.0 to 80.0"), mine]
    assert [float(width) for width in re.findall(r'class="score" width="([\d.]+)%"', bars)] == [100, 50, 25]


def test_a_single_category_is_not_plotted(tmp_path):
    assert 'id="categories"' not in write(tmp_path)


def test_a_protocol_that_scores_each_mask_lists_targets_and_shows_a_question_once(tmp_path):
    left, right = np.zeros((2, 32, 32), bool)
    left[:, :8], right[:, 24:] = True, True
    truth = [Reference("a", encode_mask(left | right), targets=(encode_mask(left), encode_mask(right)))]
    predictions = as_predictions({"a": [left, left]})
    results = evaluate_protocols(predictions, as_references(truth), [PROTOCOLS["lasers"]], resamples=0)
    page = write_report(tmp_path, results, predictions, lambda _: None, 24).read_text()
    assert "1 question about 1 image, 0 questions without a target, 2 targets scored one by one" in page
    assert re.findall(r"<td>(0, target \d)</td>", page) == ["0, target 1", "0, target 0"]  # by IoU: 0, then near 1
    assert page.count('alt="prediction of a, question 0"') == 2  # among the worst and the best, once each
