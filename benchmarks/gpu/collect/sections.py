"""The sections of the page about individual steps, with their tables and figures."""

from __future__ import annotations

from benchmarks.gpu.collect.cells import (
    code,
    code_column,
    error_or_number,
    escape,
    hundredths,
    interval,
    label_column,
    number,
    number_column,
    percent,
    share_column,
    text_column,
    with_unit,
    yes_or_no_column,
)
from benchmarks.gpu.collect.figures import draw_inference, draw_learning, draw_presence
from benchmarks.gpu.collect.goals import best_presence
from benchmarks.gpu.collect.page import ResultPage
from benchmarks.gpu.collect.rows import Row, case_order, number_at, ratio_at, reference_like, set_name
from benchmarks.gpu.plan import PLAN


def write_inference(page: ResultPage) -> None:
    """Write the section about speed and memory of inference."""
    page.section("Inference at full size", "inference", "compiled")
    rows = sorted((row for row in page.rows("inference", "compiled") if "way" in row), key=case_order)
    title = "Images per second by implementation and batch"
    page.figure("inference", title, lambda figure: draw_inference(figure, rows), (7.2, 2.8))
    if not rows:
        return
    page.say(
        "All implementations have the same random weights, so their mean logits must agree within each precision. The "
        "reference runs the vision tower twice, reads the tokens of the reply, and computes the softmax of attention "
        "explicitly."
    )

    def against(row: Row, key: str) -> float | None:
        return ratio_at(row, reference_like(rows, row, "dtype", "batch"), key)

    def against_float32(row: Row) -> float | None:
        reference = reference_like(rows, {**row, "dtype": "float32"}, "dtype", "batch")
        return ratio_at(row, reference, "images_per_s")

    page.tabulate(
        rows,
        (
            label_column("implementation", "way"),
            label_column("precision", "dtype"),
            number_column("batch", "batch"),
            ("ms", lambda row: error_or_number(row, "ms", 1)),
            number_column("images/s", "images_per_s", 1),
            ("× reference, float32", lambda row: number(against_float32(row), 2)),
            ("× reference, same precision", lambda row: number(against(row, "images_per_s"), 2)),
            number_column("peak, MiB", "peak_mib"),
            ("peak, of the reference's", lambda row: percent(against(row, "peak_mib"))),
            number_column("GFLOP per image", "gflop_per_image"),
            number_column("TFLOP/s", "tflops", 1),
            ("share of the ceiling", lambda row: percent(row.get("share_of_ceiling"))),
            number_column("mean logit", "mean_logit", 4),
        ),
        left=2,
    )
    for row in rows:
        if number_at(row, "compile_s") is not None:
            alike = number_at(row, "cosine")
            page.say(
                f"Compiling for {escape(row.get('dtype'))} at batch {number(row.get('batch'))} took "
                f"{number(row['compile_s'], 1)} s, once"
                + (
                    f"; the cosine similarity of its logits with those of the uncompiled model is {alike:.5f}."
                    if alike is not None
                    else "."
                )
            )


def write_backends(page: ResultPage) -> None:
    """Write which kernel PyTorch chose for each attention."""
    rows = [row for row in page.rows("inference") if "backend" in row]
    if rows:
        page.say("Kernels that PyTorch chose for the attention of our implementation, in a batch of two:")
        page.tabulate(
            rows,
            (
                code_column("queries to keys", "attention"),
                code_column("mask", "mask"),
                label_column("precision", "dtype"),
                code_column("kernel", "backend"),
                number_column("calls", "calls"),
            ),
            left=4,
        )


def write_kernels(page: ResultPage) -> None:
    """Write which kernels took the longest."""
    rows = [row for row in page.rows("inference", "compiled") if "kernel" in row]
    for case in dict.fromkeys(row.get("of") for row in rows):
        costliest = sorted((row for row in rows if row.get("of") == case), key=lambda row: -(number_at(row, "ms") or 0))
        page.say(f"### The ten costliest kernels{f': {escape(case)}' if case else ''}")
        page.tabulate(
            costliest[:10],
            (
                code_column("kernel", "kernel", 70),
                number_column("ms", "ms", 2),
                number_column("calls", "calls"),
                ("share", lambda row: percent(row.get("share"), 1)),
            ),
        )


def write_end_to_end(page: ResultPage) -> None:
    """Write the section about prediction from files to masks."""
    if page.section("From files to masks", "end_to_end"):
        page.say("The time includes decoding, letterboxing, a model with random weights, and writing full-size masks.")
        page.tabulate(
            [row for row in page.rows("end_to_end") if "images" in row],
            (
                label_column("precision", "dtype"),
                yes_or_no_column("compiled", "compiled"),
                number_column("batch", "batch"),
                number_column("images", "images"),
                number_column("side, px", "side"),
                number_column("seconds", "seconds", 1),
                number_column("images/s", "images_per_s", 1),
                number_column("model alone, images/s", "model_images_per_s", 1),
            ),
            left=2,
        )


def write_training(page: ResultPage) -> None:
    """Write the section about a training step."""
    if not page.section("A training step at full size", "training_step"):
        return
    rows = sorted((row for row in page.rows("training_step") if "way" in row), key=case_order)

    def against(row: Row, key: str) -> float | None:
        return ratio_at(row, reference_like(rows, row, "dtype", "batch", "checkpointing"), key)

    page.say("`State` is what stays in memory between steps: weights, gradients and the optimizer's moments.")
    page.tabulate(
        rows,
        (
            label_column("implementation", "way"),
            label_column("precision", "dtype"),
            yes_or_no_column("checkpointing", "checkpointing"),
            number_column("batch", "batch"),
            ("ms", lambda row: error_or_number(row, "ms", 1)),
            number_column("samples/s", "samples_per_s", 2),
            ("× reference", lambda row: number(against(row, "samples_per_s"), 2)),
            number_column("peak, MiB", "peak_mib"),
            number_column("state, MiB", "state_mib"),
            number_column("activations, MiB", "activations_mib"),
            ("peak, of the reference's", lambda row: percent(against(row, "peak_mib"))),
            number_column("loss", "loss", 3),
        ),
        left=3,
    )


def skipped(row: Row) -> str:
    """Say how many steps were skipped, as their loss or gradient was not finite; "" if none was."""
    count = row.get("skipped") or 0
    return f"{number(count)} steps were skipped, as their loss or gradient was not finite. " if count else ""


def write_variants(page: ResultPage) -> None:
    """Write the section that compares variants of training `tiny`."""
    page.section("Variants of training `tiny`", "variants")
    trained = [row for row in page.rows("variants") if number_at(row, "samples") is not None]
    if trained:
        page.say("Each was trained for half a minute on the same scenes.")
        page.tabulate(
            trained,
            (
                ("variant", lambda row: escape(row.get("variant"))),
                number_column("samples", "samples"),
                number_column("samples per second", "samples_per_s", 1),
                number_column("last loss", "loss", 1),
                share_column("gIoU, %", "gIoU"),
            ),
        )


def write_learning(page: ResultPage) -> None:
    """Write the section about training `tiny`, and about the scenes it was trained on."""
    page.section("`tiny`, trained for a fixed time", "train_tiny")
    for row in page.rows("train_tiny"):
        if number_at(row, "steps") is not None:
            page.say(
                f"{number(row['steps'])} steps of {number(row.get('batch'))} samples in "
                f"{escape(row.get('precision'))}, {number(row.get('samples'))} samples in all, took "
                f"{number(row.get('seconds'))} s: {number(row.get('samples_per_s'))} samples per second. "
                f"Waiting for data took {percent(row.get('wait_share'), 1)} of the time. "
                f"{skipped(row)}"
                f"The model has {number(row.get('parameters'))} parameters."
            )
        if row.get("checkpoint"):
            page.say(f"The checkpoint is {code(row['checkpoint'])}, {with_unit(row, 'mib', 'MiB')} in bfloat16.")
    points = [row for row in page.rows("train_tiny") if number_at(row, "minute") is not None]
    if points:
        page.tabulate(
            points,
            (
                number_column("minute", "minute", 1),
                number_column("step", "step"),
                number_column("loss", "loss", 3),
                share_column("gIoU, %", "gIoU"),
                share_column("N-acc, %", "N-acc"),
                share_column("T-acc, %", "T-acc"),
                number_column("threshold", "threshold", 3),
            ),
            left=0,
        )
    title = "gIoU, N-acc and T-acc on validation scenes, by minute"
    page.figure("learning", title, lambda figure: draw_learning(figure, points), (5.0, 2.8))
    scenes = [row for row in page.rows(*(step.name for step in PLAN if step.module == "synth")) if "set" in row]
    if scenes:
        page.say("The scenes were drawn on the CPU while other steps used the GPU:")
        page.tabulate(
            scenes,
            (
                ("scenes", lambda row: escape(str(row["set"]).replace("_", " "))),
                number_column("count", "scenes"),
                number_column("seconds", "seconds", 1),
                number_column("per second", "per_second"),
            ),
        )


def write_scores(page: ResultPage) -> None:
    """Write the section about what `tiny` has learned."""
    page.section("Scores of `tiny`", "scores")
    rows = page.rows("scores")
    scored = [row for row in rows if "gIoU" in row]
    if scored:
        page.tabulate(
            scored,
            (
                ("scenes", lambda row: escape(set_name(row))),
                text_column("choice of threshold", "rule"),
                number_column("count", "count"),
                number_column("empty", "empties"),
                number_column("threshold", "threshold", 3),
                share_column("gIoU, %", "gIoU"),
                ("95 % interval", interval),
                share_column("cIoU, %", "cIoU"),
                share_column("N-acc, %", "N-acc"),
                share_column("T-acc, %", "T-acc"),
            ),
            left=2,
        )
    best = list(best_presence(rows))
    if best:
        page.say("The largest share of empty targets recognized while at least 90 % of the others are answered:")
        page.table(
            ["scenes", "empty", "N-acc at T-acc 0.9, %"],
            [[escape(name), number(empties or None), hundredths(value)] for name, empties, value in best],
        )
    page.figure("presence", "N-acc against T-acc, by threshold", lambda figure: draw_presence(figure, rows), (3.8, 3.2))


def write_tests(page: ResultPage) -> None:
    """Write the outcome of every test on the GPU."""
    if page.section("Tests on the GPU", "gpu_tests"):
        rows = [row for row in page.rows("gpu_tests") if "test" in row]
        outcomes = [row.get("outcome") for row in rows]
        page.say(f"{', '.join(f'{outcomes.count(word)} {word}' for word in ('passed', 'failed', 'skipped'))}.")
        page.tabulate(
            rows,
            (
                code_column("test", "test", 120),
                text_column("outcome", "outcome"),
                ("message", lambda row: escape(row["message"]) if row.get("message") else ""),
                number_column("seconds", "seconds", 1),
            ),
            left=3,
        )


def write_how_to(page: ResultPage) -> None:
    """Write how to run the kit again."""
    page.say(
        "## How to run it again",
        "Fetch the packages that the machine with the GPU lacks, then copy the checkout to it, with "
        "`benchmarks/gpu/packed`:",
        "```sh\npython -m benchmarks.gpu pack\n```",
        "Run the steps there; they need no network. `--rehearse` runs every step at toy size on a CPU:",
        "```sh\npython -m benchmarks.gpu run --out results --minutes 9\n```",
        "Bring the folder back and write this page:",
        "```sh\npython -m benchmarks.gpu collect results\n```",
    )
