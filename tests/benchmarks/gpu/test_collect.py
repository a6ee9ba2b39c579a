import json

import pytest

from benchmarks.gpu.collect import REHEARSAL, collect, judge_goals
from benchmarks.gpu.errors import KitError
from benchmarks.gpu.plan import step_names

STEPS = step_names()
CARD = {
    "python": "3.12.3",
    "torch": "2.11.0",
    "gpu": "NVIDIA H100 80GB HBM3",
    "driver": "580.1",
    "gpu_memory_gib": 79.2,
}


def speed(way, dtype, batch, rate, peak=None):
    return {
        "way": way,
        "dtype": dtype,
        "batch": batch,
        "ms": 1000 * batch / rate,
        "images_per_s": rate,
        "peak_mib": peak,
    }


def training(way, batch, rate, checkpointing=False, peak=40000):
    facts = {"way": way, "dtype": "bfloat16", "batch": batch, "checkpointing": checkpointing}
    memory = {"peak_mib": peak, "state_mib": 25000, "activations_mib": peak - 25000}
    return {**facts, **memory, "ms": 1000 * batch / rate, "samples_per_s": rate}


INFERENCE = [
    speed("reference", "float32", 8, 10, 9000),
    speed("ours", "float32", 8, 20, 6000),
    speed("reference", "bfloat16", 8, 40, 8000),
    speed("ours", "bfloat16", 8, 90, 3000),
    {"way": "reference", "dtype": "float32", "batch": 16, "error": "out of memory"},
    {"kernel": "void gemm<float | half>", "ms": 3.25, "calls": 24, "share": 0.18, "of": "ours, bfloat16, batch 8"},
]
FROM_FILES = {"images": 200, "side": 1200, "dtype": "bfloat16", "batch": 8, "compiled": False}
TRAINED = {"steps": 3000, "samples": 384000, "batch": 128, "precision": "bf16", "parameters": 7000000}
SCORED = {"gIoU": 0.56, "low": 0.5, "high": 0.6, "N-acc": 0.7, "T-acc": 0.91}
ROWS = {
    "environment": [CARD, {"ceiling": "matrix product", "dtype": "tf32", "tflops": 400.0}],
    "gpu_tests": [
        {"test": "test_gpu.py::test_a", "outcome": "passed", "seconds": 1.2, "message": ""},
        {"test": "test_gpu.py::test_b", "outcome": "failed", "seconds": 0.1, "message": "1 | 2\n3"},
    ],
    "inference": INFERENCE,
    "end_to_end": [{**FROM_FILES, "seconds": 4.4, "images_per_s": 39.9, "model_images_per_s": 61.0}],
    "training_step": [training("reference", 2, 4), training("ours", 2, 9, peak=30000)],
    "training_scenes": [{"set": "training_scenes", "scenes": 20000, "seconds": 160.0, "per_second": 125.0}],
    "train_tiny": [
        {"minute": 0.5, "step": 350, "loss": 12.5, "gIoU": 0.2, "N-acc": 0.2, "T-acc": 0.95},
        {"minute": 1, "step": 700, "loss": 9.1, "gIoU": 0.41, "N-acc": 0.3, "T-acc": 0.95, "threshold": 0.4},
        {**TRAINED, "seconds": 230, "samples_per_s": 1600, "wait_share": 0.02},
    ],
    "scores": [
        {"set": "sample, test", "count": 100, "empties": 300, "rule": "chosen on validation", **SCORED},
        {"set": "sample, test", "roc": [[0.0, 1.0], [0.75, 0.92], [0.85, 0.89], [1.0, 0.0]]},
    ],
}
RUN = {
    "kit": 1,
    "rehearsal": False,
    "device": "cuda",
    "minutes": 9.0,
    "started": "2026-11-27T02:00:00+00:00",
    "seconds": 530.2,
    "finished": True,
    "commit": "abc123",
    "packed_from": "def456",
    "command": "python -m benchmarks.gpu run",
}


def write_results(folder, rows=ROWS, steps=STEPS, **facts):
    folder.mkdir(parents=True, exist_ok=True)
    done = {"status": "ok", "limit_s": 60, "seconds": 8.1, "reason": "", "stderr": []}
    entries = [
        {"name": name, "title": name.upper(), **done, "rows": rows.get(name, []), **facts.pop(name, {})}
        for name in steps
    ]
    (folder / "results.json").write_text(json.dumps({**RUN, "steps": entries, **facts}))
    return folder


@pytest.fixture
def page(tmp_path):
    """Return a function that collects folders and returns the text of the page."""

    def write(*folders):
        path = tmp_path / "docs" / "gpu.md"
        collect(folders, path, tmp_path / "docs" / "images" / "gpu")
        return path.read_text(encoding="utf-8")

    return write


@pytest.fixture
def full(tmp_path):
    return write_results(tmp_path / "full")


def cells(text, *begin):
    """Return the cells of the only table row that begins with `begin`."""
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line[:1] == "|"]
    (found,) = [row for row in rows if row[: len(begin)] == list(begin)]
    return found


def verdicts(inference=(), end_to_end=(), training=(), scores=()):
    """Return the measured figure and the verdict of each goal."""
    goals = judge_goals(list(inference), list(end_to_end), list(training), list(scores))
    return {goal.what: (goal.measured, goal.verdict) for goal in goals}


FLOAT32 = "speed-up of inference over the reference in float32"
BFLOAT16 = "speed-up of inference over the reference in bfloat16"
MEMORY = "peak memory of inference in bfloat16, as a share of the reference's"
FILES = "images per second from files to masks"
STEP = "speed-up of a training step over the reference"
PRESENCE = "N-acc of `tiny` at T-acc 0.9, on about 300 empty targets"


def test_nothing_measured_is_nothing_met():
    assert set(verdicts().values()) == {("–", "not run")}


def test_the_fastest_of_ours_is_held_against_the_reference_in_float32():
    assert verdicts(INFERENCE)[FLOAT32] == ("9.000", "met")  # 90 in bfloat16, 10


def test_bfloat16_is_held_against_bfloat16():
    assert verdicts(INFERENCE)[BFLOAT16] == ("2.250", "missed")  # 90, 40


def test_a_compiled_model_counts_as_ours():
    assert verdicts([*INFERENCE, speed("compiled", "bfloat16", 8, 100, 3600)])[BFLOAT16] == ("2.500", "met")


def test_memory_is_that_of_the_fastest_way():
    assert verdicts(INFERENCE)[MEMORY] == ("0.375", "met")  # 3000 of 8000
    assert verdicts([*INFERENCE, speed("compiled", "bfloat16", 8, 100, 4400)])[MEMORY] == ("0.550", "missed")


def test_rates_at_different_batches_are_not_compared():
    rows = [speed("reference", "bfloat16", 1, 10), speed("ours", "bfloat16", 8, 90)]
    assert verdicts(rows)[BFLOAT16] == ("–", "not run")


def test_the_batch_of_the_goals_is_preferred_to_a_flattering_one():
    rows = [*INFERENCE, speed("reference", "bfloat16", 16, 40), speed("ours", "bfloat16", 16, 200)]
    assert verdicts(rows)[BFLOAT16] == ("2.250", "missed")


def test_without_that_batch_the_largest_of_both_counts():
    rows = [speed("reference", "bfloat16", 1, 40), speed("ours", "bfloat16", 1, 90)]
    rows += [speed("reference", "bfloat16", 4, 40), speed("ours", "bfloat16", 4, 120)]
    assert verdicts(rows)[BFLOAT16] == ("3.000", "met")


def test_images_from_files_just_below_the_goal_miss_it():
    assert verdicts(end_to_end=ROWS["end_to_end"])[FILES] == ("39.9", "missed")


def test_training_steps_are_compared_at_the_largest_batch_of_both_without_checkpointing():
    rows = [training("reference", 2, 4), training("ours", 2, 6), training("ours", 8, 20)]
    rows += [training("reference", 8, 4, True), training("ours", 8, 12, True)]
    assert verdicts(training=rows)[STEP] == ("1.500", "missed")  # at batch 8 the reference checkpointed


def test_training_with_checkpointing_is_compared_where_there_is_nothing_else():
    rows = [training("reference", 8, 4, True), training("ours", 8, 12, True), training("ours", 2, 12)]
    assert verdicts(training=rows)[STEP] == ("3.000", "met")


def test_each_set_has_its_own_verdict_on_giou():
    rows = [{"set": "a", "count": 100, "gIoU": 0.56}, {"set": "b", "count": 100, "gIoU": 0.549}]
    found = verdicts(scores=rows)
    assert found["gIoU of `tiny` on a"] == ("0.560", "met")
    assert found["gIoU of `tiny` on b"] == ("0.549", "missed")


def test_scores_at_the_fixed_threshold_are_held_against_no_goal():
    rows = [{"set": "a", "count": 100, "gIoU": 0.9, "rule": "fixed"}]
    assert verdicts(scores=rows)["gIoU of `tiny`"] == ("–", "not run")


def test_n_acc_is_read_off_the_curve_where_enough_targets_are_still_answered():
    assert verdicts(scores=ROWS["scores"])[PRESENCE] == ("0.750", "missed")


def test_n_acc_told_outright_comes_before_the_curve():
    rows = [*ROWS["scores"], {"set": "sample, test", "n_acc_at_t_acc_90": 0.8}]
    assert verdicts(scores=rows)[PRESENCE] == ("0.800", "met")


def test_few_empties_do_not_meet_the_goal():
    rows = [{"set": "a", "count": 100, "empties": 33, "n_acc_at_t_acc_90": 0.97}]
    assert verdicts(scores=rows)[PRESENCE] == ("0.970", "not run")


def test_the_page_names_card_driver_versions_commit_and_command(page, full):
    text = page(full)
    assert cells(text, "card") == ["card", "NVIDIA H100 80GB HBM3"]
    assert cells(text, "driver") == ["driver", "580.1"]
    assert cells(text, "PyTorch") == ["PyTorch", "2.11.0"]
    assert cells(text, "commit") == ["commit", "`abc123`"]
    assert cells(text, "packed from") == ["packed from", "`def456`"]
    assert cells(text, "command") == ["command", "`python -m benchmarks.gpu run`"]
    assert cells(text, "started") == ["started", "2026-11-27 02:00:00 UTC"]


def test_what_was_not_measured_is_a_dash(page, full):
    assert cells(page(full), "Triton") == ["Triton", "–"]


def test_a_row_of_inference_has_both_ratios_and_that_of_memory(page, full):
    found = cells(page(full), "ours", "bfloat16", "8")
    assert found == ["ours", "bfloat16", "8", "88.9", "90.0", "9.00", "2.25", "3,000", "38 %", "–", "–", "–", "–"]


def test_out_of_memory_is_told_in_its_row(page, full):
    assert cells(page(full), "reference", "float32", "16")[3:6] == ["out of memory", "–", "–"]


def test_the_kernel_that_was_chosen_for_an_attention_is_listed(page, tmp_path):
    attention = {"attention": "(2, 4, 9, 8) to 9", "mask": "none", "backend": "MATH", "dtype": "bfloat16", "calls": 3}
    folder = write_results(tmp_path / "kernels", rows={**ROWS, "inference": [attention]})
    assert cells(page(folder), "`(2, 4, 9, 8) to 9`") == ["`(2, 4, 9, 8) to 9`", "`none`", "bfloat16", "`MATH`", "3"]


def test_the_scenes_and_their_speed_are_listed(page, full):
    assert cells(page(full), "training scenes") == ["training scenes", "20,000", "160.0", "125"]


def test_notes_stand_between_goals_and_tables(full, tmp_path):
    (tmp_path / "notes.md").write_text("The card was tired.\n")
    collect([full], tmp_path / "gpu.md", tmp_path / "images", tmp_path / "notes.md")
    text = (tmp_path / "gpu.md").read_text(encoding="utf-8")
    places = [text.index(part) for part in ("## Goals", "The card was tired.", "## Inference at full size")]
    assert places == sorted(places)


def test_a_kernel_is_told_as_code_with_its_bar_escaped(page, full):
    assert r"| `void gemm<float \| half>` | 3.25 | 24 | 18.0 % |" in page(full)


def test_a_training_step_has_its_memory_split_and_its_ratios(page, full):
    found = cells(page(full), "ours", "bfloat16", "no", "2")
    assert found[4:] == ["222.2", "9.00", "2.25", "30,000", "25,000", "5,000", "75 %", "–"]


def test_scores_are_in_percent_with_their_interval(page, full):
    found = cells(page(full), "sample, test", "chosen on validation")
    assert found[2:] == ["100", "300", "–", "56.0", "50.0 to 60.0", "–", "70.0", "91.0"]


def test_tests_are_counted_and_their_messages_kept_on_a_line(page, full):
    text = page(full)
    assert "1 passed, 1 failed, 0 skipped." in text
    assert r"| `test_gpu.py::test_b` | failed | 1 \| 2 3 | 0.1 |" in text


def test_verdicts_are_on_the_page(page, full):
    assert cells(page(full), FILES)[2:] == ["missed", "at least 40", "39.9"]


def test_columns_of_numbers_are_aligned_right(page, full):
    assert "| --- | --- | --- | --- | ---: | ---: |" in page(full)


def test_figures_are_drawn_and_linked(page, full, tmp_path):
    text = page(full)
    for name in ("inference", "learning", "presence"):
        assert f"(images/gpu/{name}.svg)" in text
        assert (tmp_path / "docs" / "images" / "gpu" / f"{name}.svg").read_text().startswith("<?xml")


def test_the_same_results_give_the_same_figures(page, full, tmp_path):
    path = tmp_path / "docs" / "images" / "gpu" / "inference.svg"
    page(full)
    before = path.read_bytes()
    page(full)
    assert path.read_bytes() == before


def test_a_figure_of_an_earlier_page_goes_with_its_rows(page, full, tmp_path):
    page(full)
    text = page(write_results(tmp_path / "empty", {}))
    assert list((tmp_path / "docs" / "images" / "gpu").iterdir()) == []
    assert "svg" not in text


def test_the_page_tells_how_to_run_it_again(page, full):
    text = page(full)
    for command in ("pack", "run --out results --minutes 9", "collect results"):
        assert f"python -m benchmarks.gpu {command}\n" in text


def test_skipped_steps_are_said_with_their_reasons(page, tmp_path):
    skipped = {name: {"status": "skipped", "reason": f"no time for {name[:3]}"} for name in STEPS}
    text = page(write_results(tmp_path / "r", {}, **skipped))
    assert "## From files to masks\n\nNot run: no time for end\n" in text
    assert "`inference`: Not run: no time for inf\n\n`compiled`: Not run: no time for com\n" in text
    assert text.count(" not run ") == len(judge_goals([], [], [], []))


def test_a_failed_step_is_said_with_its_last_lines_folded(page, tmp_path):
    failed = {
        "status": "failed",
        "reason": "exit code 1: bad_thing",
        "stderr": ["\x1b[31mTraceback\x1b[0m", "", "a < b"],
    }
    text = page(write_results(tmp_path / "r", {}, scores=failed))
    assert cells(text, "`scores`") == ["`scores`", "SCORES", "failed", r"exit code 1: bad\_thing", "8.1", "60"]
    assert "<pre>\nTraceback\na &lt; b\n</pre>" in text
    assert r"No result: exit code 1: bad\_thing" in text


def test_rows_before_a_timeout_are_kept_and_the_cut_is_said(page, tmp_path):
    text = page(write_results(tmp_path / "r", inference={"status": "timeout", "reason": "killed after 70 s"}))
    assert "`inference`: Cut short: killed after 70 s" in text
    assert cells(text, "ours", "bfloat16", "8")[4] == "90.0"


def test_a_run_that_ended_early_is_said(page, tmp_path):
    text = page(write_results(tmp_path / "r", finished=False, scores={"status": "running"}))
    assert "A run did not finish" in text
    assert "Cut short: the run ended before the step did" in text


def test_a_rehearsal_says_that_its_figures_mean_nothing(page, tmp_path):
    assert f"# On a GPU\n\n**{REHEARSAL}.**\n" in page(write_results(tmp_path / "r", rehearsal=True, device="cpu"))


def test_a_rehearsal_meets_and_misses_no_goal(page, tmp_path):
    text = page(write_results(tmp_path / "r", rehearsal=True, device="cpu"))
    assert " met " not in text
    assert " missed " not in text


def test_a_later_run_replaces_the_steps_it_did(page, full, tmp_path):
    rows = {"environment": [CARD], "end_to_end": [{"images": 200, "images_per_s": 50.0}]}
    text = page(full, write_results(tmp_path / "later", rows, steps=("environment", "end_to_end")))
    assert cells(text, FILES)[2:] == ["met", "at least 40", "50.0"]
    assert cells(text, "`end_to_end`")[-1] == "2"
    assert cells(text, "`inference`")[-1] == "1"


def test_a_later_run_that_skipped_a_step_does_not_replace_it(page, full, tmp_path):
    later = write_results(tmp_path / "later", {}, end_to_end={"status": "skipped"}, steps=("end_to_end",))
    assert cells(page(full, later), FILES)[-1] == "39.9"


def test_a_later_failure_replaces_an_earlier_success(page, full, tmp_path):
    later = write_results(tmp_path / "later", {}, end_to_end={"status": "failed", "reason": "x"}, steps=("end_to_end",))
    assert cells(page(full, later), FILES)[2] == "not run"


def test_two_cards_make_no_page_together(page, full, tmp_path):
    other = write_results(tmp_path / "other", {"environment": [{**CARD, "gpu": "NVIDIA H200"}]})
    with pytest.raises(KitError, match="other has NVIDIA H200; collect one card at a time"):
        page(full, other)


def test_a_rehearsal_makes_no_page_with_a_real_run(page, full, tmp_path):
    with pytest.raises(KitError, match="collect them apart"):
        page(full, write_results(tmp_path / "r", rehearsal=True))


def test_a_file_cut_off_is_told_in_a_line(page, full):
    path = full / "results.json"
    path.write_text(path.read_text()[:500])
    with pytest.raises(KitError, match=r"results.json: cut off or not JSON \(.*\); fetch it again$"):
        page(full)


def test_a_missing_file_is_told_in_a_line(page, tmp_path):
    with pytest.raises(KitError, match="results.json: No such file or directory; name the folder"):
        page(tmp_path)


@pytest.mark.parametrize("content", ["[]", '{"kit": 2, "steps": []}', '{"kit": 1}'])
def test_a_file_of_something_else_is_told_in_a_line(page, tmp_path, content):
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(KitError, match="not the results of this kit"):
        page(tmp_path)


@pytest.mark.parametrize("step", [3, {}, {"name": "scores", "rows": [1]}, {"name": "scores", "rows": "x"}])
def test_a_broken_step_is_told_in_a_line(page, tmp_path, step):
    (tmp_path / "results.json").write_text(json.dumps({"kit": 1, "steps": [step]}))
    with pytest.raises(KitError, match="fetch it again"):
        page(tmp_path)


def test_values_of_a_wrong_kind_and_unknown_keys_are_dashes(page, tmp_path):
    rows = {"end_to_end": [{"images": None, "images_per_s": "fast", "seconds": float("nan"), "colour": "red"}]}
    text = page(write_results(tmp_path / "r", rows))
    assert "| – | – | – | – | – | – | – | – |" in text
    assert cells(text, FILES)[2] == "not run"
