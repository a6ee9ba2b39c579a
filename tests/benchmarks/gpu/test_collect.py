import json

import pytest

from benchmarks.gpu.collect import REHEARSAL, collect, judge_goals
from benchmarks.gpu.errors import KitError
from tests.benchmarks.gpu.recorded import CARD, ROWS, STEPS, write_results

FILES = "images per second from files to masks"


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


def test_variants_of_training_have_their_speed_loss_and_score(page, full):
    assert "| as configured | 5,760 | 180.0 | 24.6 | 32.5 |" in page(full)


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
    assert f"# GPU benchmark results\n\n**{REHEARSAL}.**\n" in page(
        write_results(tmp_path / "r", rehearsal=True, device="cpu")
    )


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
    with pytest.raises(KitError, match="results.json: No such file or directory; give the folder"):
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
