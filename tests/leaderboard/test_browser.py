"""A person with Debian's Chromium: token, form, command line, table, sorting, comparison, model page."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from leaderboard.static_site import write_site
from tests.leaderboard.listings import entry
from tests.leaderboard.test_server import ROOT, Programs
from tests.leaderboard.toys import make_predictions

SCORES = {"Bbb": 0.3, "Ccc": 0.7, "Aaa": 0.5}
pytestmark = [pytest.mark.browser, pytest.mark.slow]
playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install -e .[dev]")


@pytest.fixture(scope="module")
def browser(chromium):
    return chromium


@pytest.fixture
def programs(tmp_path):
    made = Programs(f"sqlite:///{tmp_path}/board.sqlite3", tmp_path / "log", resamples=200)
    yield made
    made.end()


def command(programs, *words, **environment):
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=ROOT,
        env={**programs.environment, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_token_form_command_line_table_sorting_comparison_model_page(browser, programs, tmp_path):
    """The way of issue 9's last lines, on the sample data that everyone has."""
    command(programs, "leaderboard", "split", "add", "--config", "sample", "--split", "test", "--open")
    token = command(programs, "leaderboard", "token", "create", "Earth Lab")
    files = {name: tmp_path / f"{name}.json" for name in ("saliency", "empty")}
    for name, file in files.items():
        words = f"baselines predict --model {name} --config sample --split test".split()
        command(programs, *words, "--out", str(file))
    programs.web()
    programs.worker()
    programs.wait()

    page = browser.new_page()
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)

    page.goto(f"{programs.address}/submit")  # leads to the sign-in
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("File").set_input_files(files["saliency"])
    page.get_by_label("Name").fill("Saliency")
    page.get_by_label("Exposure to the dataset").select_option("zero-shot")
    page.get_by_label("Paper").fill("https://example.org/saliency")
    page.get_by_role("button", name="Submit", exact=True).click()
    page.wait_for_selector("button:has-text('Publish')", timeout=90_000)  # the page looks again by itself
    page.get_by_role("button", name="Publish").click()
    playwright.expect(page.get_by_text("everyone")).to_be_visible()

    options = f"--training zero-shot --server {programs.address} --publish".split()
    words = ["earthreason", "submit", str(files["empty"]), "--name", "No target", *options]
    told = command(programs, *words, EARTHREASON_TOKEN=token)
    address = re.search(r"http://\S+/models/\S+", told).group()

    page.goto(programs.address)
    names = page.locator("th.model > a")
    assert names.all_inner_texts() == ["No target", "Saliency"]
    assert page.locator("svg.interval").count() >= 4
    page.get_by_role("link", name="T-acc").click()
    assert names.all_inner_texts() == ["Saliency", "No target"]
    assert page.locator("th[aria-sort]").inner_text().startswith("T-acc")
    page.get_by_label("Protocol").select_option("native")  # the script asks for the page at once
    page.wait_for_url(re.compile("protocol=native"))

    for box in page.get_by_role("checkbox").all():
        box.check()
    page.get_by_role("button", name="Compare 2 models").click()
    playwright.expect(page.get_by_role("heading", name="Differences and tests")).to_be_visible()
    assert page.locator("svg.plot polyline").count() == 2

    page.goto(address)
    playwright.expect(page.get_by_role("heading", name="No target")).to_be_visible()
    picture = page.locator(".card img").first
    picture.scroll_into_view_if_needed()
    page.wait_for_function("image => image.naturalWidth > 0", arg=picture.element_handle())
    assert faults == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_pages_read_without_javascript_on_a_phone_and_in_the_dark(browser, hand, references, tmp_path):
    """No page is wider than the phone, and every text stands out from what is behind it."""
    contrast = (Path(__file__).parent / "contrast.js").read_text()
    ids = []
    for seed in range(2):
        metadata = {"model": f"Model {seed}", "training": "trained"}
        ids.append(hand.published(make_predictions(references, seed), split="toy/open", metadata=metadata))
    served = Programs(str(hand.worker.settings.database_url), tmp_path / "log2")
    try:
        served.web()
        served.wait()
        for scheme in ("light", "dark"):
            context = browser.new_context(
                viewport={"width": 360, "height": 844}, color_scheme=scheme, java_script_enabled=False
            )
            page = context.new_page()
            page.goto(f"{served.address}/sign-in")
            page.get_by_label("Token").fill(hand.tokens["alpha"])
            page.get_by_role("button", name="Sign in").click()
            for path in (
                "/?split=toy/open",
                f"/models/{ids[0]}",
                f"/compare?ids={ids[0]}&ids={ids[1]}",
                "/published",
                "/scoring",
                "/api",
                "/sign-in",
                "/submit",
                "/mine",
                "/nowhere",
            ):
                page.goto(served.address + path)
                assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
                assert page.get_by_role("heading", level=1).count() == 1, path
                assert page.evaluate(contrast) >= 4.4, (path, scheme)
            context.close()
    finally:
        served.end()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_longest_names_make_no_page_wider_than_the_screen(browser, hand, references, tmp_path):
    ids = []
    for seed, letter in enumerate("Wa"):
        metadata = {"model": letter * 80, "training": "trained", "description": "x" * 300}
        ids.append(hand.published(make_predictions(references, seed), split="toy/open", metadata=metadata))
    served = Programs(str(hand.worker.settings.database_url), tmp_path / "log2")
    try:
        served.web()
        served.wait()
        one, both = f"/models/{ids[0]}", f"/compare?ids={ids[0]}&ids={ids[1]}"
        split = "?split=toy/open"
        paths = (f"/{split}", one, both, f"/progress{split}", f"/history{split}", f"{one}/history")
        for width in (360, 1280):
            page = browser.new_page(viewport={"width": width, "height": 800})
            for path in paths:
                page.goto(served.address + path)
                assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    finally:
        served.end()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_arrow_keys_on_a_filter_choose_and_only_the_button_asks(browser, hand, tmp_path):
    served = Programs(str(hand.worker.settings.database_url), tmp_path / "log2")
    try:
        served.web()
        served.wait()
        page = browser.new_page()
        page.goto(f"{served.address}/?split=toy/open")
        address = page.url
        protocol = page.get_by_label("Protocol")
        protocol.focus()
        for _ in range(3):
            page.keyboard.press("ArrowDown")
        page.wait_for_timeout(500)
        assert page.url == address
        assert protocol.evaluate("select => select === document.activeElement")
        chosen = protocol.input_value()
        assert chosen == "think2seg-rs"
        page.get_by_role("button", name="Show").click()
        page.wait_for_url(re.compile(f"protocol={chosen}"))
        page.get_by_label("Training").select_option("zero-shot")  # as with the mouse: no key was pressed
        page.wait_for_url(re.compile("training=zero-shot"))
    finally:
        served.end()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_own_submissions_and_the_api_fit_a_phone_with_nothing_to_scroll_sideways(browser, hand, references, tmp_path):
    """With the longest names and messages, and every button in view."""
    metadata = {"model": "W" * 80, "training": "trained"}
    hand.published(make_predictions(references), split="toy/open", metadata=metadata)
    hand.submit(b"[" + b"x" * 200, split="toy/open", metadata={**metadata, "model": "Long " * 15})
    hand.score()
    served = Programs(str(hand.worker.settings.database_url), tmp_path / "log2")
    try:
        served.web()
        served.wait()
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.goto(f"{served.address}/sign-in")
        page.get_by_label("Token").fill(hand.tokens["alpha"])
        page.get_by_role("button", name="Sign in").click()
        for path in ("/mine", "/api"):
            page.goto(served.address + path)
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
            wide = "[...document.querySelectorAll('main *')].filter(one => one.scrollWidth > one.clientWidth + 1 && "
            wide += "getComputedStyle(one).overflowX !== 'visible').length"
            assert page.evaluate(wide) == 0, path
            for one in page.locator("main button, main code").all():
                if one.is_visible():
                    box = one.bounding_box()
                    assert box["x"] >= 0, path
                    assert box["x"] + box["width"] <= 390, path
        page.goto(f"{served.address}/mine")
        page.get_by_role("button", name="Hide").click()
        playwright.expect(page.get_by_text("your team")).to_have_count(2)
    finally:
        served.end()


def test_the_columns_of_a_static_site_sort_names_from_a_and_scores_from_the_best(browser, tmp_path):
    rows = [entry(name, giou) for name, giou in SCORES.items()]
    write_site(rows, tmp_path / "site")
    page = browser.new_page()
    page.goto((tmp_path / "site" / "index.html").as_uri())
    names = page.locator("th.model > a")
    assert names.all_inner_texts() == ["Ccc", "Aaa", "Bbb"]
    clicks = [
        ("model", ["Aaa", "Bbb", "Ccc"], "ascending"),
        ("model", ["Ccc", "Bbb", "Aaa"], "descending"),
        ("gIoU", ["Ccc", "Aaa", "Bbb"], "descending"),
        ("gIoU", ["Bbb", "Aaa", "Ccc"], "ascending"),
    ]
    for column, order, way in clicks:
        page.locator(f"th[data-key='{column}'] button").click(timeout=10_000)
        assert names.all_inner_texts() == order
        assert page.locator("th[aria-sort]").get_attribute("aria-sort") == way


def test_a_page_of_another_site_can_frame_a_row_but_not_the_pages_of_a_team(browser, programs, tmp_path):
    """The frame and the page around it have different ports, and so different origins."""
    command(programs, "leaderboard", "split", "add", "--config", "sample", "--split", "test", "--open")
    token = command(programs, "leaderboard", "token", "create", "Earth Lab")
    file = tmp_path / "empty.json"
    words = ["baselines", "predict", "--model", "empty", "--config", "sample", "--split", "test"]
    command(programs, *words, "--out", str(file))
    programs.web()
    programs.worker()
    programs.wait()
    words = ["earthreason", "submit", str(file), "--name", "Framed", "--training", "zero-shot", "--publish"]
    said = command(programs, *words, "--server", programs.address, EARTHREASON_TOKEN=token)
    row = re.search(r"/models/([\w-]+)", said)[1]

    page = browser.new_page()
    with HTTPServer() as other:
        sources = {"row": f"/models/{row}/embed", "page": f"/models/{row}", "sign-in": "/sign-in"}
        frames = "".join(
            f'<iframe name="{name}" src="{programs.address}{path}"></iframe>' for name, path in sources.items()
        )
        other.expect_request("/").respond_with_data(frames, content_type="text/html")
        page.goto(other.url_for("/"))
        playwright.expect(page.frame_locator("[name=row]").get_by_text("Framed")).to_be_visible()
        shown = {frame.name: frame.locator("body").inner_text() for frame in page.frames[1:]}
    assert "by Earth Lab" in shown["row"]
    assert "Framed" not in shown["page"]
    assert "Token" not in shown["sign-in"]
    page.close()
