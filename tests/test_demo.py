"""The demo shows predictors that installed packages offer, and says in one line which cannot run."""

import re
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from earthreason.demo import choose_scenes, find_predictors, stands_clear
from earthreason.errors import EarthReasonError
from earthreason.synthetic.generate import compose_scene

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "docs/tutorial.md", "docs/data.md")
OFFERS = """
from earthreason.errors import EarthReasonError
from earthreason.predictors import Everything

def good():
    return Everything()

def unlucky():
    raise EarthReasonError("its weights are damaged\\nand more")
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a package whose entry points are the given lines."""

    def installed(*lines):
        (tmp_path / "offers_for_the_demo.py").write_text(OFFERS)
        metadata = tmp_path / "offers-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: offers\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text("\n".join(["[earthreason.demo]", *lines]) + "\n")
        monkeypatch.syspath_prepend(tmp_path)

    return installed


def test_an_offered_predictor_stands_beside_the_trivial_ones(install):
    install("all = offers_for_the_demo:good")
    predictors, _ = find_predictors()
    assert [name for name in predictors if name in ("centre", "saliency", "all")] == ["centre", "saliency", "all"]


@pytest.mark.parametrize(
    ("target", "note"),
    [
        ("offers_for_the_demo:unlucky", "mine is not shown: its weights are damaged"),
        (
            "no_such_package:build",
            "mine is not shown: it needs no_such_package, which is not installed: pip install 'offers'",
        ),
    ],
)
def test_one_that_cannot_run_is_a_note_of_one_line(install, target, note):
    install(f"mine = {target}")
    predictors, notes = find_predictors()
    assert "mine" not in predictors
    assert note in notes


def test_the_shipped_model_is_offered_with_the_package(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    from tests.baselines.shelf import make_shelf

    offered = tomllib.loads((Path(__file__).parent.parent / "baselines" / "pyproject.toml").read_text())
    [(name, value)] = offered["project"]["entry-points"]["earthreason.demo"].items()
    build = EntryPoint(name, value.replace("earthreason_baselines", "baselines"), "earthreason.demo").load()
    with monkeypatch.context() as patch:
        make_shelf(tmp_path, patch)
        assert type(build()).__name__ == "SegEarthR1Predictor"
        (tmp_path / "tiny" / "model.safetensors").unlink()
        with pytest.raises(EarthReasonError, match="is missing"):
            build()


def scene(number):
    """A scene of the sample's test split."""
    return compose_scene(7, "test", number).sample()


@pytest.mark.parametrize("page", PAGES)
def test_samples_that_pages_draw_stand_clear_of_roads(page):
    drawn = set(re.findall(r"earthreason show sample synthetic_s7_test_(\d+)", (ROOT / page).read_text()))
    assert all(stands_clear(scene(int(number))) for number in drawn)


def test_a_target_at_a_road_or_hardly_visible_does_not_stand_clear():
    assert scene(26).category == "bridge"
    assert not stands_clear(scene(26))
    assert scene(4).category == "intersection"
    assert not stands_clear(scene(4))
    assert scene(15).mask.mean() < 0.002
    assert not stands_clear(scene(15))


def test_shown_scenes_stand_clear_have_different_categories_and_end_with_an_empty_one():
    shown = choose_scenes([scene(number) for number in range(15)], 4)
    assert len({sample.category for sample in shown}) == len(shown) == 4
    assert [sample.is_empty for sample in shown] == [False, False, False, True]
    assert all(stands_clear(sample) for sample in shown)
