"""What the documentation shows runs as printed, on the sample data."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from earthreason import evaluate
from earthreason.metrics.protocols import PROTOCOLS

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)[^)]*\)")
_REPOSITORY = re.compile(
    r"https://(?:github\.com|raw\.githubusercontent\.com)/earthreason/earthreason/(?:blob/)?main/([^)#\s]+)"
)
_OURS = {
    "earthreason": ["-m", "earthreason"],
    "earthreason-eval": ["-m", "earthreason", "eval"],
    "earthreason-baselines": ["-m", "baselines"],
    "python": [],
}


def blocks(page):
    return _BLOCK.findall(page.read_text())


def run(arguments, folder):
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def code_of(page):
    return "".join(text for language, text in blocks(page) if language == "python")


@pytest.mark.parametrize("page", [page for page in PAGES if code_of(page)], ids=lambda page: page.stem)
def test_python_runs_and_prints_what_the_page_shows(page, tmp_path):
    (tmp_path / "page.py").write_text(code_of(page))
    done = run(["page.py"], tmp_path)
    assert done.returncode == 0, done.stderr
    shown = "".join(text for language, text in blocks(page) if language == "text")
    assert shown in done.stdout


def test_every_command_of_the_readme_runs(tmp_path):
    consoles = [text for language, text in blocks(PAGES[0]) if language == "console"]
    lines = [line.split("#")[0].strip() for text in consoles for line in text.splitlines()]
    ours = [shlex.split(line) for line in lines if line.split()[0] in _OURS]
    assert len(ours) >= 7
    for words in ours:
        done = run([*_OURS[words[0]], *words[1:]], tmp_path)
        assert done.returncode == 0, f"{words}: {done.stderr}"
    assert (tmp_path / "report" / "index.html").is_file()
    assert len(list((tmp_path / "scenes").rglob("*.jpg"))) == 20


def table_of(page, heading):
    """Cells of the table on a page that begins with these column names."""
    text = (ROOT / "docs" / page).read_text()
    table = text[text.index(f"| {heading} |") :].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def rows_of(heading):
    """Rows of a table on the scoring page, by protocol."""
    return {first.split("`")[1]: rest for first, *rest in table_of("scoring.md", heading)}


def place_of(rules):
    place = f"{rules.grid.kind} {rules.grid.side}" if rules.grid.side else "own"
    return place + ", truth stretched" * rules.stretch_truth


def facts_of(rules):
    plus, plus_sum = (f" + {value:g}" if value else "" for value in (rules.epsilon, rules.cumulative_epsilon))
    hit = ">= X" if rules.threshold_inclusive else "> X"
    return [
        place_of(rules),
        rules.unit,
        rules.questions,
        (f"I / (U{plus})" if plus else "I / U") + f", {rules.float_type}",
        f"ΣI / (ΣU{plus_sum})" if plus_sum else "ΣI / ΣU",
        hit + ", targets only" * rules.precision_on_targets_only if rules.thresholds else "none",
        f"{rules.both_empty_iou:g}" + ", if the answer is empty" * rules.empty_answer_needed,
        "adds its area" if rules.count_false_positive_area else "costs nothing in cIoU",
        "count nowhere" if rules.ignore else "background",
    ]


def test_the_table_of_protocols_says_what_the_protocols_do():
    assert rows_of("protocol | grid") == {rules.name: facts_of(rules) for rules in PROTOCOLS.values()}
    assert list(rows_of("protocol | grid")) == list(PROTOCOLS)


def test_the_scoring_page_names_the_file_of_every_evaluator():
    named = {rules.name: [rules.evaluator] for rules in PROTOCOLS.values()}
    assert rows_of("protocol | source of the rules") == named


def test_the_page_of_papers_says_what_the_protocols_do():
    seen = {}
    for paper, _, name, *facts in table_of("protocols_of_papers.md", "paper | data | protocol"):
        rules = PROTOCOLS[name.strip("`")]
        questions = "all questions" if rules.questions == "all" else f"{rules.questions} question"
        assert facts == [
            place_of(rules),
            questions + ", each mask" * (rules.unit == "mask"),
            f"{rules.both_empty_iou:g}" + ", if the answer is empty" * rules.empty_answer_needed,
            "gIoU" + ", cIoU" * rules.count_false_positive_area,
        ], paper
        seen.setdefault(rules.name, []).append(paper)
    assert set(seen) == set(PROTOCOLS) - {"native"}
    for name, papers in seen.items():
        number = PROTOCOLS[name].paper.rpartition("arXiv ")[2]
        assert any(f"(https://arxiv.org/abs/{number})" in paper for paper in papers), name


def test_the_page_of_papers_guesses_no_protocol_that_does_not_exist():
    nearest = {cells[-1].strip("`") for cells in table_of("protocols_of_papers.md", "paper | data and figures")}
    assert nearest <= {*PROTOCOLS, "none"}


def test_the_json_of_the_readme_is_a_predictions_file(tmp_path):
    text = next(text for language, text in blocks(PAGES[0]) if language == "json")
    (tmp_path / "preds.json").write_text(text)
    done = run(["-m", "earthreason", "eval", "preds.json", "--missing", "empty"], tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_json_of_the_scoring_page_is_a_ground_truth(tmp_path):
    text = next(text for language, text in blocks(ROOT / "docs" / "scoring.md") if language == "json")
    (tmp_path / "truth.json").write_text(text)
    assert evaluate({"harbour": None}, tmp_path / "truth.json", resamples=0)["T-acc"] == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_between_files_hold(page):
    for target in _LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_links_of_the_readme_are_absolute_and_hold():
    text = PAGES[0].read_text()
    assert _LINK.findall(text) == []  # PyPI shows the README away from the repository
    targets = _REPOSITORY.findall(text)
    assert len(targets) > 15
    assert [target for target in targets if not (ROOT / target).exists()] == []
