"""The page in front of the real server, with a model that finds red: an upload, a sample, and a GeoTIFF as a map."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from tests.baselines.serve.page.walks import Walk, near

for _module in ("fastapi", "rasterio", "pyproj"):
    pytest.importorskip(_module, reason="the extras serve and geo are not installed")

from baselines.serve.settings import Settings  # noqa: E402
from tests.baselines.serve.fakes import RedModel, answer_whole, png, running, square  # noqa: E402

pytestmark = [pytest.mark.browser]
GREEN, RED = (0, 200, 0), (200, 0, 0)
RED_MARKED = (216, 47, 7)  # red mixed with 140/255 of the first answer's colour


def corners_of_box():
    """Longitudes and latitudes of the corners of the box in `write_scene`."""
    from pyproj import Transformer

    east, north = (500_200, 500_600, 500_600, 500_200), (5_099_900, 5_099_900, 5_099_500, 5_099_500)
    return Transformer.from_crs(32632, 4326, always_xy=True).transform(east, north)


def write_scene(path):
    """A scene of 120 x 80 pixels of 10 m in UTM zone 32 north, with a red box of 40 x 40 pixels."""
    import rasterio

    pixels = np.moveaxis(square(80, 120, (20, 10, 60, 50)), -1, 0)
    transform = rasterio.transform.from_origin(500_000, 5_100_000, 10, 10)
    with rasterio.open(
        path, "w", driver="GTiff", width=120, height=80, count=3, dtype="uint8", crs="EPSG:32632", transform=transform
    ) as out:
        out.write(pixels)


@pytest.fixture(scope="module")
def address(chromium, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    write_scene(folder / "field.tif")
    settings = Settings(checkpoint="fake", scenes=folder, folder=tmp_path_factory.mktemp("results"))
    with running(RedModel(), settings, answer=answer_whole) as server:
        yield f"http://127.0.0.1:{server.port}"


@pytest.fixture
def walk(chromium, address):
    made = Walk(chromium, address, accept_downloads=True)
    yield made
    made.context.close()
    assert made.faults == []


def test_an_upload_is_answered_and_downloaded(walk):
    content = png(square(64, 96, (8, 8, 40, 40)))
    walk.page.locator("#file").set_input_files({"name": "red.png", "mimeType": "image/png", "buffer": content})
    walk.page.wait_for_selector("text=Open: red.png")
    walk.ask("Where is red?", "Is there nothing?")
    walk.answered(2)
    assert near(walk.colour_at(24, 24), RED_MARKED)
    assert near(walk.colour_at(60, 24), GREEN)
    assert walk.facts()["Marked"] == "1 region, 16.7 % of the picture"  # 32 * 32 of 64 * 96
    assert "Nothing here answers this question." in walk.page.locator("#answers > li").nth(1).inner_text()
    with walk.page.expect_download() as awaited:
        walk.page.get_by_role("button", name="Download Mask (png) of answer 1").click()
    expected = np.zeros((64, 96), bool)
    expected[8:40, 8:40] = True
    np.testing.assert_array_equal(np.asarray(Image.open(awaited.value.path())) > 0, expected)


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_a_picture_that_exif_turns_is_shown_as_it_is_stored(walk, form):
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    Image.fromarray(square(64, 96, (8, 8, 40, 40))).save(file, form, exif=exif, quality=95)
    kind = {"name": "turned", "mimeType": f"image/{form.lower()}", "buffer": file.getvalue()}
    walk.page.locator("#file").set_input_files(kind)
    walk.page.wait_for_selector("text=Open: turned, 96 × 64 pixels")
    walk.ask("Where is red?")
    walk.answered()
    assert near(walk.colour_at(24, 24), RED_MARKED, 6)
    assert near(walk.colour_at(60, 24), GREEN, 6)


def test_a_sample_has_questions_to_click(walk):
    walk.page.locator("#samples button").first.click()
    walk.page.locator("#examples button").first.click()
    walk.page.keyboard.press("Enter")
    walk.answered()
    assert walk.page.locator("#answers > li h3").inner_text().startswith("1. ")


def test_a_geotiff_is_a_map_with_its_mask_in_place(walk):
    walk.take("field.tif")
    walk.page.wait_for_load_state("networkidle")
    bare = walk.pixels().astype(int)
    red, green = (np.abs(bare - colour).max(axis=2) < 40 for colour in (RED, GREEN))
    assert red.mean() > 0.1 * green.mean() > 0.01
    walk.ask("Where is red?")
    walk.answered()
    seen = walk.pixels().astype(int)
    marked = np.abs(seen - RED_MARKED).max(axis=2) < 12
    assert (marked & red).sum() > 0.9 * red.sum()  # the outline aside
    assert (marked & ~red).sum() < 0.03 * red.sum()
    from pyproj import Geod

    expected, _ = Geod(ellps="WGS84").polygon_area_perimeter(*corners_of_box())
    told = float(walk.facts()["Area"].split(" m²")[0].replace(",", ""))
    assert told == pytest.approx(abs(expected), rel=1e-4)
    with walk.page.expect_download() as awaited:
        walk.page.get_by_role("button", name="Download GeoJSON (geojson) of answer 1").click()
    layer = json.loads(awaited.value.path().read_text())
    assert [feature["properties"]["question"] for feature in layer["features"]] == ["Where is red?"]
    corners = np.array(layer["features"][0]["geometry"]["coordinates"][0])[:4]
    expected = np.column_stack(corners_of_box())
    np.testing.assert_allclose(corners[np.lexsort(corners.T)], expected[np.lexsort(expected.T)], atol=1e-6)


def test_the_shipped_checkpoint_marks_the_solar_plant_of_its_sample(chromium, tmp_path):
    pytest.importorskip("torch", reason="the extra baselines is not installed")
    pytest.importorskip("earthreason.geo.predictor")
    from baselines.registry import build_shipped

    with running(build_shipped("tiny"), Settings(checkpoint="tiny", folder=tmp_path)) as server:
        walk = Walk(chromium, f"http://127.0.0.1:{server.port}", accept_downloads=True)
        walk.take("Solar power plant")
        bare = walk.pixels().astype(int)
        walk.page.locator("#examples button").first.click()
        walk.page.keyboard.press("Enter")
        walk.answered()
        changed = np.abs(walk.pixels().astype(int) - bare).max(axis=2) > 20
        with walk.page.expect_download() as awaited:
            walk.page.get_by_role("button", name="Download GeoTIFF (tif) of answer 1").click()
        content = awaited.value.path().read_bytes()
        walk.context.close()
    assert walk.faults == []
    with Image.open(io.BytesIO(content)) as mask:
        marked = np.asarray(mask) > 0
    assert marked.any()
    side = min(changed.shape) - 2 * 16  # the picture is square and fits the map
    assert changed.sum() / side**2 == pytest.approx(marked.mean(), rel=0.2)
