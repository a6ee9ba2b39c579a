"""What all programs share: -h, --version, --license, completion, next steps that work, limits, plurals."""

import gzip
import json
import os
import shlex
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

import earthreason
from annotation_tools.cli import app as annotation
from baselines.cli import app as baselines
from earthreason.cli.main import app, evaluate_app
from earthreason.metrics.protocols import PROTOCOLS
from earthreason.plurals import count_of
from earthreason.predictions.folder import find_folder, without_folder
from earthreason.reports.tables import new_table, print_table
from leaderboard.cli import app as leaderboard
from tests.terminal import EVAL, ROOT

PROGRAMS = {
    "earthreason": app,
    "earthreason-eval": evaluate_app,
    "earthreason-baselines": baselines,
    "earthreason-leaderboard": leaderboard,
    "earthreason-annotation": annotation,
}
MODULES = {"earthreason-baselines": "baselines", "earthreason": "earthreason"}


def run_printed(line: str, folder) -> subprocess.CompletedProcess[str]:
    """Run a command line as it was printed, in a folder."""
    program, *words = shlex.split(line)
    start = ["-c", EVAL] if program == "earthreason-eval" else ["-m", MODULES[program]]
    return subprocess.run(
        [sys.executable, *start, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_has_short_help_version_licence_and_completion(program):
    run = CliRunner()
    short, long = (run.invoke(PROGRAMS[program], [option]).output for option in ("-h", "--help"))
    assert short == long
    assert "--install-completion" in short
    assert run.invoke(PROGRAMS[program], ["--version"]).output == f"{earthreason.__version__}\n"
    licence = run.invoke(PROGRAMS[program], ["--license"]).output
    assert "Apache License 2.0" in licence
    assert "Million-AID and fMoW" in licence


def test_commands_of_groups_have_short_help():
    for words in (["questions", "prompts", "diff", "-h"], ["eval", "-h"]):
        assert "Usage:" in CliRunner().invoke(app, words).output


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("earthreason verify di", "diagnostic"),
        ("earthreason-eval p.json --protocol segearth-r1", "segearth-r1"),
        ("earthreason-baselines predict --model salien", "saliency"),
        ("earthreason-baselines predict --checkpoint ti", "tiny"),
        ("earthreason-baselines segment a.png q --checkpoint ti", "tiny"),
        ("earthreason-baselines serve --model segearth", "segearth_r1"),
        ("earthreason-baselines export --checkpoint ti", "tiny"),
        ("earthreason-baselines convert segearth", "segearth_r1"),
        ("earthreason-baselines assemble li", "lisa"),
        ("earthreason-baselines convert lisa a b --dtype bf", "bfloat16"),
        ("earthreason-leaderboard split add --config diag", "diagnostic"),
        ("earthreason-leaderboard codabench --protocol segearth-r1", "segearth-r1"),
        ("earthreason-baselines train segearth_r1 --config segearth_r1/ti", "segearth_r1/tiny"),
    ],
)
def test_bash_completes_names(words, expected, monkeypatch):
    program = words.split()[0]
    variable = f"_{program.replace('-', '_').upper()}_COMPLETE"
    typed = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    for name, value in {variable: "complete_bash", **typed}.items():
        monkeypatch.setenv(name, value)
    output = CliRunner().invoke(PROGRAMS[program], prog_name=program).output
    assert expected in output.split("\n")


def test_the_printed_steps_of_predict_score_the_data_just_used(scenes, tmp_path):
    folder = tmp_path / "my results"
    folder.mkdir()
    words = ("predict", "--model", "centre", "--data-dir", str(scenes), "--limit", "2", "--out", "p.json")
    done = run_printed(shlex.join(("earthreason-baselines", *words)), folder)
    assert done.returncode == 0, done.stderr
    info = json.loads((folder / "p.json").read_text())["info"]
    assert info["limit"] == 2
    assert not Path(info["data_dir"]).is_absolute()
    line = done.stdout.splitlines()[-1].removeprefix("score them: ")
    scored = run_printed(line, folder)
    assert scored.returncode == 0, scored.stderr
    assert "2 questions about 2 images" in scored.stdout
    elsewhere = run_printed(shlex.join(("earthreason-eval", str(folder / "p.json"))), tmp_path)
    assert elsewhere.stdout.replace(str(folder) + "/", "") == scored.stdout


def test_a_limit_scores_the_first_samples_of_complete_predictions(scenes, tmp_path):
    words = ("predict", "--model", "centre", "--data-dir", str(scenes), "--out", "p.json")
    assert run_printed(shlex.join(("earthreason-baselines", *words)), tmp_path).returncode == 0
    done = run_printed("earthreason-eval p.json --limit 1", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "first 1" in done.stdout
    assert "1 question about 1 image," in done.stdout


def test_a_remembered_folder_that_is_gone_is_named(tmp_path):
    with pytest.raises(earthreason.errors.DataNotFoundError, match="give its --data-dir"):
        find_folder({"data_dir": "gone"}, tmp_path / "p.json")


@pytest.mark.parametrize(
    "text",
    [
        '{"info": {"model": "m", "data_dir": "../home/ana"}, "predictions": [\n{"sample_id": "a"}\n]}\n',
        '{"info": {"model": "m", "data_dir": "../home/ana"}}\n{"sample_id": "a"}\n',
        '{ "predictions": [], "info": {"data_dir": "../home/ana", "model": "m"}}',
        '\ufeff\n\n{"info": {"model": "m", "data_dir": "../home/ana"}}\n\n{"sample_id": "a"}\n',
    ],
)
@pytest.mark.parametrize(("name", "pack"), [("p.json", bytes), ("p.jsonl.gz", gzip.compress), ("p", gzip.compress)])
def test_what_is_given_away_does_not_say_where_the_data_was(text, name, pack, tmp_path):
    path = tmp_path / name
    before = pack(text.encode())
    path.write_bytes(before)
    with without_folder(path, {"data_dir": "../home/ana"}) as given:
        assert given.name == name
        held = given.read_bytes()
    content = (held if pack is bytes else gzip.decompress(held)).decode()
    assert "ana" not in content
    assert '"model": "m"' in content
    assert ('"sample_id": "a"' in content) == ('"sample_id": "a"' in text)
    assert path.read_bytes() == before


def test_the_printed_steps_of_synth_and_show_without_an_id(tmp_path):
    done = run_printed("earthreason synth --out 'my scenes' --train 2 --val 2 --test 2 --size 96", tmp_path)
    assert done.returncode == 0, done.stderr
    line = done.stdout.splitlines()[-1].removeprefix("next: ")
    verified = run_printed(line, tmp_path)
    assert "6 " not in verified.stdout.splitlines()[0]
    assert "published" not in verified.stdout  # these are not the official release
    assert "0 errors" in verified.stdout
    shown = run_printed("earthreason show 'my scenes'", tmp_path)
    assert "synthetic_s1_test_00000" in shown.stdout
    assert list(tmp_path.glob("*.png"))


def test_a_wrong_command_gets_a_suggestion():
    result = CliRunner().invoke(app, ["evl"])
    assert result.exit_code == 2
    assert "eval" in result.output


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [
        (1, "row", "1 row"),
        (0, "row", "0 rows"),
        (1234, "row", "1,234 rows"),
        (2, "copy", "2 copies"),
        (1, "copy", "1 copy"),
        (3, "key", "3 keys"),
    ],
)
def test_nouns_agree_with_their_numbers(number, noun, text):
    assert count_of(number, noun) == text


def test_a_piped_table_has_no_lines_and_cuts_nothing(tmp_path, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    table = new_table("name", numbers=("n",), title="all")
    table.add_row("a" * 150, "1")
    table.add_row("[b]", "1000")
    path = tmp_path / "out.txt"
    with path.open("w") as file:
        print_table(table, Console(file=file, width=80))
    assert path.read_text().splitlines() == [
        "all",
        f"name{' ' * 146}     n",
        f"{'a' * 150}     1",
        f"[b]{' ' * 147}  1000",
    ]


@pytest.mark.parametrize("terminal", [True, False])
def test_no_width_cuts_a_cell(terminal, monkeypatch):
    monkeypatch.setenv("COLUMNS", "1")
    table = new_table("name of it", numbers=("empty targets",), title="all")
    table.add_row("one two three four", "1,000")
    console = Console(file=StringIO(), width=1, force_terminal=terminal, color_system=None)
    print_table(table, console)
    shown = {word for word in console.file.getvalue().split() if not word.startswith("─")}
    assert shown == {"all", "name", "of", "it", "empty", "targets", "one", "two", "three", "four", "1,000"}


def test_a_pipe_gets_every_sentence_on_one_line(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    lines = CliRunner().invoke(app, ["protocols"]).output.splitlines()
    assert [f"  {rules.explanation}" for rules in PROTOCOLS.values()] == [
        lines[number + 1] for number, line in enumerate(lines) if line and not line.startswith(" ")
    ]


@pytest.mark.parametrize(
    ("redirect", "encoding"), [("", "ascii"), ("", "latin-1"), (">&-", "utf-8"), ("2>&-", "utf-8")]
)
def test_any_standard_output_will_do(redirect, encoding):
    line = f"{shlex.quote(sys.executable)} -m earthreason protocols {redirect}"
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding}
    done = subprocess.run(["sh", "-c", line], env=env, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (b"segearth-r1" in done.stdout) == (redirect != ">&-")


def test_an_unset_variable_is_not_taken_for_the_current_folder():
    result = CliRunner().invoke(app, ["verify", ""])
    assert result.exit_code == 2
    assert "it is empty" in result.output
