import numpy as np
import pytest

from earthreason.errors import EarthReasonError
from earthreason.geo.planning import Settings, check_questions
from earthreason.geo.predictor import GeoPredictor
from tests.geo.fakes import ShadeModel, noise

rasterio = pytest.importorskip("rasterio")
pytest.importorskip("pyogrio")

TRANSFORM = (0.5, 0.0, 500_000.0, 0.0, -0.5, 5_300_000.0)


def write_scene(path, pixels, transform=TRANSFORM, **profile):
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=pixels.shape[0],
        width=pixels.shape[1],
        count=3,
        dtype="uint8",
        crs="EPSG:32632",
        transform=rasterio.Affine(*transform),
        **profile,
    ) as target:
        target.write(pixels.transpose(2, 0, 1))
    return path


@pytest.fixture
def scene(tmp_path):
    return write_scene(tmp_path / "scene.tif", noise(150, 170))


def masks_of(answers):
    return [answer.raster.mask(answers.grid.whole) for answer in answers.answers]


def test_a_scene_becomes_polygons_whose_area_is_that_of_the_mask(scene):
    layer = GeoPredictor(ShadeModel()).segment(scene, ["1", "no"])
    with GeoPredictor(ShadeModel()).answer(scene, ["1", "no"]) as answers:
        mask, nothing = masks_of(answers)
        assert [answer.has_target for answer in answers.answers] == [True, False]
        assert answers.answers[0].share == mask.mean()
    assert not nothing.any()
    assert {region.question for region in layer} == {"1"}
    assert sum(region.pixels for region in layer) == mask.sum()
    # The scale of UTM at its central meridian is 0.9996, so a pixel there covers a little more than a quarter of 1 m2.
    assert sum(region.area_m2 for region in layer) == pytest.approx(mask.sum() * 0.25 / 0.9996**2, rel=1e-4)


def test_an_area_of_interest_is_answered_as_in_the_whole(scene):
    model = GeoPredictor(ShadeModel())
    with model.answer(scene, "1") as whole, model.answer(scene, "1", "pixels:40,30,70,50") as part:
        assert (part.grid.height, part.grid.width) == (50, 70)
        assert part.grid.transform == (0.5, 0.0, 500_020.0, 0.0, -0.5, 5_299_985.0)
        assert np.array_equal(masks_of(part)[0], masks_of(whole)[0][30:80, 40:110])


@pytest.mark.parametrize("crs", ["EPSG:32632", "scene"])
def test_an_area_in_metres_is_the_same_window(scene, crs):
    model = GeoPredictor(ShadeModel())
    box = "500020,5299960,500055,5299985"
    with model.answer(scene, "1", box, Settings(aoi_crs=crs)) as placed, model.answer(scene, "1") as whole:
        assert np.array_equal(masks_of(placed)[0], masks_of(whole)[0][30:80, 40:110])


def test_the_scale_follows_the_resolution_that_the_model_knows(scene):
    model = ShadeModel()
    model.ground_resolution = (1.0, 2.0)
    with GeoPredictor(model).answer(scene, "1") as answers:
        assert (answers.grid.height, answers.grid.width) == (75, 85)
        assert answers.grid.transform == (1.0, 0.0, 500_000.0, 0.0, -1.0, 5_300_000.0)
    with GeoPredictor(model).answer(scene, "1", "pixels:40,30,70,50", Settings(gsd=0.25)) as answers:
        assert (answers.grid.height, answers.grid.width) == (100, 140)
        assert answers.grid.transform == (0.25, 0.0, 500_020.0, 0.0, -0.25, 5_299_985.0)


def test_tile_0_shows_the_model_the_whole_scene(scene):
    model = ShadeModel()
    with GeoPredictor(model).answer(scene, "1", settings=Settings(tile=0)):
        assert model.calls == [((150, 170, 3), ("1",))]


def test_a_whole_scene_is_limited(scene, monkeypatch):
    monkeypatch.setattr("earthreason.geo.planning.WHOLE_PIXELS", 1000)
    with GeoPredictor(ShadeModel()).answer(scene, "1", settings=Settings(tile=0)) as answers:
        assert (answers.grid.height, answers.grid.width) == (30, 34)


def test_large_answers_lie_on_disk_and_are_the_same(scene, monkeypatch):
    with GeoPredictor(ShadeModel()).answer(scene, ["1", "2"]) as answers:
        expected = masks_of(answers)
    monkeypatch.setattr("earthreason.geo.predictor.IN_MEMORY", 0)
    monkeypatch.setattr("earthreason.geo.asking.Band.__init__.__defaults__", (0,))
    with GeoPredictor(ShadeModel()).answer(scene, ["1", "2"]) as answers:
        assert all(np.array_equal(ours, theirs) for ours, theirs in zip(masks_of(answers), expected, strict=True))


def test_the_folder_of_a_run_stays_when_writing_fails_and_goes_when_it_succeeds(scene, tmp_path):
    work = tmp_path / "out.partial"
    with (
        pytest.raises(ZeroDivisionError),
        GeoPredictor(ShadeModel()).answer(scene, "1", work=work) as first,
    ):
        raise ZeroDivisionError
    assert (work / "run.json").exists()
    model = ShadeModel()
    with GeoPredictor(model).answer(scene, "1", work=work) as answers:
        assert model.calls == []
        assert answers.facts["time"] == first.facts["time"]
    assert not work.exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"questions": "2"}, "questions"),
        ({"settings": Settings(threshold=0.4)}, "threshold"),
        ({"settings": Settings(tile=48)}, "tiles"),
        ({"aoi": "pixels:0,0,100,150"}, "area"),
    ],
)
def test_a_run_with_another_setting_is_refused(scene, tmp_path, change, words):
    arguments = {"questions": "1", "work": tmp_path / "work"}
    with pytest.raises(ZeroDivisionError), GeoPredictor(ShadeModel()).answer(scene, **arguments):
        raise ZeroDivisionError
    with (
        pytest.raises(EarthReasonError, match=f"unfinished run that differs in .*{words}"),
        GeoPredictor(ShadeModel()).answer(scene, **{**arguments, **change}),
    ):
        pass


def test_a_full_disk_is_one_line_and_the_run_goes_on(scene, tmp_path, monkeypatch):
    def full(self, record, band=None):
        raise OSError(28, "No space left on device")

    work = tmp_path / "work"
    monkeypatch.setattr("earthreason.geo.journal.Journal.commit", full)
    with (
        pytest.raises(EarthReasonError, match="disk of .*work is full; make room and run the same command again"),
        GeoPredictor(ShadeModel()).answer(scene, "1", work=work),
    ):
        pass
    monkeypatch.undo()
    with GeoPredictor(ShadeModel()).answer(scene, "1", work=work) as answers:
        assert answers.answers[0].has_target


def test_words_need_a_model_that_writes_them(scene):
    with (
        pytest.raises(EarthReasonError, match="does not answer in words"),
        GeoPredictor(ShadeModel()).answer(scene, "1", settings=Settings(words=True)),
    ):
        pass


@pytest.mark.parametrize(
    ("questions", "words"),
    [
        ([], "no questions"),
        ([" \n"], "the question is empty"),
        (["a?", ""], "question 2 is empty"),
        (["a?", "a? "], "question 2 is there twice"),
        (["x" * 1001], "1,001 characters; shorten it"),
        (["a\udcf9"], "not Unicode"),
        ([3], "not text"),
        ([str(n) for n in range(101)], "101 questions are too many"),
    ],
)
def test_unusable_questions_are_one_line(questions, words):
    with pytest.raises(EarthReasonError, match=words):
        check_questions(questions)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_out_of_range_is_one_line(scene, threshold):
    with (
        pytest.raises(EarthReasonError, match="between 0 and 1"),
        GeoPredictor(ShadeModel()).answer(scene, "1", settings=Settings(threshold=threshold)),
    ):
        pass


def test_no_target_marks_nothing_even_below_a_half(scene):
    with GeoPredictor(ShadeModel()).answer(scene, "no", settings=Settings(threshold=0.1)) as answers:
        assert not answers.answers[0].has_target
        assert not masks_of(answers)[0].any()
        assert answers.answers[0].share == 0


def test_the_share_is_of_the_pixels_in_the_area(scene):
    corners = [[500_000, 5_300_000], [500_040, 5_300_000], [500_000, 5_299_960.1], [500_000, 5_300_000]]
    triangle = {"type": "Polygon", "coordinates": [corners]}
    with GeoPredictor(ShadeModel()).answer(scene, "1", triangle, Settings(aoi_crs="EPSG:32632")) as answers:
        rows, columns = np.indices((answers.grid.height, answers.grid.width)) + 0.5
        inside = columns / 80 + rows / 79.8 < 1  # pixels of half a metre
        mask = masks_of(answers)[0]
        assert not mask[~inside].any()
        assert answers.answers[0].share == mask.sum() / inside.sum() > 0


def test_the_polygons_of_a_cut_are_those_of_the_whole_more_than_a_tile_from_the_cut(tmp_path):
    shapely = pytest.importorskip("shapely")
    pixels = noise(220, 240)
    a, b, c, d, e, f = TRANSFORM
    left, top, width, height = 37, 51, 150, 140
    moved = (a, b, c + a * left, d, e, f + e * top)
    cut = write_scene(tmp_path / "cut.tif", pixels[top : top + height, left : left + width], moved)
    whole = write_scene(tmp_path / "whole.tif", pixels)
    # A tile has 32 pixels of half a metre; pixel edges are rational numbers, so clipping them is exact.
    inner = shapely.box(moved[2] + a * 32, moved[5] + e * (height - 32), moved[2] + a * (width - 32), moved[5] + e * 32)
    ours, theirs = (
        shapely.union_all([region.geometry for region in GeoPredictor(ShadeModel()).segment(path, "1")]) & inner
        for path in (cut, whole)
    )
    assert ours.area > 100
    assert ours.equals(theirs)
