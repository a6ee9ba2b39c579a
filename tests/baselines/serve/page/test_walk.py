"""A person with Debian's Chromium on the page to try a model, in front of an API without a model."""

import io
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from tests.baselines.serve.page.conftest import running
from tests.baselines.serve.page.fake_api import fake_app
from tests.baselines.serve.page.walks import Walk, near

pytestmark = [pytest.mark.browser]

# Worked by hand: the picture's colour mixed with 140/255 of the answer's.
RED, BLUE, GREY = (160, 40, 40), (40, 40, 160), (128, 128, 128)
RED_MARKED, BLUE_MARKED = (198, 65, 25), (144, 65, 79)


@pytest.fixture(scope="module")
def asked():
    return []


@pytest.fixture(scope="module")
def address(chromium, asked):
    with running(fake_app(asked)) as (address, _):
        yield address


@pytest.fixture
def walk(chromium, address):
    made = Walk(chromium, address, accept_downloads=True)
    yield made
    made.context.close()
    assert made.faults == []


def png_bytes(colour=(10, 120, 10), size=(96, 64)):
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, "PNG")
    return stream.getvalue()


def test_a_sample_and_an_example_give_a_mask_where_the_model_says(walk, asked):
    walk.take()
    assert near(walk.colour_at(24, 24), RED)
    walk.page.get_by_role("button", name="Where is the left block?").click()
    walk.page.keyboard.press("Enter")
    walk.answered()
    assert (asked[-1]["sample"], asked[-1]["questions"]) == ("blocks", ["Where is the left block?"])
    assert near(walk.colour_at(24, 24), RED_MARKED)
    assert near(walk.colour_at(72, 24), BLUE)
    assert near(walk.colour_at(48, 50), GREY)
    assert near(walk.colour_at(8, 20), (230, 85, 13))  # the outline has the answer's own colour
    assert walk.facts() == {
        "Marked": "1 region, 16.7 % of the picture",
        "Confidence": "0.90 on the marked pixels",
        "No-target score": "0.08",
    }
    assert walk.page.locator("#answers-said").inner_text() == "Found in 0.3 s, after 0.2 s in the queue."


def test_a_sample_comes_with_a_question_that_another_example_replaces_but_not_what_was_typed(walk, asked):
    field = walk.page.locator("#fields textarea")
    walk.take()
    assert field.input_value() == "Where is the left block?"
    walk.page.get_by_role("button", name="Is there nothing like a ship?").click()
    assert field.input_value() == "Is there nothing like a ship?"
    field.fill("Where is my own?")
    walk.take("plain scan.png")
    assert field.input_value() == "Where is my own?"


def test_words_are_asked_for_by_a_box_and_shown(walk, asked):
    walk.take()
    walk.page.get_by_label("Also answer in words").check()
    walk.ask("Where are words?")
    walk.answered()
    assert asked[-1]["words"] == "true"
    assert walk.page.locator("#answers blockquote").inner_text() == "The block at the left."
    assert "words=true" in walk.page.locator("#curl").text_content()


def test_the_threshold_changes_the_mask_and_its_numbers_at_once(walk):
    walk.take()
    walk.ask("Where is the left block?")
    walk.answered()
    before = len(walk.page.evaluate("performance.getEntriesByType('resource')"))
    walk.page.get_by_label("Threshold").fill("0.3")
    assert near(walk.colour_at(72, 24), BLUE_MARKED)
    walk.page.wait_for_function("() => document.querySelector('#answers dd').textContent.startsWith('2 regions')")
    assert walk.facts()["Marked"] == "2 regions, 33.3 % of the picture"
    assert walk.facts()["Confidence"].startswith("0.65")  # of 230 and 102
    walk.page.get_by_label("Threshold").fill("0.95")
    assert near(walk.colour_at(24, 24), RED)
    walk.page.wait_for_function("() => document.querySelector('#answers dd').textContent.startsWith('no pixel')")
    assert len(walk.page.evaluate("performance.getEntriesByType('resource')")) == before  # the server was not asked


def test_nothing_is_said_in_words_with_its_score(walk):
    walk.take()
    walk.ask("Is there nothing like a ship?")
    walk.answered()
    said = walk.page.locator("#answers > li").inner_text()
    assert "Nothing here answers this question." in said
    assert "No-target score 0.93; the model says “nothing” above 0.50." in said
    assert walk.page.locator("#answers-said").inner_text().startswith("Nothing found in")
    assert near(walk.colour_at(24, 24), RED)


def test_several_questions_are_layers_told_apart_without_colour(walk):
    walk.take()
    walk.ask("Where is the left block?", "In words: where is the right block?")
    walk.answered(2)
    assert walk.page.locator("blockquote").all_inner_texts() == ["The block at the left."]
    first, second = (
        walk.page.evaluate(
            "n => { const c = document.querySelectorAll('canvas.key')[n]; "
            "return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]; }",
            number,
        )
        for number in range(2)
    )
    shades = [len(np.unique(np.reshape(key, (-1, 4)), axis=0)) for key in (first, second)]
    assert shades[0] == 1  # the first is plain
    assert shades[1] > 1  # the second has a pattern
    walk.page.get_by_role("checkbox", name="1. Where is the left block?").uncheck()
    assert near(walk.colour_at(24, 24), RED)
    assert not near(walk.colour_at(56, 24), BLUE)
    walk.page.get_by_label("Opacity of answer 2").fill("0")
    assert near(walk.colour_at(56, 24), BLUE)


def test_a_file_chosen_dropped_or_pasted_is_what_the_server_gets(walk, asked):
    content = png_bytes()
    walk.page.locator("#file").set_input_files({"name": "field.png", "mimeType": "image/png", "buffer": content})
    walk.page.wait_for_selector("text=Open: field.png, 96 × 64 pixels")
    walk.ask("left")
    walk.answered()
    assert asked[-1]["image"] == ("field.png", content)
    for event, carrier, name in (("drop", "dataTransfer", "drop.png"), ("paste", "clipboardData", "paste.png")):
        content = png_bytes((1, len(name), 3))
        walk.page.evaluate(
            """([bytes, event, carrier, name]) => {
              const data = new DataTransfer();
              data.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
              const options = { [carrier]: data, bubbles: true, cancelable: true };
              const made = event === "drop" ? new DragEvent(event, options) : new ClipboardEvent(event, options);
              document.querySelector("#map").dispatchEvent(made);
            }""",
            [list(content), event, carrier, name],
        )
        walk.page.wait_for_selector(f"text=Open: {name}, 96 × 64 pixels")
        walk.ask("right")
        walk.answered()
        assert asked[-1]["image"] == (name, content)


def test_a_file_that_only_the_server_reads_appears_with_the_answer(walk):
    walk.page.locator("#file").set_input_files({"name": "a.tif", "mimeType": "image/tiff", "buffer": b"II*\0" * 9})
    walk.page.wait_for_selector("text=The browser cannot show this file; it appears with the answer.")
    walk.ask("Where is the left block?")
    walk.answered()
    assert near(walk.colour_at(72, 24), BLUE)
    assert near(walk.colour_at(24, 24), RED_MARKED)


@pytest.mark.parametrize(
    ("question", "place", "line", "focus"),
    [
        ("large", "#picture-fault", "The image has 60 megapixels; at most 50 are taken.", "choose"),
        ("busy", "#ask-fault", "8 requests wait already. Try again in 7 s.", ""),
        ("broken", "#ask-fault", "The model is still loading.", ""),
        ("", "#ask-fault", "Type a question first.", ""),
    ],
)
def test_a_refusal_is_one_line_at_its_cause_and_takes_the_focus_there(walk, question, place, line, focus):
    walk.take()
    walk.ask(question)
    walk.page.wait_for_selector(f"{place}:not([hidden])")
    assert walk.page.locator(place).inner_text() == line
    assert walk.page.locator(place).get_attribute("role") == "alert"
    assert walk.focused() == focus
    assert walk.page.evaluate("document.activeElement.tagName") == ("BUTTON" if focus else "TEXTAREA")
    walk.ask("Where is the left block?")  # and the page works on
    walk.answered()
    assert walk.page.locator(place).is_hidden()


def test_a_file_over_the_limit_is_refused_before_it_is_sent(walk, asked):
    before = len(asked)
    large = {"name": "large.png", "mimeType": "image/png", "buffer": bytes(1_200_000)}
    walk.page.locator("#file").set_input_files(large)
    line = "large.png has 1.2 MB; at most 1 MB are taken. Choose a smaller image."
    walk.page.wait_for_selector(f"text={line}")
    assert walk.focused() == "choose"
    assert len(asked) == before


def test_a_server_that_is_gone_is_said_so(chromium):
    with running(fake_app([])) as (address, server):
        walk = Walk(chromium, address)
        walk.take()
        server.should_exit = True
        walk.page.wait_for_function("() => fetch('/health').then(() => false, () => true)")
        walk.ask("left")
        walk.page.wait_for_selector("text=The server does not answer. Check that it runs, then try again.")
        walk.context.close()
    assert [fault for fault in walk.faults if "Security" in fault] == []


def test_waiting_shows_the_queue_and_can_be_cancelled(walk):
    walk.take()
    walk.ask("slow")
    walk.page.wait_for_selector("text=In the queue: 3 requests")
    walk.page.get_by_role("button", name="Cancel").click()
    walk.page.wait_for_selector("#waiting", state="hidden")
    assert walk.page.locator("#answers-part").is_hidden()
    assert walk.page.locator("#ask-fault").is_hidden()
    walk.ask("left")
    walk.answered()


@pytest.mark.parametrize(
    ("picture", "label", "name"),
    [
        ("Two blocks", "Mask (png)", "mask.png"),
        ("town.tif", "GeoJSON (geojson)", "answer.geojson"),
        ("Two blocks", "GeoTIFF (tif)", "answer.tif"),
    ],
)
def test_downloads_use_the_threshold_of_the_slider(walk, picture, label, name):
    walk.take(picture)
    walk.ask("Where is the left block?")
    walk.answered()
    walk.page.get_by_label("Threshold").fill("0.3")
    with walk.page.expect_download() as awaited:
        walk.page.get_by_role("button", name=f"Download {label} of answer 1").click()
    content = awaited.value.path().read_bytes()
    assert awaited.value.suggested_filename == f"where-is-the-left-block.{name.split('.')[1]}"
    if name == "mask.png":
        assert np.count_nonzero(np.asarray(Image.open(io.BytesIO(content)))) == 2 * 32 * 32
    else:
        assert content == f"{name} at 0.3 of Where is the left block?".encode()


def test_a_picture_without_coordinates_has_no_geojson(walk):
    walk.take()
    walk.ask("Where is the left block?")
    walk.answered()
    labels = walk.page.get_by_role("group", name="Downloads of answer 1").get_by_role("button").all_inner_texts()
    assert labels == ["Mask", "Overlay", "GeoTIFF"]


def test_an_expired_result_is_said_at_its_buttons_and_earlier_answers_show_again(walk):
    walk.take()
    walk.ask("left, expired")
    walk.answered()
    walk.page.get_by_role("button", name="Download Mask (png) of answer 1").click()
    walk.page.wait_for_selector("text=This result has expired. Ask again to make it anew.")
    walk.ask("right")
    walk.answered()
    assert near(walk.colour_at(24, 24), RED)
    walk.page.get_by_role("button", name="left, expired Two blocks").click()
    walk.page.wait_for_function("() => document.querySelector('#answers').textContent.includes('left, expired')")
    assert near(walk.colour_at(24, 24), RED_MARKED)
    assert walk.focused() == "answers-title"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_command_of_the_page_asks_the_same(walk, asked):
    walk.take()
    walk.page.get_by_label("Kind of question").select_option("referring")
    walk.ask('@what\'s "left"; $HOME?', "two <b>")
    walk.answered(2)
    walk.page.get_by_text("The same request with curl").click()
    command = walk.page.locator("#curl").inner_text()
    done = subprocess.run(["bash", "-c", f"{command} --silent --fail"], capture_output=True, check=True, timeout=30)
    assert b'"id":"r1"' in done.stdout
    assert asked[-1] == asked[-2]
    assert asked[-1]["task"] == "referring"
    assert asked[-1]["questions"] == ['@what\'s "left"; $HOME?', "two <b>"]


def test_regions_are_counted_as_scipy_counts_them(walk):
    label = pytest.importorskip("scipy.ndimage").label
    generator = np.random.default_rng(7)
    for share in (0.2, 0.5, 0.6, 0.8):
        mask = generator.random((37, 41)) < share
        counted = walk.page.evaluate(
            "async ([mask, width]) => (await import('/static/scores.js')).regionsOf(mask, width)",
            [mask.ravel().astype(int).tolist(), 41],
        )
        assert counted == label(mask)[1]


def test_a_scene_is_a_map_and_can_be_asked_in_part(walk, asked):
    walk.take("town.tif")
    walk.page.wait_for_function(
        "() => performance.getEntriesByType('resource').some(e => /town.tif.\\d+.\\d+.\\d+.png/.test(e.name))"
    )
    walk.page.get_by_text("Ask about a part of the scene only").click()
    walk.page.get_by_role("button", name="Draw a rectangle").click()
    box = walk.page.locator("#map").bounding_box()
    across, down = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    walk.page.mouse.move(across, down)
    walk.page.mouse.down()
    walk.page.mouse.move(across + 100, down + 60, steps=4)
    walk.page.mouse.up()
    west, south, east, north = (
        float(walk.page.get_by_label(side).input_value()) for side in ("West", "South", "East", "North")
    )
    assert west == pytest.approx(7.006, abs=2e-4)  # from the middle of the scene
    assert north == pytest.approx(46.00275, abs=2e-4)
    assert west < east < 7.012
    assert 46.0 < south < north
    walk.ask("left")
    walk.answered()
    assert (asked[-1]["scene"], asked[-1]["area"]) == ("town.tif", f"{west},{south},{east},{north}")
    assert walk.facts()["Area"] == "15,432 m² (1.54 ha)"
    seen = walk.pixels()
    marked = np.argwhere(np.abs(seen.astype(int) - (167, 96, 48)).max(axis=2) < 8)
    assert marked.min(axis=0)[1] >= seen.shape[1] / 2 - 2  # the mask lies in the rectangle
    assert marked.min(axis=0)[0] >= seen.shape[0] / 2 - 2
    walk.page.get_by_role("button", name="Whole scene").click()
    walk.ask("left")
    walk.page.wait_for_function("() => document.querySelectorAll('#history li').length === 2")
    assert "area" not in asked[-1]


def test_an_area_that_is_wrong_is_said_at_its_fields(walk):
    walk.take("town.tif")
    walk.page.get_by_text("Ask about a part of the scene only").click()
    for side, value in zip(("West", "South", "East", "North"), ("7.01", "46.001", "7.001", "46.002"), strict=True):
        walk.page.get_by_label(side).fill(value)
    walk.page.keyboard.press("Tab")
    assert walk.page.locator("#area-fault").inner_text() == "West must be less than east, and south less than north."
    assert walk.focused() == "west"
    walk.page.get_by_label("East").fill("")
    walk.ask("left")
    assert walk.page.locator("#area-fault").inner_text() == "Give all four sides, or none for the whole scene."
    walk.page.get_by_label("East").fill("7.02")
    walk.page.keyboard.press("Tab")
    walk.ask("outside")
    walk.page.wait_for_selector("text=area: it lies outside town.tif")
    assert walk.focused() == "west"
    walk.page.get_by_role("button", name="Whole scene").click()
    walk.page.get_by_text("Ask about a part of the scene only").click()
    walk.ask("too wide")
    walk.page.wait_for_selector("text=choose a smaller area")
    assert walk.focused() == "draw"  # the part of the page opens for it


def test_a_picture_too_large_for_a_live_threshold_is_sampled_and_says_about(walk):
    walk.take()
    walk.ask("left, huge")
    walk.answered()
    assert walk.facts()["Marked"] == "1 region, 16.7 % of the picture"  # what the server said
    assert near(walk.colour_at(24, 24), RED_MARKED)
    walk.page.get_by_label("Threshold").fill("0.3")
    walk.page.wait_for_function("() => document.querySelector('#answers dd').textContent.startsWith('about 2 regions')")
    assert walk.facts()["Marked"] == "about 2 regions, 33.3 % of the picture"
    assert near(walk.colour_at(72, 24), BLUE_MARKED)


def test_a_scene_without_bounds_is_a_picture(walk, asked):
    walk.take("plain scan.png")
    assert near(walk.colour_at(24, 24), RED)
    assert walk.page.locator("#area-part").is_hidden()
    walk.ask("left")
    walk.answered()
    assert asked[-1]["scene"] == "plain scan.png"
    assert near(walk.colour_at(24, 24), RED_MARKED)
    assert re.search(r"scene=plain scan.png", walk.page.locator("#curl").text_content())
