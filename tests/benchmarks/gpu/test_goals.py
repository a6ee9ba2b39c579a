from benchmarks.gpu.collect import judge_goals
from tests.benchmarks.gpu.recorded import INFERENCE, ROWS, speed, training

FLOAT32 = "speed-up of inference over the reference in float32"
BFLOAT16 = "speed-up of inference over the reference in bfloat16"
MEMORY = "peak memory of inference in bfloat16, as a share of the reference's"
FILES = "images per second from files to masks"
STEP = "speed-up of a training step over the reference"
PRESENCE = "N-acc of `tiny` at T-acc 0.9, on about 300 empty targets"


def verdicts(inference=(), end_to_end=(), training=(), scores=()):
    """Return the measured figure and the verdict of each goal."""
    goals = judge_goals(list(inference), list(end_to_end), list(training), list(scores))
    return {goal.what: (goal.measured, goal.verdict) for goal in goals}


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
