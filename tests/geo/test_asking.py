import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earthreason.geo.asking import MaskModel, as_tile_model, ask_tiles, read_block
from earthreason.geo.grid import GeoGrid, Window
from earthreason.geo.journal import MemoryRows, PackedRaster
from earthreason.geo.tiling import lay_tiles
from tests.geo.fakes import ArrayScene, ShadeModel, noise

TRANSFORM = (2.0, 0.0, 1003.0, 0.0, -2.0, 5006.0)


class Inside:
    """An area given as an array."""

    def __init__(self, inside):
        self.array = inside

    def inside(self, window):
        return self.array[window.top : window.bottom, window.left : window.right]


def ask(scene, questions, side=32, area=None, window=None, model=None, progress=None, rows=None, tmp="/nowhere"):
    model = model or ShadeModel()
    tiling = lay_tiles(scene.grid, side, 0.25, window)
    grid = scene.grid.cut(tiling.area)
    rows = rows or MemoryRows(len(questions), grid)
    ask_tiles(scene, tiling, model, questions, rows, tmp, area, progress=progress)
    return rows, [PackedRaster(grid, rows, number) for number in range(len(questions))], model


def masks_and_probabilities(raster):
    return raster.mask(raster.grid.whole), raster.probability(raster.grid.whole)


def reference(scene, tiling, scale=1.0):
    """Blend in double precision, each pixel over all tiles at once."""
    total, weight = np.zeros((2, *scene.pixels.shape[:2]))
    down, across = (np.hanning(n + 2)[1:-1] for n in (tiling.height, tiling.width))
    for row in range(len(tiling.tops)):
        for tile in tiling.row(row):
            part = np.s_[tile.top : tile.bottom, tile.left : tile.right]
            red = scene.pixels[part][..., 0].astype(float)
            window = np.outer(down, across) + 1e-3
            total[part] += window * (red - red.mean()) / 16 * scale
            weight[part] += window
    return total / weight


def test_tiles_are_blended_as_worked_out_in_double_precision():
    scene = ArrayScene(noise(150, 121), transform=TRANSFORM, crs="local")
    _, (raster,), _ = ask(scene, ["1"])
    mask, probability = masks_and_probabilities(raster)
    logits = reference(scene, lay_tiles(scene.grid, 32))
    assert np.array_equal(mask[np.abs(logits) > 1e-4], logits[np.abs(logits) > 1e-4] > 0)
    assert np.abs(probability - 1 / (1 + np.exp(-logits))).max() < 1e-4


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 60), st.integers(0, 60), st.integers(90, 140), st.integers(90, 140))
def test_a_mosaic_cut_anywhere_answers_as_the_whole_more_than_a_tile_from_the_cut(left, top, width, height):
    whole = ArrayScene(noise(200, 200), transform=TRANSFORM, crs="local")
    cut = np.s_[top : top + height, left : left + width]
    part = ArrayScene(whole.pixels[cut], transform=whole.grid.cut(Window(left, top, width, height)).transform)
    (_, (of_whole,), _), (_, (of_part,), _) = ask(whole, ["1"]), ask(part, ["1"])
    inner = Window(32, 32, width - 64, height - 64)
    outer = Window(left + 32, top + 32, width - 64, height - 64)
    assert np.array_equal(of_part.probability(inner), of_whole.probability(outer))
    assert np.array_equal(of_part.mask(inner), of_whole.mask(outer))


def test_one_tile_is_what_the_model_gave():
    scene = ArrayScene(noise(30, 25))
    _, (raster,), model = ask(scene, ["1"], side=64)
    (scores,) = ShadeModel().score_tiles([scene.pixels], ["1"])
    assert len(model.calls) == 1
    assert np.array_equal(raster.mask(raster.grid.whole), scores.logits[0] > 0)


def test_several_questions_see_each_tile_once_and_agree_with_one_by_one():
    scene = ArrayScene(noise(100, 100))
    _, together, model = ask(scene, ["1", "3", "no"])
    assert len(model.calls) == len(lay_tiles(scene.grid, 32))
    for raster, question in zip(together, ["1", "3", "no"], strict=True):
        _, (alone,), _ = ask(scene, [question])
        for ours, theirs in zip(masks_and_probabilities(raster), masks_and_probabilities(alone), strict=True):
            assert np.array_equal(ours, theirs)


def test_a_tile_with_no_target_votes_against():
    scene = ArrayScene(noise(100, 100))
    rows, (raster,), _ = ask(scene, ["no"])
    mask, probability = masks_and_probabilities(raster)
    assert not mask.any()
    assert probability.max() <= 0.5
    assert {score for record in rows.records for score in record.no_target_scores} == {1.0}


def test_pixels_without_data_are_unknown_and_do_not_pull_others():
    valid = np.ones((100, 100), bool)
    valid[:40, :70] = False
    scene = ArrayScene(noise(100, 100) * valid[..., None], valid)
    rows, (raster,), model = ask(scene, ["1"])
    mask, probability = masks_and_probabilities(raster)
    assert np.array_equal(np.isnan(probability), ~valid)
    assert not mask[~valid].any()
    assert sum(record.asked for record in rows.records) == len(model.calls) < len(lay_tiles(scene.grid, 32))


def test_a_scene_without_data_is_not_asked():
    scene = ArrayScene(noise(100, 100), np.zeros((100, 100), bool))
    rows, (raster,), model = ask(scene, ["1"])
    assert model.calls == []
    assert np.isnan(raster.probability(raster.grid.whole)).all()
    assert [record.no_target_scores for record in rows.records] == [[]] * len(rows.records)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 150), st.integers(0, 150), st.integers(1, 100), st.integers(1, 100))
def test_an_area_is_answered_as_in_the_whole(left, top, width, height):
    scene = ArrayScene(noise(180, 180), transform=TRANSFORM)
    window = Window(left, top, min(width, 180 - left), min(height, 180 - top))
    inside = np.zeros((180, 180), bool)
    inside[window.top : window.bottom, window.left : window.right] = (
        np.random.default_rng(0).random((window.height, window.width)) > 0.3
    )
    _, (of_whole,), _ = ask(scene, ["1"])
    _, (of_area,), _ = ask(scene, ["1"], area=Inside(inside), window=window)
    probability, expected = of_area.probability(of_area.grid.whole), of_whole.probability(window)
    within = inside[window.top : window.bottom, window.left : window.right]
    assert np.isnan(probability[~within]).all()
    several = within & (len(lay_tiles(scene.grid, 32, area=window)) > 1)  # one tile is not blended, and not rounded
    assert np.array_equal(probability[several], expected[several])
    assert probability[within] == pytest.approx(expected[within], abs=1e-3)
    assert not of_area.mask(of_area.grid.whole)[~within].any()


def test_progress_counts_every_tile():
    seen = []
    scene = ArrayScene(noise(100, 100))
    ask(scene, ["1"], progress=lambda done, total: seen.append((done, total)))
    count = len(lay_tiles(scene.grid, 32))
    assert seen[0] == (0, count)
    assert seen[-1] == (count, count)
    assert seen == sorted(seen)


def test_any_predictor_of_masks_can_be_asked():
    class Bright:
        def predict(self, images, questions):
            return [
                None if q == "none" else np.asarray(i)[..., 0] > 128 for i, q in zip(images, questions, strict=True)
            ]

    model = as_tile_model(Bright())
    assert isinstance(model, MaskModel)
    scene = ArrayScene(noise(100, 100))
    rows, (bright, none), _ = ask(scene, ["bright", "none"], model=model)
    assert np.array_equal(bright.mask(bright.grid.whole), scene.pixels[..., 0] > 128)
    assert not none.mask(none.grid.whole).any()
    assert [min(r.no_target_scores[1] for r in rows.records), min(r.no_target_scores[0] for r in rows.records)] == [
        1,
        0,
    ]


def test_enlarged_windows_agree_where_they_overlap():
    scene = ArrayScene(noise(60, 50))
    grid = GeoGrid(60, 50).resized(150, 125)
    whole = read_block(scene, grid, grid.whole).pixels.astype(int)
    for window in (Window(0, 0, 40, 40), Window(31, 77, 50, 33), Window(100, 100, 25, 50)):
        found = read_block(scene, grid, window).pixels.astype(int)
        expected = whole[window.top : window.bottom, window.left : window.right]
        assert np.abs(found - expected).max() <= 2


def test_reduced_windows_have_the_place_of_their_pixels():
    ramp = np.zeros((200, 300, 3), np.uint8)
    ramp[..., 0] = np.linspace(0, 250, 300).astype(np.uint8)
    scene = ArrayScene(ramp)
    grid = scene.grid.resized(67, 100)
    found = read_block(scene, grid, Window(20, 10, 30, 30)).pixels[..., 0].mean(axis=0)
    assert found == pytest.approx(np.linspace(0, 250, 300)[60:150].reshape(30, 3).mean(axis=1), abs=1.5)
