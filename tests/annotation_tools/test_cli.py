"""Commands as people type them: what they print, and that bad input ends with one line and exit code 2."""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from annotation_tools.workspace import Workspace

from .conftest import annotate, box, drawn, free_port, write_picture

ROOT = Path(__file__).resolve().parents[2]
SIZE = (20, 30)


def run(*words, **more):
    return subprocess.run(
        [sys.executable, "-m", "annotation_tools", *map(str, words)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
        **more,
    )


def test_help_lists_everything():
    told = run("--help").stdout + run("masks", "--help").stdout
    for command in (
        "review",
        "verdicts",
        "agreement",
        "adjudicate",
        "import",
        "prelabel",
        "start",
        "collect",
        "export",
    ):
        assert command in told


def test_import_agreement_adjudicate_export(tmp_path):
    for name in "ab":
        write_picture(tmp_path / "in" / f"{name}.png", seed=ord(name))
    work = tmp_path / "work"
    assert run("masks", "import", work, tmp_path / "in").returncode == 0
    workspace = Workspace.open(work)
    mask = box(SIZE, 2, 2, 12, 12)
    workspace.add_drawings(
        [
            drawn("a", mask, "anna"),
            drawn("a", mask, "ben"),
            drawn("b", mask, "anna"),
            drawn("b", np.zeros(SIZE, bool), "ben"),
        ]
    )
    told = run("agreement", work, "--report", tmp_path / "page")
    assert "2 images drawn by several people, 2 pairs: IoU 0.500" in told.stdout
    assert (tmp_path / "page" / "index.html").is_file()
    told = run("adjudicate", work)
    assert "1 image settled, 1 waiting for another person" in told.stdout
    assert "masks start" in told.stdout
    told = run("adjudicate", work, "--adjudicator", "nobody")
    assert (told.returncode, "unknown --adjudicator 'nobody' (known: " in told.stderr) == (2, True)
    told = run("masks", "export", work, "--format", "labelme", "--out", tmp_path / "out")
    assert "left out, waiting for a third person: 1 (b)" in told.stdout
    assert (tmp_path / "out" / "a.json").is_file()


def bad_inputs(folder):
    work, empty = folder / "work", folder / "empty"
    empty.mkdir()
    yield ["masks", "import", work], "nothing to import"
    yield ["masks", "import", work, empty, "--as", " "], "--as is empty; give a name, or omit it"
    yield ["masks", "import", folder / "new", "/nowhere"], "there is no /nowhere"
    yield ["masks", "import", folder / "new", empty], "no pictures"
    yield ["masks", "import", work, folder / "in", "--split", "exam"], "unknown split 'exam'"
    yield ["masks", "import", work, folder / "in", "--bands", "1;2"], "must be three band numbers"
    yield ["masks", "import", work, "--masks", "/nowhere.xml"], "there is no file or folder /nowhere.xml"
    yield ["masks", "prelabel", empty], "is not an annotation project"
    yield ["masks", "prelabel", work, "--model", "sam"], "sam needs --checkpoint"
    yield ["masks", "prelabel", work, "--model", "grabcat"], "did you mean 'grabcut'? (known: "
    yield ["masks", "start", empty], "is not an annotation project"
    yield ["masks", "start", work, "--url", "http://127.0.0.1:9"], "needs --token"
    yield ["masks", "start", work, "--url", "http://127.0.0.1:9", "--token", "x"], "no Label Studio answers"
    yield ["masks", "start", work, "--queue"], "no task is waiting for a third person"
    yield ["masks", "collect", work], "has no Label Studio project yet"
    yield ["masks", "export", work, "--format", "png", "--out", folder / "out"], "no image has a settled mask"
    yield ["agreement", empty], "is not an annotation project"
    yield ["agreement", work, "--reviews", empty], "is not a review"
    yield ["adjudicate", work], "there are no drawings yet"
    yield ["review", "/nowhere", "--out", folder / "review", "--port", free_port()], "there is no /nowhere"
    yield ["review", work, "--out", folder / "review", "--port", free_port()], "no image has a settled mask"
    yield ["verdicts", empty, "--out", folder / "v.jsonl"], "is not a review"


def test_bad_input_is_one_line_and_exit_code_2(tmp_path):
    from typer.testing import CliRunner

    from annotation_tools.cli import app
    from earthreason.errors import EarthReasonError

    write_picture(tmp_path / "in" / "a.png")
    assert run("masks", "import", tmp_path / "work", tmp_path / "in").returncode == 0
    for words, message in bad_inputs(tmp_path):
        done = CliRunner().invoke(app, [str(word) for word in words])
        assert isinstance(done.exception, EarthReasonError), (words, done.output)
        assert message in str(done.exception)
    whole = run("masks", "import", tmp_path / "work")
    assert whole.returncode == 2
    assert whole.stderr.startswith("error: nothing to import")
    assert "Traceback" not in whole.stderr


def test_a_port_that_is_taken_is_said_to_be(tmp_path, release):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("review", release, "--out", tmp_path / "review", "--port", port)
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr


def test_a_broken_workspace_file_is_named(tmp_path):
    (tmp_path / "tasks.jsonl").write_text('{"task": "a"}\n')
    done = run("masks", "prelabel", tmp_path)
    assert done.returncode == 2
    assert "tasks.jsonl line 1: not written by annotation_tools" in done.stderr


def test_two_commands_do_not_change_a_workspace_at_once(tmp_path, monkeypatch):
    from earthreason.errors import EarthReasonError

    write_picture(tmp_path / "in" / "a.png")
    run("masks", "import", tmp_path / "work", tmp_path / "in")
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from filelock import FileLock\n"
            "with FileLock(sys.argv[1]):\n    print('held', flush=True)\n    time.sleep(60)",
            tmp_path / "work" / ".lock",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    monkeypatch.setattr("annotation_tools.workspace._WAIT", 0.2)
    with (
        pytest.raises(EarthReasonError, match="is being changed by another command"),
        Workspace(tmp_path / "work").changing(),
    ):
        pass
    holder.kill()
    holder.wait()


def copy_database(source, target):
    """The database and login of a running server: making one anew takes most of a minute."""
    target.mkdir()
    with (
        sqlite3.connect(source / "label_studio.sqlite3") as live,
        sqlite3.connect(target / "label_studio.sqlite3") as copy,
    ):
        live.backup(copy)
    shutil.copy(source / "login.json", target / "login.json")


@pytest.mark.labelstudio
def test_start_runs_until_it_is_stopped_and_collects(label_studio, label_studio_folder, tmp_path):
    import httpx

    from annotation_tools.drawing import draw
    from annotation_tools.labelstudio.client import LabelStudioClient

    write_picture(tmp_path / "in" / "a.png")
    work = tmp_path / "work"
    run("masks", "import", work, tmp_path / "in")
    copy_database(label_studio_folder, work / "label-studio")
    port = free_port()
    command = [sys.executable, "-m", "annotation_tools", "masks", "start", str(work), "--port", str(port)]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        lines = [server.stdout.readline() for _ in range(3)]
        number = int(re.match(rf"project: http://127.0.0.1:{port}/projects/(\d+)/data \(1 task added\)", lines[0])[1])
        assert "/user/signup/?token=" in lines[1]
        login = json.loads((work / "label-studio" / "login.json").read_text())
        assert login["password"] in lines[2]
        second = run("masks", "start", work, "--port", str(free_port()))
        assert "is still running at" in second.stderr
        with LabelStudioClient(f"http://127.0.0.1:{port}", login["token"]) as client:
            (task,) = client.tasks(number)
            annotate(client, task["id"], draw("a", box(SIZE, 1, 1, 9, 9), "pond"), 3.0)
        server.send_signal(signal.SIGTERM)
        told, _ = server.communicate(timeout=60)
    finally:
        server.kill()
    assert "drawings 1 new" in told
    assert Workspace.open(work).drawings()["a"][0].category == "pond"
    time.sleep(0.5)
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{port}/health")
