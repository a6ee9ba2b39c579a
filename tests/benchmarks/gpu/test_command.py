import sys
from pathlib import Path

import pytest

from benchmarks.gpu import runner
from benchmarks.gpu.__main__ import main
from benchmarks.gpu.context import ROOT
from benchmarks.gpu.plan import PLAN, choose_steps


def test_every_step_of_the_plan_has_a_module():
    assert [s.name for s in PLAN if not (ROOT / f"benchmarks/gpu/steps/{s.module or s.name}.py").is_file()] == []


def test_what_a_step_of_the_plan_needs_is_made_by_another():
    assert {s.needs for s in PLAN} - {None} <= {s.makes for s in PLAN}


def test_steps_chosen_by_name_come_with_those_that_draw_for_them():
    assert [s.name for s in choose_steps(["scores", "inference"])] == ["evaluation_scenes", "inference", "scores"]


@pytest.fixture
def refuse(tmp_path, monkeypatch, capsys, temporary):
    """Return a function that runs the command and returns the line with which it is refused."""
    monkeypatch.setattr(runner.Runner, "run", lambda self: pytest.fail("a run was begun"))

    def call(*arguments, out=tmp_path / "out"):
        monkeypatch.setattr(sys, "argv", ["benchmarks.gpu", "run", "--out", str(out), *arguments])
        assert main() == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    return call


def test_a_file_cannot_be_written_to_as_a_folder(refuse, tmp_path):
    (tmp_path / "file").touch()
    assert refuse(out=tmp_path / "file").startswith(f"error: --out {tmp_path / 'file'}: File exists;")


def test_a_folder_that_takes_no_files_is_refused(refuse):
    assert refuse(out=Path("/proc")).startswith("error: --out /proc: ")


def test_an_unknown_step_is_refused_with_the_names_there_are(refuse):
    line = refuse("--only", "environment,nonsense")
    assert line.startswith("error: there is no step 'nonsense'; the steps are ")
    assert all(s.name in line for s in PLAN)


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "inf"])
def test_no_time_at_all_is_refused(refuse, minutes):
    assert refuse("--minutes", minutes).startswith("error: --minutes ")


def test_scenes_cannot_be_kept_in_a_file(refuse, tmp_path):
    (tmp_path / "file").touch()
    assert refuse("--scenes", str(tmp_path / "file")).startswith(f"error: --scenes {tmp_path / 'file'}: File exists;")


def test_a_refused_run_leaves_the_earlier_results(refuse, tmp_path, temporary):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "results.json").write_text("{}")
    (tmp_path / "file").touch()
    refuse("--scenes", str(tmp_path / "file"))
    assert (tmp_path / "out" / "results.json").read_text() == "{}"
    assert list(temporary.iterdir()) == []
