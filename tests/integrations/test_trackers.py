"""The lines of docs/howto/libraries.md log a result, and the tracker's own reader gives the same scores back.

    EARTHREASON_TRACKERS=/path/to/environment/bin/python python -m pytest tests/integrations/test_trackers.py

That environment has wandb, trackio and mlflow; TensorBoard is tested in this one.
"""

import numpy as np
import pytest

from earthreason import evaluate
from tests.conftest import ROOT
from tests.integrations.foreign import python_with, run_program, snippet_of

START = """
import json
import numpy as np
from earthreason import evaluate
from earthreason_trackers import facts_of, scores_of
names = [f"s{number}" for number in range(5)]
truths = {name: np.arange(16).reshape(4, 4) < 4 * (number + 1) for number, name in enumerate(names[:4])}
truths["s4"] = np.zeros((4, 4), bool)
answers = {name: np.arange(16).reshape(4, 4) < 8 for name in names[:4]} | {"s4": None}
result = evaluate(answers, truths, "native")
step = 7
"""
SHARES = [4 / 8, 8 / 8, 8 / 12, 8 / 16]
"""IoU of an answer of 8 pixels with targets of 4, 8, 12 and 16 that overlap it as far as they can."""
BY_HAND = {
    "gIoU": (sum(SHARES) + 1) / 5,  # the right "no target" counts as 1
    "cIoU": (4 + 8 + 8 + 8) / (8 + 8 + 12 + 16),
    "Pr_0_5": 3 / 5,  # above one half: 1, 2/3, and the empty target
    "N-acc": 1,
    "gIoU_targets": sum(SHARES) / 4,
}


READERS = {
    "wandb": """
import struct
from pathlib import Path
from wandb.proto.wandb_internal_pb2 import Record
(path,) = Path().glob("wandb/offline-run-*/*.wandb")
content, place, part, found = path.read_bytes(), 7, b"", {}
while place + 7 <= len(content):  # records in the framing of LevelDB's logs
    if (left := 32768 - place % 32768) < 7:
        place += left
        continue
    _, length, kind = struct.unpack_from("<IHB", content, place)
    part += content[place + 7 : place + 7 + length]
    place += 7 + length
    if kind in (1, 4):
        record, part = Record.FromString(part), b""
        if record.WhichOneof("record_type") == "history":
            for item in record.history.item:
                found[item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
            assert record.history.step.num == 7
        if record.WhichOneof("record_type") == "run":
            facts = {item.key: json.loads(item.value_json) for item in record.run.config.update}
found = {name: value for name, value in found.items() if not name.startswith("_")}
""",
    "trackio": """
import subprocess, sys
from pathlib import Path
def ask(*words):
    command = [str(Path(sys.executable).with_name("trackio")), *words, "--project", "earthreason", "--json"]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
(run,) = ask("list", "runs")["runs"]
found = {}
for name in ask("list", "metrics", "--run", run)["metrics"]:
    if name in ("gIoU", "cIoU", "Pr_0_5", "N-acc", "gIoU_targets"):  # a process for each
        (point,) = ask("get", "metric", "--run", run, "--metric", name)["values"]
        assert point["step"] == 7
        found[name] = point["value"]
facts = ask("get", "run", "--run", run)["config"]
""",
    "mlflow": """
client = mlflow.MlflowClient(mlflow.get_tracking_uri())
(run,) = client.search_runs(["0"])
found, facts = run.data.metrics, run.data.params
assert [point.step for point in client.get_metric_history(run.info.run_id, "gIoU")] == [7]
""",
    "tensorboard": """
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator("runs/earthreason").Reload()
points = {tag: events.Scalars(tag) for tag in events.Tags()["scalars"]}
found, facts = {tag: point.value for tag, (point,) in points.items()}, {}
assert {point.step for (point,) in points.values()} == {7}
""",
}


@pytest.mark.parametrize("tracker", READERS)
def test_the_lines_of_the_page_log_what_the_trackers_reader_gives_back(tracker, tmp_path):
    python = python_with(tracker, "EARTHREASON_TRACKERS" if tracker != "tensorboard" else "")
    code = START + snippet_of(tracker) + READERS[tracker] + "print(json.dumps([found, facts]))"
    quiet = {"WANDB_SILENT": "true", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1"}
    found, facts = run_program(python, code, "trackers", tmp_path, TRACKIO_DIR=str(tmp_path / "trackio"), **quiet)
    assert {name: found[name] for name in BY_HAND} == pytest.approx(BY_HAND, abs=1e-6)
    if tracker != "tensorboard":
        assert facts["protocol"] == "native"
        assert str(facts["empty_targets"]) == "1"


@pytest.fixture
def trackers(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "integrations" / "trackers"))
    import earthreason_trackers

    return earthreason_trackers


def half(count):
    """Answers with the upper half of `count` squares of 4 x 4 pixels, whose targets are the left half."""
    rows = np.arange(4)
    upper, left = np.repeat(rows < 2, 4).reshape(4, 4), np.tile(rows < 2, (4, 1))
    return {f"s{number}": upper for number in range(count)}, {f"s{number}": left for number in range(count)}


def test_undefined_scores_are_left_out_and_names_are_those_of_the_metric(trackers):
    pytest.importorskip("torchmetrics")
    from earthreason.metrics.torch import PixelReasoningMetric

    result = evaluate(*half(3), "native", resamples=0)
    assert result["N-acc"] is None
    logged = trackers.scores_of(result, prefix="val/")
    defined = {name for name, value in result.items() if value is not None}
    assert len(logged) == len(defined)
    judged = PixelReasoningMetric("native").names
    assert {judged[name.removeprefix("val/")] for name in logged} == defined


def test_intervals_become_two_numbers_around_the_score(trackers):
    answers, truths = half(40)
    answers |= {f"s{number}": truths["s0"] for number in range(10)}
    result = evaluate(answers, truths, "native")
    logged = trackers.scores_of(result, intervals=True)
    assert logged["gIoU_low"] == result.intervals["gIoU"].low
    assert logged["gIoU_low"] < logged["gIoU"] < logged["gIoU_high"]
