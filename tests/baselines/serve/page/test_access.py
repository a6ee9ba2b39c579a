"""The page with keys alone, on a phone, in the light and in the dark."""

from pathlib import Path

import pytest

from tests.baselines.serve.page.conftest import running
from tests.baselines.serve.page.fake_api import fake_app
from tests.baselines.serve.page.walks import Walk, near

pytestmark = [pytest.mark.browser]
CONTRAST = (Path(__file__).parents[3] / "leaderboard" / "contrast.js").read_text().replace('"main *"', '"body *"')
PHONE = {"width": 360, "height": 740}

# What a person sees of the element that has the focus: its name, its outline, and whether it lies free in the window.
STOP = """() => {
  const one = document.activeElement, box = one.getBoundingClientRect(), style = getComputedStyle(one);
  const at = document.elementFromPoint(box.x + Math.min(box.width / 2, 20), box.y + Math.min(box.height / 2, 10));
  return {
    name: one.id || one.getAttribute("aria-label") || one.textContent.trim(),
    outline: style.outlineStyle, width: parseFloat(style.outlineWidth),
    free: Boolean(at) && (one === at || one.contains(at) || at.contains(one)),
  };
}"""


@pytest.fixture(scope="module")
def address(chromium):
    with running(fake_app([])) as (address, _):
        yield address


@pytest.fixture
def opened(chromium, address):
    walks = []

    def open_page(**options):
        walks.append(Walk(chromium, address, **options))
        return walks[-1]

    yield open_page
    for walk in walks:
        walk.context.close()
        assert walk.faults == []


def tab_to(walk, name, most=40):
    """Press Tab until the element of this name has the focus; every stop on the way must show it."""
    for _ in range(most):
        walk.page.keyboard.press("Tab")
        stop = walk.page.evaluate(STOP)
        assert stop["outline"] != "none", stop
        assert stop["width"] >= 1, stop
        assert stop["free"], stop
        if name in stop["name"]:
            return
    raise AssertionError(f"Tab does not reach {name}")


@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 800}, PHONE], ids=["desk", "phone"])
def test_keys_alone_open_ask_and_judge(opened, viewport):
    walk = opened(viewport=viewport, reduced_motion="reduce")
    keys = walk.page.keyboard
    tab_to(walk, "Skip to the questions")
    tab_to(walk, "map")
    tab_to(walk, "Two blocks")
    keys.press("Enter")
    walk.page.wait_for_selector("text=Open: Two blocks")
    assert near(walk.colour_at(24, 24), (160, 40, 40))
    tab_to(walk, "town.tif")
    walk.page.evaluate("() => document.activeElement.blur()")
    keys.press("/")
    keys.type("Where is the left block?")
    tab_to(walk, "send")
    tab_to(walk, "add")
    keys.press("Enter")
    keys.type("nothing / [ ] 1 ?")  # shortcuts are text in a field
    keys.press("Enter")
    walk.answered(2)
    assert walk.page.locator("#fields textarea").nth(1).input_value() == "nothing / [ ] 1 ?"
    assert near(walk.colour_at(24, 24), (198, 65, 25))
    tab_to(walk, "threshold")
    for _ in range(20):
        keys.press("ArrowLeft")
    assert walk.page.locator("#threshold-value").inner_text() == "0.30"
    assert near(walk.colour_at(72, 24), (144, 65, 79))
    keys.press("]")
    assert walk.page.locator("#threshold-value").inner_text() == "0.35"
    tab_to(walk, "answer-0")
    keys.press("Space")
    assert near(walk.colour_at(24, 24), (160, 40, 40))
    keys.press("1")
    assert near(walk.colour_at(24, 24), (198, 65, 25))
    tab_to(walk, "Download GeoTIFF (tif) of answer 2")
    tab_to(walk, "The same request with curl")
    keys.press("?")
    assert walk.page.locator("#keys-dialog").is_visible()
    walk.page.get_by_label("Use the keys without Ctrl or Enter").press("Space")
    keys.press("Escape")
    assert walk.page.locator("#keys-dialog").is_hidden()
    keys.press("1")  # now off
    assert walk.page.locator("#answer-0").is_checked()


def test_arrow_keys_and_plus_move_and_zoom_the_picture(opened):
    walk = opened(reduced_motion="reduce")
    walk.take()
    walk.page.locator("#map").focus()
    before = walk.pixels()
    walk.page.keyboard.press("ArrowRight")
    walk.page.wait_for_timeout(200)
    moved = walk.pixels()
    assert (moved != before).any()
    walk.page.keyboard.press("+")
    walk.page.wait_for_timeout(200)
    assert (walk.pixels() != moved).any()
    walk.page.keyboard.press("f")
    walk.page.wait_for_timeout(200)
    assert near(walk.colour_at(24, 24), (160, 40, 40))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 800}, PHONE], ids=["desk", "phone"])
def test_every_text_stands_out_and_nothing_is_wider_than_the_window(opened, scheme, viewport):
    walk = opened(viewport=viewport, color_scheme=scheme)

    def look():
        assert walk.page.evaluate("() => document.documentElement.scrollWidth") <= viewport["width"]
        assert walk.page.evaluate(CONTRAST) >= 4.5

    look()
    walk.take("town.tif")
    walk.page.get_by_text("Ask about a part of the scene only").click()
    walk.ask("Where is the left block, in words?", "nothing", "supercalifragilisticexpialidocious" * 4)
    walk.answered(3)
    walk.page.get_by_text("The same request with curl").click()
    look()
    walk.ask("busy")
    walk.page.wait_for_selector("#ask-fault:not([hidden])")
    look()
    walk.page.locator("#keys").click()
    look()


def test_the_chosen_theme_wins_and_is_kept(opened):
    walk = opened(color_scheme="light")

    def paper():
        return walk.page.evaluate("() => getComputedStyle(document.body).backgroundColor")

    assert paper() == "rgb(251, 251, 249)"
    walk.page.get_by_role("button", name="Theme: system").click()
    walk.page.get_by_role("button", name="Theme: light").click()
    assert paper() == "rgb(19, 23, 28)"
    walk.page.reload()
    walk.page.get_by_role("button", name="Theme: dark").wait_for()
    assert paper() == "rgb(19, 23, 28)"


def test_a_phone_pinches_and_scrolls_with_the_picture_in_view(opened):
    walk = opened(viewport=PHONE, has_touch=True, is_mobile=True)
    walk.take()
    walk.ask("Where is the left block?")
    walk.answered()
    walk.page.wait_for_timeout(600)
    box = walk.page.locator("#map").bounding_box()
    assert box["y"] >= 0
    assert box["y"] + box["height"] < 0.5 * PHONE["height"]  # the picture stays above its answers
    assert near(walk.colour_at(24, 24), (198, 65, 25))
    assert near(walk.colour_at(94, 6), (128, 128, 128))
    session = walk.context.new_cdp_session(walk.page)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for kind, spread in (("touchStart", 20), ("touchMove", 40), ("touchMove", 60)):
        points = [{"x": x - spread, "y": y, "id": 1}, {"x": x + spread, "y": y, "id": 2}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    walk.page.wait_for_timeout(400)
    assert not near(walk.colour_at(94, 6), (128, 128, 128))  # where the blue block, now larger, is seen
    assert walk.page.evaluate("() => visualViewport.scale") == 1  # the map was zoomed, not the page
