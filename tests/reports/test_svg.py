import os
import re
import subprocess
import sys

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


@pytest.mark.parametrize("form", ["svg", "pdf", "png"])
def test_a_figure_drawn_again_at_another_time_has_the_same_bytes(tmp_path, form):
    drawing = (
        "import sys; from pathlib import Path; from matplotlib.figure import Figure; "
        "from earthreason.reports.svg import save_figure; drawn = Figure(); drawn.subplots().plot([1, 2], marker='o'); "
        "save_figure(drawn, Path(sys.argv[1]))"
    )
    paths = [tmp_path / f"{time}.{form}" for time in ("1000000000", "1500000000")]
    for path in paths:
        environment = os.environ | {"SOURCE_DATE_EPOCH": path.stem}  # the time that Matplotlib would write
        subprocess.run([sys.executable, "-c", drawing, str(path)], check=True, env=environment)
    first, second = (path.read_bytes() for path in paths)
    assert first == second
