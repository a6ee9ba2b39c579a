"""The pages in Debian's Chromium, on a phone of 360 pixels and in dark mode."""

import json

import numpy as np
import pytest
from PIL import Image

from earthreason.data.exports import export
from earthreason.data.reader import open_source
from earthreason.masks.rle import encode_mask
from earthreason.metrics.evaluate import evaluate_protocols
from earthreason.metrics.inputs import as_predictions, as_references
from earthreason.metrics.protocols import PROTOCOLS
from earthreason.metrics.references import Reference
from earthreason.reports.browse import write_gallery
from earthreason.reports.evaluation import Scene, write_report
from earthreason.reports.page import write_page
from tests.conftest import write_sample
from tests.data.memory import Memory, sample

pytestmark = pytest.mark.browser

PHONE = {"width": 360, "height": 800}
LONG = "unbroken" * 30


@pytest.fixture(scope="module")
def browser(chromium):
    return chromium


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report of 56 questions in 28 categories, with long names everywhere, and galleries of 28 samples.

    One category has 12 questions and so an interval.
    """
    field = np.zeros((64, 64), bool)
    field[:, :32] = True
    truth = [
        Reference(f"{LONG}{n}", encode_mask(field), category=f"{LONG}{n % 28 if n < 46 else 0}") for n in range(56)
    ]
    answers = {reference.sample_id: np.roll(field, n, axis=1) for n, reference in enumerate(truth)}
    predictions = as_predictions(answers)
    predictions.info.update({"model": LONG, "config": LONG, "split": "test", "checkpoint": f"runs/{LONG}/{LONG}"})
    results = evaluate_protocols(
        predictions, as_references(truth), list(PROTOCOLS.values()), resamples=50, boundary=True
    )
    scene = Scene(Image.new("RGB", (64, 64)), [f"Where is {LONG}?"], [LONG])
    return write_report(tmp_path_factory.mktemp("report"), results, predictions, lambda _: scene, 28)


@pytest.fixture
def phone(browser):
    context = browser.new_context(viewport=PHONE, color_scheme="dark")
    page = context.new_page()
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    yield page
    context.close()
    assert not faults


def fits(page):
    return page.evaluate("document.scrollingElement.scrollWidth") <= PHONE["width"]


def test_no_page_of_a_report_is_wider_than_a_phone(phone, report):
    pages = [report, *sorted((report.parent / "pages").iterdir())]
    assert len(pages) == 5  # the second and third pages of the worst and the best
    for page in pages:
        phone.goto(page.as_uri())
        phone.evaluate("document.querySelectorAll('details').forEach(box => { box.open = true; })")
        assert fits(phone), page.name


def test_the_cards_of_a_report_lie_side_by_side_on_a_phone(phone, report):
    phone.goto(report.as_uri())
    strips = phone.locator(".strip").all()
    assert len(strips) == phone.locator(".cards").count() > 0
    for strip in strips:
        tops = strip.locator(".sample").evaluate_all("cards => cards.map(card => card.getBoundingClientRect().top)")
        assert tops
        assert len(set(tops)) == 1


def test_a_phone_shows_model_and_headline_scores_without_scrolling_sideways(phone, report):
    phone.goto(report.as_uri())
    for number in range(6):
        box = phone.locator(".headline .value").nth(number).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["width"]
    for table in ("Scores", "Protocols", "category"):  # the first scores beside wrapped first columns
        box = phone.get_by_role("region", name=table).locator("tbody tr td:nth-child(2)").first.bounding_box()
        assert box["x"] + box["width"] <= PHONE["width"], table
    box = phone.get_by_role("region", name="category").locator("tbody tr td:nth-child(6)").first.bounding_box()
    assert box["x"] + box["width"] <= PHONE["width"]  # the third score; Boundary IoU needs scrolling


def test_a_phone_shows_why_scores_have_no_interval_and_the_headline_of_a_protocol_of_targets(phone, tmp_path):
    field = np.zeros((64, 64), bool)
    truth = {f"s{n}": np.roll(field, n) | (np.arange(64) < 8 * n) for n in range(4)}
    predictions = as_predictions(truth)
    results = evaluate_protocols(predictions, as_references(truth), [PROTOCOLS["lasers"]], resamples=50)
    page = write_report(tmp_path, results, predictions, lambda _: None, 2)
    phone.goto(page.as_uri())
    assert fits(phone)
    cells = phone.get_by_role("region", name="Scores").locator("tbody td")
    assert "fewer than 10 images" in cells.all_text_contents()
    for cell in cells.all():
        box = cell.bounding_box()
        assert box["x"] + box["width"] <= PHONE["width"], cell.text_content()


def test_every_link_of_the_sections_leads_to_a_heading(phone, report):
    phone.goto(report.as_uri())
    links = phone.locator("nav[aria-label=Sections] a")
    assert links.count() >= 8
    for number in range(links.count()):
        target = links.nth(number).get_attribute("href")
        assert phone.locator(f"h2{target}").count() == 1


def test_pages_turn_with_links_and_with_arrow_keys(phone, report):
    phone.goto(report.as_uri())
    phone.get_by_role("navigation", name="Pages of Worst").get_by_role("link", name="Next").click()
    phone.wait_for_url("**/pages/worst-2.html")
    assert phone.locator(".sample").count() == 12
    phone.keyboard.press("ArrowLeft")
    phone.wait_for_url("**/index.html#g1")


def test_pictures_far_below_are_not_loaded_at_the_start(phone, report):
    phone.goto(report.as_uri())
    count = phone.evaluate("[...document.images].filter(image => image.complete && image.naturalWidth).length")
    assert phone.evaluate("document.images.length") == 2 * 12 * 3
    assert count < 12


def luminance(page, selector, name):
    """Mean of red, green and blue of a colour, 0 to 255."""
    return page.evaluate(
        """([selector, name]) => {
          const numbers = getComputedStyle(document.querySelector(selector))[name].match(/[0-9.]+/g).slice(0, 3);
          return numbers.map(Number).reduce((a, b) => a + b) / 3; }""",
        [selector, name],
    )


def test_page_and_figures_are_light_on_dark_in_dark_mode_and_on_paper_dark_on_light(phone, report):
    phone.goto(report.as_uri())
    assert luminance(phone, "body", "backgroundColor") < 60
    assert luminance(phone, ".chart text", "fill") > 140
    assert luminance(phone, ".bars line:not(.overall)", "stroke") > 140
    phone.emulate_media(media="print")
    assert luminance(phone, "body", "backgroundColor") > 240
    assert luminance(phone, ".chart text", "fill") < 120
    assert not phone.get_by_role("navigation", name="Sections").is_visible()


def test_saved_figures_follow_dark_mode_inside_pages(browser, tmp_path):
    from matplotlib.figure import Figure

    from earthreason.reports.svg import save_figure

    figure = Figure(figsize=(2, 2))
    figure.subplots()
    save_figure(figure, tmp_path / "figure.svg")
    (tmp_path / "page.html").write_text('<meta name="color-scheme" content="light dark"><img src="figure.svg">')
    for scheme, dark in (("light", False), ("dark", True)):
        page = browser.new_page(viewport={"width": 200, "height": 200}, color_scheme=scheme)
        page.goto((tmp_path / "page.html").as_uri())
        page.locator("img").screenshot(path=tmp_path / f"{scheme}.png")
        with Image.open(tmp_path / f"{scheme}.png") as shot:
            pixels = np.asarray(shot.convert("L"))
        assert bool(np.median(pixels) < 60) is dark
        assert (pixels > 200).any()  # the page, or the ink on it
        assert (pixels < 60).any()
        page.close()


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    """A gallery of 60 training samples, every tenth empty, and one sample in each other split."""
    folder = tmp_path_factory.mktemp("gallery")
    for number in range(60):
        write_sample(folder / "release" / "train", f"{LONG[:100]}{number:02d}", empty=number % 10 == 0)
    for split in ("val", "test"):
        write_sample(folder / "release" / split, split)
    return write_gallery(open_source(str(folder / "release")), folder / "gallery")


def test_the_gallery_of_samples_shows_a_page_at_a_time_and_filters_all(phone, gallery):
    phone.goto(gallery.as_uri())
    seen = phone.locator("#cards .sample:visible .id")
    assert fits(phone)
    assert seen.count() == 24
    assert phone.evaluate("document.scrollingElement.scrollHeight") < 12_000
    for left in (24, 14):  # of 62
        phone.keyboard.press("ArrowRight")
        phone.wait_for_function("count => document.querySelectorAll('#cards .sample').length === count", arg=left)
    assert phone.get_by_role("link", name="Next").count() == 0
    phone.get_by_label("target").select_option("yes")
    assert seen.count() == 6
    assert all("no target" in text for text in seen.all_text_contents())
    assert phone.locator("#count").text_content() == "6 of 62 samples"
    assert phone.locator(".pager a").count() == 0


def test_every_sample_is_on_one_page_of_the_gallery(phone, gallery):
    ids = []
    for page in (1, 2, 3):
        phone.goto(f"{gallery.as_uri()}#page={page}")
        phone.wait_for_function("page => document.querySelector('.pager b').textContent === page", arg=str(page))
        ids += [text.split(" · ")[0] for text in phone.locator("#cards .sample .id").all_text_contents()]
    assert len(ids) == len(set(ids)) == 62


def test_search_finds_samples_of_other_pages_and_the_address_leads_back_to_it(phone, gallery):
    phone.goto(gallery.as_uri())
    phone.keyboard.press("/")
    phone.keyboard.type("WHERE WOULD TEST")
    assert phone.locator("#cards .sample").count() == 1
    address = phone.url
    phone.goto("about:blank")
    phone.goto(address)
    assert phone.get_by_label("search").input_value() == "WHERE WOULD TEST"
    assert phone.locator("#cards .sample").count() == 1


def test_links_between_pages_keep_the_filters_and_the_browser_goes_back(phone, gallery):
    phone.goto(gallery.as_uri())
    phone.get_by_label("split").select_option("train")
    phone.get_by_role("navigation", name="Pages", exact=True).get_by_role("link", name="Page 3").click()
    phone.wait_for_function("document.querySelectorAll('#cards .sample').length === 12")  # of 60
    phone.go_back()
    phone.wait_for_function("document.querySelectorAll('#cards .sample').length === 24")
    assert phone.locator("#count").text_content() == "60 of 62 samples"


def test_what_samples_say_is_never_markup_in_the_gallery(phone, tmp_path):
    release = tmp_path / "release"
    for split in ("train", "val", "test"):
        write_sample(release / split, split)
    evil = "</script><img src=x onerror=document.title='hit'>"
    texts = {"sample_id": "train", "questions": [evil], "answer": [evil]}
    (release / "train" / "QAs" / "train.json").write_text(json.dumps(texts))
    phone.goto(write_gallery(open_source(str(release)), tmp_path / "gallery").as_uri())
    assert phone.locator("#cards .sample > p").first.text_content() == evil
    assert phone.title() == "EarthReason samples"


@pytest.fixture(scope="module")
def strange(tmp_path_factory):
    """A gallery of an image of 1 by 300 pixels, a long category and question, and names written to the left."""
    folder = tmp_path_factory.mktemp("strange")
    one = np.ones((80, 120), bool)
    records = [
        sample("tall", np.ones((300, 1), bool)),
        sample("long", one, category=LONG, questions=["Where " * 1500]),
        sample("a", one, category="سفينة", questions=["أين السفينة؟"], ground_resolution=0.5),
    ]
    export(Memory({"test": records}), "parquet", folder / "set")
    return write_gallery(open_source(str(folder / "set")), folder / "gallery #1 100%")


def test_strange_samples_fit_a_phone_without_filling_pages(phone, strange):
    phone.goto(strange.as_uri())
    assert fits(phone)
    for box in [card.bounding_box() for card in phone.locator(".sample").all()]:
        assert box["height"] < 900
    assert phone.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")


def test_a_category_written_to_the_left_leaves_the_facts_around_it_in_order(phone, strange):
    phone.goto(strange.as_uri())
    card = phone.locator(".sample").last
    assert card.locator(".id").text_content() == "a · test · سفينة · 120 x 80 · 0.5 m"
    lefts = card.locator(".id bdi").evaluate_all("facts => facts.map(fact => fact.getBoundingClientRect().left)")
    assert lefts == sorted(lefts)
    style = "text => getComputedStyle(text).direction"
    assert card.locator("p").first.evaluate(style) == "rtl"
    assert phone.locator(".sample p").first.evaluate(style) == "ltr"


def test_a_strip_of_an_image_and_a_long_question_do_not_fill_pages_of_a_report(phone, tmp_path):
    strip = {"a": np.ones((900, 4), bool)}
    predictions = as_predictions(strip)
    results = evaluate_protocols(predictions, as_references(strip), [PROTOCOLS["segearth-r1"]], resamples=0)
    scene = Scene(Image.new("RGB", (4, 900)), ["Where " * 1500], ["There " * 1500])
    phone.goto(write_report(tmp_path, results, predictions, lambda _: scene, 2).as_uri())
    assert fits(phone)
    assert phone.locator(".sample").first.bounding_box()["height"] < 1200


def test_without_javascript_the_gallery_says_where_the_samples_are(browser, strange):
    context = browser.new_context(viewport=PHONE, java_script_enabled=False)
    page = context.new_page()
    page.goto(strange.as_uri())
    assert page.locator("noscript p").is_visible()
    assert not page.locator("form").is_visible()
    assert not page.get_by_text("The address keeps").is_visible()
    context.close()


def test_the_demo_fits_a_phone_with_every_score(phone, tmp_path):
    names = ["gIoU", "cIoU", "Pr@0.5", "N-acc", "T-acc"]
    scores = [("saliency", ["100.00"] * 5)]
    shown = [{"question": LONG, "answer": LONG, "pictures": []}]
    write_page(tmp_path / "a.html", "demo.html", samples=9, empty=1, names=names, scores=scores, shown=shown)
    phone.goto((tmp_path / "a.html").as_uri())
    assert fits(phone)
    box = phone.locator("tbody td").last.bounding_box()
    assert box["x"] + box["width"] <= PHONE["width"]
