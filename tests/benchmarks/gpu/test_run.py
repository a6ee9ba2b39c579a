import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from benchmarks.gpu import carried, processes, runner
from benchmarks.gpu import run as module
from benchmarks.gpu.context import ROOT
from benchmarks.gpu.plan import PlannedStep
from benchmarks.gpu.processes import LINES
from benchmarks.gpu.run import run

CONTEXT = "from benchmarks.gpu.context import read_context, rows_of\nimport time\ncontext = read_context()\n"
FOREVER = "import time\ntime.sleep(600)\n"
WITH_CHILD = CONTEXT + (
    "import os, subprocess\n"
    "child = subprocess.Popen(['sleep', '600'])\n"
    "context.row(pids=[os.getpid(), child.pid])\n"
    "time.sleep(600)\n"
)
DEAF = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + WITH_CHILD
DRAWS = CONTEXT + "time.sleep(0.5)\n(context.work / 'scenes' / context.name).mkdir(parents=True)\n"
LOOKS = CONTEXT + "context.row(there=sorted(path.name for path in (context.work / 'scenes').glob('*/*')))\n"
LISTS = CONTEXT + "context.row(sets=sorted(path.name for path in context.work.glob('scenes/*')))\n"


def step(name, seconds=20.0, least=0.0, gpu=False, **facts):
    return PlannedStep(name, name.upper(), seconds, least, seconds, gpu=gpu, **facts)


def maker(name, **facts):
    return step(name, makes=f"scenes/{name}", **facts)


@pytest.fixture
def go(tmp_path, monkeypatch, temporary):
    """Return a function that runs a program for each step, as the kit would; it returns the exit code and the steps."""
    command = runner.Runner._command

    def start(programs, minutes=1.0, device="cpu", scenes=None, rehearse=False):
        def stub(self, outcome):
            code, real = codes[outcome.step.name], command(self, outcome)
            if code is None:
                return [str(tmp_path / "nowhere")]
            return [sys.executable, "-c", code, *real[real.index("--name") :]]

        codes = {step.name: code for step, code in programs.items()}
        monkeypatch.setattr(module, "choose_steps", lambda only: list(programs))
        monkeypatch.setattr(runner.Runner, "_command", stub)
        monkeypatch.setattr(carried, "PACKED", tmp_path / "packed")
        monkeypatch.setattr(runner, "POLL_SECONDS", 0.02)
        code = run(tmp_path / "out", minutes, rehearse, [], device, scenes)
        return code, {entry["name"]: entry for entry in read(tmp_path / "out")["steps"]}

    return start


def read(out):
    return json.loads((out / "results.json").read_text(encoding="utf-8"))


def lives(pid):
    """Whether a process exists; one that only waits to be reaped does not count."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(holds, seconds=10.0):
    """Wait until `holds` returns something true, and return it."""
    end = time.monotonic() + seconds
    while not (value := holds()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
    return value


# A step that ends badly


def test_rows_of_a_step_killed_at_its_limit_stay(go):
    code, steps = go({step("slow", seconds=1): CONTEXT + "context.row(n=1)\n" + FOREVER, step("next"): "pass"})
    assert (code, steps["slow"]["status"], steps["slow"]["rows"]) == (1, "timeout", [{"n": 1}])
    assert steps["next"]["status"] == "ok"


def test_children_of_a_killed_step_are_killed(go):
    _, steps = go({step("slow", seconds=1): WITH_CHILD})
    (row,) = steps["slow"]["rows"]
    until(lambda: not any(lives(pid) for pid in row["pids"]))


def test_a_step_deaf_to_sigterm_is_killed_with_its_children(go, monkeypatch):
    monkeypatch.setattr(processes, "GRACE", 0.2)
    _, steps = go({step("deaf", seconds=1): DEAF})
    (row,) = steps["deaf"]["rows"]
    until(lambda: not any(lives(pid) for pid in row["pids"]))


def test_children_that_a_step_leaves_behind_are_ended(go):
    _, steps = go({step("careless"): WITH_CHILD.replace("time.sleep(600)\n", "")})
    child = steps["careless"]["rows"][0]["pids"][1]
    try:
        until(lambda: not lives(child), 1)
    finally:
        if lives(child):
            os.kill(child, signal.SIGKILL)


def test_a_failing_step_says_its_exit_code_and_its_last_lines(go):
    code, steps = go({step("bad"): "for n in range(100):\n    print('line', n)\nraise SystemExit(3)", step("next"): ""})
    assert (steps["bad"]["status"], steps["bad"]["reason"]) == ("failed", "exit code 3: line 99")
    assert steps["bad"]["stderr"] == [f"line {n}" for n in range(100 - LINES, 100)]
    assert code == 1


def test_after_a_failing_step_the_next_one_runs(go):
    code, steps = go({step("bad"): "1 / 0", step("next"): CONTEXT + "context.row(n=1)"})
    assert (code, steps["next"]["status"], steps["next"]["rows"]) == (1, "ok", [{"n": 1}])
    assert steps["bad"]["reason"] == "exit code 1: ZeroDivisionError: division by zero"


def test_a_step_killed_by_a_signal_says_which(go):
    _, steps = go({step("bad"): "import os\nos.kill(os.getpid(), 9)"})
    assert (steps["bad"]["status"], steps["bad"]["reason"]) == ("failed", "killed by SIGKILL")


def test_a_step_that_cannot_be_started_does_not_end_the_run(go):
    code, steps = go({step("bad"): None, step("next"): "pass"})
    assert (code, steps["bad"]["status"], steps["next"]["status"]) == (1, "failed", "ok")


def test_a_row_that_is_no_json_does_not_end_the_run(go):
    broken = CONTEXT + "context.row(n=1)\nrows_of(context.work, context.name).open('a').write('{\"n\": \\n')\n"
    _, steps = go({step("bad"): broken, step("next"): "pass"})
    assert (steps["bad"]["rows"][0], steps["next"]["status"]) == ({"n": 1}, "ok")


def test_a_run_without_failures_returns_0_and_is_finished(go, tmp_path, temporary):
    code, _ = go({step("b", least=1000): "pass", step("a"): "print('words of a')"})
    assert (code, read(tmp_path / "out")["finished"]) == (0, True)
    assert "==== a\nwords of a\n" in (tmp_path / "out" / "log.txt").read_text()
    assert list(temporary.iterdir()) == []


def test_a_run_that_breaks_is_not_finished_and_leaves_no_process(go, tmp_path, monkeypatch):
    def broken(self, step):
        while not self.results.outcomes[0].rows:
            self._tick()
        raise RuntimeError("a fault of the kit")

    monkeypatch.setattr(runner.Runner, "_obstacle", broken)
    with suppress(RuntimeError):
        go({maker("a"): WITH_CHILD, step("b"): "pass"})
    results = read(tmp_path / "out")
    pids = results["steps"][0]["rows"][0]["pids"]
    try:
        assert results["finished"] is False
        until(lambda: not any(lives(pid) for pid in pids), 1)
    finally:
        for pid in filter(lives, pids):
            os.kill(pid, signal.SIGKILL)


# Time


def test_a_step_that_needs_more_than_what_is_left_is_skipped_with_the_seconds_said(go):
    _, steps = go({step("big", least=100): "1 / 0", step("small", least=5): "pass"})
    assert (steps["big"]["status"], steps["big"]["reason"]) == ("skipped", "it needs 100 s, and 60 s were left")
    assert steps["small"]["status"] == "ok"


def test_a_long_step_leaves_later_ones_their_least(go):
    _, steps = go({step("long", seconds=60, least=1): FOREVER, step("later", least=2): "pass"}, minutes=3.5 / 60)
    assert (steps["long"]["status"], steps["later"]["status"]) == ("timeout", "ok")
    assert 1 <= steps["long"]["limit_s"] <= 1.5


def test_steps_that_draw_are_not_begun_once_the_time_is_over(go):
    _, steps = go({maker("a"): FOREVER, maker("b"): FOREVER}, minutes=0.5 / 60)
    assert [steps[name]["status"] for name in "ab"] == ["timeout", "skipped"]


def test_a_rehearsal_waits_for_what_is_drawn_though_less_than_the_least_is_left(go):
    _, steps = go({maker("a"): DRAWS, step("timing", least=100, quiet=True): LISTS}, rehearse=True)
    assert (steps["timing"]["status"], steps["timing"]["rows"]) == ("ok", [{"sets": ["a"]}])


# The card


@pytest.mark.parametrize("environment", ["1 / 0", CONTEXT + "context.row(python='3.12')"])
def test_without_a_card_its_steps_are_skipped(go, environment):
    programs = {step("environment"): environment, step("fast", gpu=True): "1 / 0", step("other"): "pass"}
    _, steps = go(programs, device="cuda")
    assert (steps["fast"]["status"], steps["other"]["status"]) == ("skipped", "ok")
    assert "no CUDA device was found" in steps["fast"]["reason"]


def test_with_a_card_its_steps_are_run(go):
    found = CONTEXT + "context.row(gpu='NVIDIA H100')"
    _, steps = go({step("environment"): found, step("fast", gpu=True): "pass"}, device="cuda")
    assert steps["fast"]["status"] == "ok"


def test_on_the_cpu_no_card_is_asked_for(go):
    _, steps = go({step("environment"): "1 / 0", step("fast", gpu=True): "pass"})
    assert steps["fast"]["status"] == "ok"


# What is drawn beside the other steps


def test_a_step_is_skipped_when_what_it_needs_is_never_made(go):
    _, steps = go({maker("a"): "1 / 0", step("user", needs="scenes/a"): "1 / 0"})
    assert (steps["user"]["status"], steps["user"]["reason"].partition(";")[0]) == ("skipped", "scenes/a was not made")


def test_a_step_is_run_once_what_it_needs_is_there(go):
    _, steps = go({maker("a"): DRAWS, step("user", needs="scenes/a"): LISTS})
    assert (steps["user"]["status"], steps["user"]["rows"]) == ("ok", [{"sets": ["a"]}])


def test_a_step_that_needs_nothing_does_not_wait(go):
    _, steps = go({maker("a"): DRAWS.replace("0.5", "1.5"), step("free"): LISTS})
    assert (steps["a"]["status"], steps["free"]["rows"]) == ("ok", [{"sets": []}])


def test_a_quiet_step_waits_until_all_is_drawn(go):
    _, steps = go({maker("a"): DRAWS, maker("b"): DRAWS, step("timing", quiet=True): LISTS})
    assert steps["timing"]["rows"] == [{"sets": ["a", "b"]}]


def test_sets_are_drawn_one_after_the_other(go):
    _, steps = go({maker("a"): DRAWS, maker("b"): LISTS})
    assert steps["b"]["rows"] == [{"sets": ["a"]}]


def test_sets_are_kept_and_those_that_are_there_are_not_drawn_again(go, tmp_path):
    given = tmp_path / "drawn" / "a"
    given.mkdir(parents=True)
    (given / "scene.json").touch()
    user = step("user", needs="scenes/a")
    code, steps = go({maker("a"): "1 / 0", maker("b"): DRAWS, user: LOOKS}, scenes=tmp_path / "drawn")
    assert (code, steps["a"]["status"], steps["b"]["status"]) == (0, "skipped", "ok")
    assert steps["user"]["rows"] == [{"there": ["scene.json"]}]
    assert sorted(path.name for path in (tmp_path / "drawn").rglob("*")) == ["a", "b", "scene.json"]


# What can be read, and when


def test_the_results_can_be_read_at_every_moment(go, tmp_path):
    path, over, seen, errors = tmp_path / "out" / "results.json", threading.Event(), [], []

    def poll():
        until(path.is_file)
        while not over.is_set():
            try:
                seen.append(tuple(entry["status"] for entry in read(path.parent)["steps"]))
            except (OSError, ValueError) as error:
                errors.append(error)

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        rows = CONTEXT + "for n in range(2000):\n    context.row(n=n)\n"
        go({step(name): rows for name in "abc"})
    finally:
        over.set()
        thread.join()
    assert errors == []
    assert {("running", "waiting", "waiting"), ("ok", "running", "waiting"), ("ok", "ok", "running")} <= set(seen)


def test_a_full_disk_leaves_the_results_of_before(go, tmp_path, monkeypatch, capsys):
    write, saves = Path.write_text, []

    def full(path, *args, **kwargs):
        if path.name == "results.part":
            saves.append(path)
            if len(saves) > 3:
                write(path, "{")
                raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, *args, **kwargs)

    monkeypatch.setattr(Path, "write_text", full)
    code, steps = go({step("a"): "pass", step("b"): "pass"})
    assert (code, len(saves) > 4) == (0, True)
    assert (steps["a"]["status"], steps["b"]["status"]) == ("running", "waiting")
    assert "No space left on device; the earlier results are still there" in capsys.readouterr().err
    assert not (tmp_path / "out" / "results.part").exists()


# A run that is told to stop

DRIVER = """
import sys, tempfile
from pathlib import Path
from benchmarks.gpu import carried, run
from benchmarks.gpu.plan import PlannedStep
from benchmarks.gpu.runner import Runner

folders = {"draw": "scenes/a", "first": None, "second": None}
steps = [PlannedStep(name, name, 60, 0, 60, makes=makes, gpu=False) for name, makes in folders.items()]
here, code = Path(sys.argv[1]), sys.argv[2]
real = Runner._command

def stub(self, outcome):
    command = real(self, outcome)
    return [sys.executable, "-c", code, *command[command.index("--name"):]]

tempfile.tempdir = str(here / "temporary")
run.choose_steps, Runner._command, carried.PACKED = lambda only: steps, stub, here / "packed"
sys.exit(run.run(here / "out", 1, False, [], "cpu"))
"""


@pytest.fixture
def running(tmp_path, temporary):
    """Return a function that starts a run in a process; it returns that process and the ids of its children."""
    started, pids = [], []

    def known():
        try:
            rows = [row for entry in read(tmp_path / "out")["steps"] for row in entry["rows"]]
        except FileNotFoundError:
            return []
        return [pid for row in rows for pid in row["pids"]] if len(rows) == 2 else []

    def start(code):
        driver = tmp_path / "driver.py"
        driver.write_text(DRIVER)
        process = subprocess.Popen(
            [sys.executable, str(driver), str(tmp_path), code],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        pids.extend(until(known))
        return process, pids

    yield start
    for process in started:
        process.kill()
        process.communicate()
    for pid in filter(lives, pids):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_results_and_no_process(running, tmp_path, temporary, number):
    process, pids = running(WITH_CHILD)
    process.send_signal(number)
    _, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (1, "interrupted; results.json has what was recorded until then\n")
    results = read(tmp_path / "out")
    assert [entry["status"] for entry in results["steps"]] == ["interrupted"] * 3
    assert [len(entry["rows"]) for entry in results["steps"]] == [1, 1, 0]
    assert results["finished"] is False
    until(lambda: not any(lives(pid) for pid in pids))
    assert list(temporary.iterdir()) == []


def test_a_run_interrupted_twice_leaves_no_process_either(running, tmp_path):
    process, pids = running(DEAF)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=15)
    assert "Traceback" not in err
    assert [entry["status"] for entry in read(tmp_path / "out")["steps"]] == ["interrupted"] * 3
    until(lambda: not any(lives(pid) for pid in pids), 2)
