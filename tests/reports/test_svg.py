import re

import pytest
from matplotlib.figure import Figure

from earthreason.reports.svg import save_figure


@pytest.fixture
def figure():
    drawn = Figure(figsize=(2, 2))
    drawn.subplots().plot([1, 2], color="#222222")
    return drawn


def test_a_figure_has_styles_for_dark_mode_and_is_otherwise_the_drawing(figure, tmp_path):
    import matplotlib as mpl

    with mpl.rc_context({"svg.hashsalt": "same"}):
        figure.savefig(tmp_path / "plain.svg", metadata={"Date": None})
        save_figure(figure, tmp_path / "dark.svg", metadata={"Date": None})
    dark = (tmp_path / "dark.svg").read_text()
    assert "prefers-color-scheme: dark" in dark
    without = re.sub(r"\n<style>\nsvg \{.*?</style>", "", dark, count=1, flags=re.DOTALL)
    assert without == (tmp_path / "plain.svg").read_text()


@pytest.mark.parametrize(("name", "head"), [("a.png", b"\x89PNG"), ("a.pdf", b"%PDF"), ("a", b"\x89PNG")])
def test_other_formats_are_written_as_before(figure, tmp_path, name, head):
    save_figure(figure, tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(head)
    assert [file.name for file in tmp_path.iterdir()] == [name]
