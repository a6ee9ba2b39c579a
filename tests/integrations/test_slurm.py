"""The files for Slurm, run as an array runs them: one process a task, with Slurm's environment variables."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "integrations" / "slurm"
FILES = sorted(FOLDER.glob("*.sbatch"))


def run(name, folder, *options, **task):
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("SLURM_")},
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "EARTHREASON": f"{sys.executable} -m earthreason",
        "EARTHREASON_BASELINES": f"{sys.executable} -m baselines",
        **task,
    }
    command = ["bash", str(FOLDER / name), *options]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_bash_accepts_the_file(path):
    subprocess.run(["bash", "-n", str(path)], check=True)


def test_an_array_predicts_a_split_that_the_next_job_scores(tmp_path):
    options = "--model", "centre", "--config", "sample", "--split", "test[:9]"
    for task in ("1", "2"):
        done = run("predict.sbatch", tmp_path, *options, SLURM_ARRAY_TASK_ID=task, SLURM_ARRAY_TASK_COUNT="2")
        assert done.returncode == 0, done.stderr
    done = run("merge.sbatch", tmp_path, "--resamples", "0")
    assert done.returncode == 0, done.stderr
    assert "9 predictions" in done.stdout
    assert "gIoU" in done.stdout


def test_a_single_job_of_an_array_can_be_submitted_again(tmp_path):
    options = "--model", "centre", "--config", "sample", "--split", "test[:4]"
    done = run("predict.sbatch", tmp_path, *options, SLURM_ARRAY_TASK_ID="2", SLURM_ARRAY_TASK_COUNT="1", PARTS="2")
    assert done.returncode == 0, done.stderr
    assert "part 2/2" in done.stdout


@pytest.mark.parametrize("name", ["predict.sbatch", "count.sbatch"])
def test_a_job_that_is_no_array_says_so(tmp_path, name):
    done = run(name, tmp_path)
    assert done.returncode != 0
    assert "submit this file as an array: sbatch --array=1-N" in done.stderr
    assert not list(tmp_path.iterdir())
