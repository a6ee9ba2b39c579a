"""Write the page about what the kit measured: tables, figures, and which goals were met.

Every number on the page is computed from the rows in results.json; what was not measured is a dash.
"""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from os.path import relpath
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from benchmarks.gpu.errors import KitError
from benchmarks.gpu.plan import PLAN

Row = dict[str, Any]

REHEARSAL = "This is a rehearsal on a CPU at toy size; no figure here means anything"
NONE = "–"
COLOURS = {"reference": "#999999", "ours": "#0072b2", "graphs": "#d55e00", "compiled": "#009e73"}
LABELS = {
    "reference": "reference", "ours": "ours", "graphs": "ours, CUDA graph", "compiled": "ours, compiled",
    "tf32": "float32 with TF32",
}  # fmt: skip
WAYS, DTYPES = ("reference", "ours", "graphs", "compiled"), ("float32", "tf32", "bfloat16", "float16")
GOAL_BATCH = 8
"""At which inference is held against its goals, where both ways did it; else at the largest that both did."""
LEAST_EMPTIES = 270
"""Of a set that counts for the goal on 300 empties: each scene of a set is drawn empty by chance."""
FLOOR = 0.9
"""T-acc that N-acc is read at."""
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass(frozen=True)
class Step:
    """What became of a step of a run."""

    name: str
    title: str = ""
    status: str = "waiting"
    seconds: float | None = None
    limit: float | None = None
    reason: str = ""
    stderr: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()

    @property
    def began(self) -> bool:
        """Whether it was tried at all."""
        never = self.status in ("skipped", "waiting") or (self.status == "interrupted" and not self.seconds)
        return bool(self.rows) or not never


@dataclass(frozen=True)
class Run:
    """One results.json."""

    facts: Row
    steps: tuple[Step, ...]

    @property
    def environment(self) -> Row:
        """The row about the machine; empty if there is none."""
        rows = [row for step in self.steps if step.name == "environment" for row in step.rows]
        return next((row for row in rows if "torch" in row), {})

    @property
    def card(self) -> str | None:
        """Name of the GPU."""
        return self.environment.get("gpu")


@dataclass
class Page:
    """Results by step with the number of the run they come from, and the lines of the page."""

    runs: list[Run]
    images: Path
    link: str
    steps: dict[str, Step] = field(default_factory=dict)
    origins: dict[str, int] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    @property
    def rehearsal(self) -> bool:
        """Whether nothing here means anything."""
        return any(run.facts.get("rehearsal") for run in self.runs)

    def rows(self, *names: str) -> list[Row]:
        """Rows of steps."""
        return [row for name in names if name in self.steps for row in self.steps[name].rows]

    def say(self, *paragraphs: str) -> None:
        """Add paragraphs."""
        for paragraph in paragraphs:
            self.lines += [paragraph, ""]

    def table(self, head: Sequence[str], body: Iterable[Sequence[str]], left: int = 1) -> None:
        """Add a table whose first columns hold words and whose others hold numbers."""
        rules = ["---" if n < left else "---:" for n in range(len(head))]
        self.say("\n".join(f"| {' | '.join(cells)} |" for cells in (head, rules, *body)))

    def figure(self, name: str, title: str, draw: Callable[[Figure], bool], size: tuple[float, float]) -> None:
        """Draw a figure and show it; one of an earlier page goes if there is nothing to draw."""
        path = self.images / f"{name}.svg"
        with mpl.rc_context({"svg.hashsalt": "earthreason", "font.size": 8}):  # the same bytes every time
            drawn = Figure(figsize=size, layout="constrained")
            if not draw(drawn):
                path.unlink(missing_ok=True)
                return
            self.images.mkdir(parents=True, exist_ok=True)
            drawn.savefig(path, metadata={"Date": None})
        self.say(f"![{title}]({self.link}/{name}.svg)")

    def section(self, title: str, *names: str) -> bool:
        """Begin a section about steps; whether they have anything to tell. What is missing is said."""
        self.say(f"## {title}")
        any_rows = bool(self.rows(*names))
        for name in names:
            step = self.steps.get(name, Step(name))
            if step.status == "ok" and step.rows:
                continue
            if name not in self.steps:
                why = "it was not among the steps chosen"
            else:
                told = {"ok": "it measured nothing", "running": "the run ended before it did"}
                why = step.reason or told.get(step.status, step.status)
            what = "Not run" if not step.rows else "Failed" if step.status == "failed" else "Cut short"
            self.say(f"{f'`{name}`: ' if len(names) > 1 else ''}{what}: {_plain(why)}")
        return any_rows


def collect(folders: Sequence[Path], page: Path, images: Path, notes: Path | None = None) -> None:
    """Write the page and its figures.

    Args:
        folders: each with a results.json; a step of a later one replaces that of an earlier one if it was begun.
        page: Markdown file.
        images: folder of the figures.
        notes: Markdown that is put behind the goals: what the figures tell, in a person's words.

    Raises:
        KitError: a results.json cannot be read, the runs do not belong together, or the page cannot be written.
    """
    runs = [read_run(folder) for folder in folders]
    _check_together(runs, folders)
    written = Page(runs, images, relpath(images.absolute(), page.absolute().parent).replace("\\", "/"))
    for n, run in enumerate(runs, 1):
        for step in run.steps:
            if step.began or step.name not in written.steps:
                written.steps[step.name], written.origins[step.name] = step, n
    try:
        said = "" if notes is None else notes.read_text(encoding="utf-8").strip()
        for part in (_head, _steps, _goals):
            part(written)
        if said:
            written.say("## What the runs tell", said)
        for part in (_inference, _backends, _kernels, _end_to_end, _training, _learning, _scores, _tests):
            part(written)
        _again(written)
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text("\n".join(written.lines).rstrip() + "\n", encoding="utf-8")
    except OSError as error:
        raise KitError(f"{error.filename or page}: {error.strerror or error}; the page was not written") from None


def read_run(folder: Path) -> Run:
    """Read the results of a run.

    Raises:
        KitError: they are not there, were cut off, or are none of this kit.
    """
    path = folder / "results.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise KitError(f"{path}: {error.strerror or error}; name the folder that `run --out` filled") from None
    except ValueError as error:
        raise KitError(f"{path}: cut off or not JSON ({error}); fetch it again") from None
    if not isinstance(content, dict) or content.get("kit") != 1 or not isinstance(content.get("steps"), list):
        raise KitError(f"{path}: not the results of this kit; name the folder that `run --out` filled")
    steps = []
    for entry in content["steps"]:
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise KitError(f"{path}: a step without a name; fetch it again")
        rows, stderr = entry.get("rows") or [], entry.get("stderr") or []
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows) or not isinstance(stderr, list):
            raise KitError(f"{path}: the rows of {entry['name']} are not readable; fetch it again")
        steps.append(Step(
            entry["name"], str(entry.get("title") or entry["name"]), str(entry.get("status") or "waiting"),
            _value(entry, "seconds"), _value(entry, "limit_s"), str(entry.get("reason") or ""),
            tuple(map(str, stderr)), tuple(rows),
        ))  # fmt: skip
    return Run({key: value for key, value in content.items() if key != "steps"}, tuple(steps))


def _check_together(runs: list[Run], folders: Sequence[Path]) -> None:
    """Figures of two cards, or of a rehearsal and a real run, are not to be held against each other."""
    for run, folder in zip(runs[1:], folders[1:], strict=True):
        if bool(run.facts.get("rehearsal")) != bool(runs[0].facts.get("rehearsal")):
            raise KitError(f"{folder}: a rehearsal and a real run make no page together; collect them apart")
    cards = {run.card: folder for run, folder in zip(runs, folders, strict=True) if run.card}
    if len(cards) > 1:
        named = ", ".join(f"{folder} has {card}" for card, folder in cards.items())
        raise KitError(f"{named}; collect one card at a time")


# Goals


@dataclass(frozen=True)
class Goal:
    """A goal and what came out.

    Attributes:
        what: is asked.
        asked: the figure, as told.
        measured: the figure, as told; a dash if there is none.
        of: what was measured; a dash if nothing was.
        met: None if it was not run.
    """

    what: str
    asked: str
    measured: str = NONE
    of: str = NONE
    met: bool | None = None

    @property
    def verdict(self) -> str:
        """One or two words."""
        return "not run" if self.met is None else "met" if self.met else "missed"


def judge_goals(inference: list[Row], end_to_end: list[Row], training: list[Row], scores: list[Row]) -> list[Goal]:
    """Hold the goals against rows of the steps."""
    return [
        *_inference_goals(inference),
        _end_to_end_goal(end_to_end),
        _training_goal(training),
        *_tiny_goals(scores),
    ]


def _inference_goals(rows: list[Row]) -> list[Goal]:
    """Our fastest in any dtype against the reference in float32; in bfloat16 against bfloat16, and its memory."""
    goals = []
    for what, asked, dtype, ours in (
        ("inference against the reference way in float32", 6.0, "float32", DTYPES),
        ("inference against the reference way in bfloat16", 2.5, "bfloat16", ("bfloat16",)),
    ):
        pair = _rivals(rows, dtype, ours)
        ratio = _ratio(pair[0], pair[1], "images_per_s") if pair else None
        goals.append(_at_least(f"{what}, times", asked, ratio, _case(pair[0]) if pair else "", 3))
    pair = _rivals(rows, "bfloat16", ("bfloat16",))
    share = _ratio(pair[0], pair[1], "peak_mib") if pair else None
    what = "peak memory of inference in bfloat16, share of the reference way's"
    if pair is None or share is None:
        return [*goals, Goal(what, "at most 0.5")]
    return [*goals, Goal(what, "at most 0.5", f"{share:.3f}", _case(pair[0]), share <= 0.5)]


def _rivals(rows: list[Row], dtype: str, ours: Sequence[str]) -> tuple[Row, Row] | None:
    """Our fastest and the reference in a dtype, at `GOAL_BATCH` or the largest batch that both did."""
    done = [row for row in rows if _value(row, "images_per_s") and _value(row, "batch") and "way" in row]
    references = {row["batch"]: row for row in done if row["way"] == "reference" and row.get("dtype") == dtype}
    mine = [row for row in done if row["way"] != "reference" and row.get("dtype") in ours]
    both = [row for row in mine if row["batch"] in references]
    if not both:
        return None
    batches = {row["batch"] for row in both}
    batch = GOAL_BATCH if GOAL_BATCH in batches else max(batches)
    fastest = max((row for row in both if row["batch"] == batch), key=lambda row: row["images_per_s"])
    return fastest, references[batch]


def _end_to_end_goal(rows: list[Row]) -> Goal:
    timed = [row for row in rows if _value(row, "images_per_s") is not None]
    best = max(timed, key=lambda row: row["images_per_s"], default=None)
    what = "from files to masks, images a second"
    if best is None:
        return _at_least(what, 40, None, "", 1)
    side = f" of {_number(best['side'])} px" if _value(best, "side") else ""
    return _at_least(what, 40, best["images_per_s"], f"{_number(best.get('images'))} images{side}", 1)


def _training_goal(rows: list[Row]) -> Goal:
    """The largest batch that both ways did, without checkpointing where there is a choice."""
    best: tuple[tuple[bool, float], float, Row] | None = None
    for row in rows:
        other = _same(rows, row, "dtype", "batch", "checkpointing")
        ratio = _ratio(row, other, "samples_per_s") if other and row.get("way") != "reference" else None
        if ratio is not None:
            rank = (not row.get("checkpointing"), _value(row, "batch") or 0.0)
            if best is None or (rank, ratio) > best[:2]:
                best = (rank, ratio, row)
    what = "a training step against the reference way, times"
    return _at_least(what, 2, best[1] if best else None, _case(best[2]) if best else "", 3)


def _tiny_goals(rows: list[Row]) -> list[Goal]:
    chosen = [row for row in rows if _value(row, "gIoU") is not None and row.get("rule") != "fixed"]
    goals = [
        _at_least(f"`tiny`, gIoU on {_set(row)}", 0.55, row["gIoU"], f"{_number(row.get('count'))} scenes", 3)
        for row in chosen
    ] or [_at_least("`tiny`, gIoU", 0.55, None, "", 2)]
    found = max(_presence(rows), key=lambda entry: entry[1], default=None)
    what = "`tiny`, N-acc at T-acc 0.9 on about 300 empties"
    if found is None:
        return [*goals, _at_least(what, 0.8, None, "", 2)]
    name, empties, value = found
    goal = _at_least(what, 0.8, value, f"{name}, {empties:,.0f} empties", 3)
    if empties < LEAST_EMPTIES:
        goal = replace(goal, of=f"{goal.of}: too few to tell", met=None)
    return [*goals, goal]


def _presence(rows: list[Row]) -> Iterator[tuple[str, float, float]]:
    """Name, empties and best N-acc at T-acc 0.9 of each set, told outright or read off its curve."""
    empties = {_set(row): value for row in rows if (value := _value(row, "empties")) is not None}
    told = {_set(row): value for row in rows if (value := _value(row, "n_acc_at_t_acc_90")) is not None}
    for row in rows:
        if _set(row) not in told and (points := _points(row)):
            told[_set(row)] = max((n for n, t in points if t >= FLOOR), default=0.0)
    for name, value in told.items():
        yield name, empties.get(name, 0.0), value


def _at_least(what: str, asked: float, found: float | None, of: str, digits: int) -> Goal:
    if found is None or not math.isfinite(found):
        return Goal(what, f"at least {asked:g}")
    return Goal(what, f"at least {asked:g}", f"{found:.{digits}f}", of or NONE, found >= asked)


def _case(row: Row) -> str:
    """What was measured, in words."""
    way = LABELS.get(row.get("way", ""), str(row.get("way")))
    words = [way, LABELS.get(row.get("dtype", ""), str(row.get("dtype"))), f"batch {row.get('batch')}"]
    return ", ".join([*words, "checkpointing"] if row.get("checkpointing") else words)


# Parts of the page


def _head(page: Page) -> None:
    page.say("# On a GPU")
    if page.rehearsal:
        page.say(f"**{REHEARSAL}.**")
    which = "run" if len(page.runs) == 1 else "runs"
    page.say(f"`python -m benchmarks.gpu collect` wrote this page from the results of the {which} below.")
    page.say("## What was run on what")
    versions = {"CUDA": "cuda", "PyTorch": "torch", "Triton": "triton", "Transformers": "transformers",
                "Accelerate": "accelerate", "NumPy": "numpy", "Python": "python"}  # fmt: skip
    known: tuple[tuple[str, Callable[[Run], object]], ...] = (
        ("started", lambda run: str(run.facts.get("started") or "").replace("T", " ").replace("+00:00", " UTC")),
        ("command", lambda run: _code(run.facts.get("command"))),
        ("commit", lambda run: _code(run.facts.get("commit"))),
        ("packed from", lambda run: _code(run.facts.get("packed_from"))),
        ("took", lambda run: _with_unit(run.facts, "seconds", "s")),
        ("card", lambda run: run.card or ("none: CPU" if run.facts.get("device") == "cpu" else None)),
        ("memory of the card", lambda run: _with_unit(run.environment, "gpu_memory_gib", "GiB")),
        ("driver", lambda run: run.environment.get("driver")),
        ("CPU cores", lambda run: run.environment.get("cpus")),
        ("memory", lambda run: _with_unit(run.environment, "memory_gib", "GiB")),
    )
    heads = ["run"] if len(page.runs) == 1 else [f"run {n + 1}" for n in range(len(page.runs))]
    body = [[name, *(_plain(get(run)) for run in page.runs)] for name, get in known]
    body += [[name, *(_plain(run.environment.get(key)) for run in page.runs)] for name, key in versions.items()]
    page.table(["", *heads], body, left=len(heads) + 1)
    if any(run.facts.get("finished") is False for run in page.runs):
        page.say("A run did not finish; what it knew until then is here.")
    ceilings = [row for row in page.rows("environment") if "ceiling" in row]
    if ceilings:
        page.say("What the machine does at best, measured by the step `environment`:")
        body = [
            [
                _plain(_ceiling(row)),
                _number(row.get("tflops"), 1 if (_value(row, "tflops") or 0) > 1 else 3),
                _number(row.get("gb_per_s")),
            ]
            for row in ceilings
        ]
        page.table(["ceiling", "TFLOP/s", "GB/s"], body)


def _ceiling(row: Row) -> str:
    dtype = row.get("dtype")
    return f"{row['ceiling']}, {LABELS.get(dtype, dtype)}" if isinstance(dtype, str) else str(row["ceiling"])


def _steps(page: Page) -> None:
    page.say("## Steps")
    several = len(page.runs) > 1
    body = [
        [f"`{step.name}`", _plain(step.title), step.status, _plain(step.reason) if step.reason else "",
         _number(step.seconds, 1), _number(step.limit), *([str(page.origins[step.name])] if several else [])]
        for step in page.steps.values()
    ]  # fmt: skip
    head = ["step", "what", "status", "why", "seconds", "limit", *(["run"] if several else [])]
    page.table(head, body, left=4)
    for step in page.steps.values():
        lines = [html.escape(_ANSI.sub("", line).rstrip()) for line in step.stderr if line.strip()]
        if lines and step.status != "ok":
            summary = f"<summary>What <code>{html.escape(step.name)}</code> said last</summary>"
            page.say("\n".join(["<details>", summary, "<pre>", *lines, "</pre>", "</details>"]))


def _goals(page: Page) -> None:
    page.say("## Goals")
    goals = judge_goals(
        page.rows("inference", "compiled"), page.rows("end_to_end"), page.rows("training_step"), page.rows("scores")
    )
    if page.rehearsal:
        goals = [Goal(goal.what, goal.asked) for goal in goals]
        page.say("A rehearsal is held against no goal.")
    else:
        cards = {run.card for run in page.runs if run.card}
        on = f" The card here: {', '.join(sorted(cards))}." if cards else ""
        page.say(
            f"They were set for an H100.{on} Inference is compared at batch {GOAL_BATCH}, or at the largest batch that "
            "both ways did; of our ways, the fastest counts, with the memory it takes. Against float32 it may run in "
            "any precision; the table of inference has all pairs. Scores are those at the threshold that validation "
            "chose."
        )
    page.table(
        ["goal", "measured with", "verdict", "asked", "measured"],
        [[_plain(goal.what), _plain(goal.of), goal.verdict, goal.asked, goal.measured] for goal in goals],
        left=3,
    )


def _inference(page: Page) -> None:
    page.section("Inference at full size", "inference", "compiled")
    rows = sorted((row for row in page.rows("inference", "compiled") if "way" in row), key=_order)
    page.figure(
        "inference", "Images a second by way and batch", lambda figure: draw_inference(figure, rows), (7.2, 2.8)
    )
    if not rows:
        return
    page.say(
        "The same random weights in each way, so the mean logits of a precision have to agree. The reference way runs "
        "the vision tower twice, reads the reply's tokens, and computes the softmax of the attention explicitly."
    )
    page.table(
        ["way", "precision", "batch", "ms", "images/s", "× reference, float32", "× reference, same precision",
         "peak, MiB", "of the reference's", "GFLOP an image", "TFLOP/s", "of the ceiling", "mean logit"],
        [[_label(row, "way"), _label(row, "dtype"), _number(row.get("batch")), _error_or(row, "ms", 1),
          _number(row.get("images_per_s"), 1),
          _number(_ratio(row, _same(rows, {**row, "dtype": "float32"}, "dtype", "batch"), "images_per_s"), 2),
          _number(_ratio(row, _same(rows, row, "dtype", "batch"), "images_per_s"), 2),
          _number(row.get("peak_mib")), _percent(_ratio(row, _same(rows, row, "dtype", "batch"), "peak_mib")),
          _number(row.get("gflop_per_image")), _number(row.get("tflops"), 1), _percent(row.get("share_of_ceiling")),
          _number(row.get("mean_logit"), 4)] for row in rows],
        left=2,
    )  # fmt: skip
    for row in rows:
        if _value(row, "compile_s") is not None:
            alike = _value(row, "cosine")
            page.say(
                f"Compiling in {_plain(row.get('dtype'))} at batch {_number(row.get('batch'))} took "
                f"{_number(row['compile_s'], 1)} s, once"
                + (f"; its logits have a cosine of {alike:.5f} with ours uncompiled." if alike is not None else ".")
            )


def _backends(page: Page) -> None:
    rows = [row for row in page.rows("inference") if "backend" in row]
    if rows:
        page.say("The kernel that PyTorch chooses for each attention of our way, in a batch of two:")
        page.table(
            ("queries to keys", "mask", "precision", "kernel", "calls"),
            [
                (
                    _code(row.get("attention")),
                    _code(row.get("mask")),
                    _label(row, "dtype"),
                    _code(row["backend"]),
                    _number(row.get("calls")),
                )
                for row in rows
            ],
            left=4,
        )


def _kernels(page: Page) -> None:
    rows = [row for row in page.rows("inference", "compiled") if "kernel" in row]
    for of in dict.fromkeys(row.get("of") for row in rows):
        costliest = sorted((row for row in rows if row.get("of") == of), key=lambda row: -(_value(row, "ms") or 0.0))
        page.say(f"### The ten costliest kernels{f': {_plain(of)}' if of else ''}")
        page.table(
            ["kernel", "ms", "calls", "share"],
            [[_code(row["kernel"], 70), _number(row.get("ms"), 2), _number(row.get("calls")),
              _percent(row.get("share"), 1)] for row in costliest[:10]],
        )  # fmt: skip


def _end_to_end(page: Page) -> None:
    if page.section("From files to masks", "end_to_end"):
        page.say("Decoding, letterboxing, the model with random weights, and masks written at the size of the image.")
        page.table(
            ["precision", "compiled", "batch", "images", "side, px", "seconds", "images/s", "model alone, images/s"],
            [[_label(row, "dtype"), _yes(row.get("compiled")), _number(row.get("batch")), _number(row.get("images")),
              _number(row.get("side")), _number(row.get("seconds"), 1), _number(row.get("images_per_s"), 1),
              _number(row.get("model_images_per_s"), 1)] for row in page.rows("end_to_end") if "images" in row],
            left=2,
        )  # fmt: skip


def _training(page: Page) -> None:
    if not page.section("A training step at full size", "training_step"):
        return
    rows = sorted((row for row in page.rows("training_step") if "way" in row), key=_order)
    keys = ("dtype", "batch", "checkpointing")
    page.say("`State` is what stays between steps: weights, gradients, moments. Ratios are against the reference way.")
    page.table(
        ["way", "precision", "checkpointing", "batch", "ms", "samples/s", "× reference", "peak, MiB", "state, MiB",
         "activations, MiB", "peak, of the reference's", "loss"],
        [[_label(row, "way"), _label(row, "dtype"), _yes(row.get("checkpointing")), _number(row.get("batch")),
          _error_or(row, "ms", 1), _number(row.get("samples_per_s"), 2),
          _number(_ratio(row, _same(rows, row, *keys), "samples_per_s"), 2), _number(row.get("peak_mib")),
          _number(row.get("state_mib")), _number(row.get("activations_mib")),
          _percent(_ratio(row, _same(rows, row, *keys), "peak_mib")), _number(row.get("loss"), 3)] for row in rows],
        left=3,
    )  # fmt: skip


def _learning(page: Page) -> None:
    scenes = [row for row in page.rows(*(step.name for step in PLAN if step.module == "synth")) if "set" in row]
    page.section("`tiny`, trained by the clock", "train_tiny")
    for row in page.rows("train_tiny"):
        if _value(row, "steps") is not None:
            page.say(
                f"{_number(row['steps'])} steps of {_number(row.get('batch'))} samples in "
                f"{_plain(row.get('precision'))}, {_number(row.get('samples'))} samples in all, took "
                f"{_number(row.get('seconds'))} s: {_number(row.get('samples_per_s'))} samples a second, "
                f"{_percent(row.get('wait_share'), 1)} of the time waiting for data. "
                f"The model has {_number(row.get('parameters'))} parameters."
            )
        if row.get("checkpoint"):
            page.say(f"It came back as {_code(row['checkpoint'])}, {_with_unit(row, 'mib', 'MiB')} in bfloat16.")
    points = [row for row in page.rows("train_tiny") if _value(row, "minute") is not None]
    if points:
        names = ("gIoU", "N-acc", "T-acc")
        page.table(
            ["minute", "step", "loss", *(f"{name}, %" for name in names), "threshold"],
            [[_number(row["minute"], 1), _number(row.get("step")), _number(row.get("loss"), 3),
              *(_hundred(row.get(name)) for name in names), _number(row.get("threshold"), 3)] for row in points],
            left=0,
        )  # fmt: skip
    title = "gIoU, N-acc and T-acc on validation scenes, by minute"
    page.figure("learning", title, lambda figure: draw_learning(figure, points), (5.0, 2.8))
    if scenes:
        page.say("The scenes were drawn on the CPU, beside the steps that use the GPU:")
        page.table(
            ["scenes", "count", "seconds", "a second"],
            [[_plain(str(row["set"]).replace("_", " ")), _number(row.get("scenes")), _number(row.get("seconds"), 1),
              _number(row.get("per_second"))] for row in scenes],
        )  # fmt: skip


def _scores(page: Page) -> None:
    page.section("What `tiny` has learned", "scores")
    rows = page.rows("scores")
    scored = [row for row in rows if "gIoU" in row]
    if scored:
        page.table(
            ["scenes", "threshold is", "count", "empties", "threshold", "gIoU, %", "95 %", "cIoU, %", "N-acc, %",
             "T-acc, %"],
            [[_plain(_set(row)), _plain(row.get("rule")), _number(row.get("count")), _number(row.get("empties")),
              _number(row.get("threshold"), 3), _hundred(row.get("gIoU")), _interval(row),
              *(_hundred(row.get(name)) for name in ("cIoU", "N-acc", "T-acc"))] for row in scored],
            left=2,
        )  # fmt: skip
    best = list(_presence(rows))
    if best:
        page.say("The most empty targets recognized where at least 90 % of the others are still answered:")
        page.table(
            ["scenes", "empties", "N-acc at T-acc 0.9, %"],
            [[_plain(name), _number(empties or None), _hundred(value)] for name, empties, value in best],
        )
    page.figure("presence", "N-acc against T-acc, by threshold", lambda figure: draw_presence(figure, rows), (3.8, 3.2))


def _tests(page: Page) -> None:
    if page.section("Tests on the GPU", "gpu_tests"):
        rows = [row for row in page.rows("gpu_tests") if "test" in row]
        counts = [
            f"{sum(row.get('outcome') == word for row in rows)} {word}" for word in ("passed", "failed", "skipped")
        ]
        page.say(f"{', '.join(counts)}.")
        page.table(
            ["test", "outcome", "message", "seconds"],
            [[_code(row["test"], 120), _plain(row.get("outcome")), _plain(row["message"]) if row.get("message") else "",
              _number(row.get("seconds"), 1)] for row in rows],
            left=3,
        )  # fmt: skip


def _again(page: Page) -> None:
    page.say(
        "## How to run it again",
        "Here, with a network: fetch what the other machine lacks, then copy the checkout with "
        "`benchmarks/gpu/packed` there.",
        "```sh\npython -m benchmarks.gpu pack\n```",
        "There, without a network; `--rehearse` does every step at toy size on a CPU:",
        "```sh\npython -m benchmarks.gpu run --out results --minutes 9\n```",
        "Here, with the folder that came back:",
        "```sh\npython -m benchmarks.gpu collect results\n```",
    )


# Figures


def draw_inference(figure: Figure, rows: list[Row]) -> bool:
    """Bars of images a second: a panel a precision, a group a batch; whether there was anything to draw."""
    rates = {
        (row["dtype"], row["batch"], row["way"]): row["images_per_s"]
        for row in rows if _value(row, "images_per_s") and _value(row, "batch") and row.get("dtype") in DTYPES
    }  # fmt: skip
    dtypes = [dtype for dtype in DTYPES if any(key[0] == dtype for key in rates)]
    if not dtypes:
        return False
    ways = [way for way in WAYS if any(key[2] == way for key in rates)]
    widths = [max(2, len({key[1:] for key in rates if key[0] == dtype})) + 1 for dtype in dtypes]
    panels = figure.subplots(1, len(dtypes), sharey=True, squeeze=False, width_ratios=widths)[0]
    top = max(rates.values())
    for axis, dtype in zip(panels, dtypes, strict=True):
        ticks, at = [], 0.0
        for batch in sorted({key[1] for key in rates if key[0] == dtype}):
            begin = at
            for way in ways:
                if (rate := rates.get((dtype, batch, way))) is not None:
                    axis.bar(at, rate, 0.9, color=COLOURS[way])
                    label = f"{rate:.0f}" if rate >= 10 else f"{rate:.1f}"
                    axis.text(at, rate + top / 80, label, ha="center", va="bottom", fontsize=6)
                    at += 1
            ticks.append(((begin + at - 1) / 2, f"{batch:g}"))
            at += 0.8
        axis.set_xticks([x for x, _ in ticks], [label for _, label in ticks])
        axis.tick_params(axis="x", length=0)
        axis.set_xlabel(f"batch, {LABELS.get(dtype, dtype)}")
        _bare(axis, "y")
    panels[0].set_ylabel("images a second")
    panels[0].set_ylim(0, top * 1.08)
    bars = [Patch(color=COLOURS[way], label=LABELS[way]) for way in ways]
    figure.legend(handles=bars, loc="outside upper center", ncols=len(ways), frameon=False)
    return True


def draw_learning(figure: Figure, rows: list[Row]) -> bool:
    """Scores on validation scenes by minute; whether there was anything to draw."""
    axis = figure.subplots()
    for name, colour in (("gIoU", "#0072b2"), ("N-acc", "#009e73"), ("T-acc", "#d55e00")):
        points = [(row["minute"], 100 * value) for row in rows if (value := _value(row, name)) is not None]
        if len(points) > 1:  # one is in the table already
            axis.plot(*zip(*points, strict=True), color=colour, marker="o", markersize=3, label=name)
    if not axis.lines:
        return False
    axis.set_xlabel("minute")
    axis.set_ylabel("validation scenes, %")
    axis.set_xlim(left=0)
    axis.set_ylim(0, 103)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(frameon=False, loc="outside right upper")
    _bare(axis)
    return True


def draw_presence(figure: Figure, rows: list[Row]) -> bool:
    """N-acc against T-acc over all thresholds, a line a set; whether there was anything to draw."""
    curves = [(_set(row), points) for row in rows if (points := _points(row))]
    if not curves:
        return False
    axis = figure.subplots()
    axis.axhline(100 * FLOOR, color="#999999", linewidth=0.8, linestyle=":")
    for (name, points), colour in zip(curves, ("#0072b2", "#009e73", "#d55e00", "#222222"), strict=False):
        xs, ys = zip(*sorted(points, key=lambda point: (point[0], -point[1])), strict=True)
        axis.plot([100 * x for x in xs], [100 * y for y in ys], color=colour, label=name)
    axis.set_xlabel("N-acc: empty targets recognized, %")
    axis.set_ylabel("T-acc: other targets answered, %")
    axis.set_xlim(0, 101)
    axis.set_ylim(0, 101)
    axis.legend(frameon=False, loc="lower left", fontsize=7)
    _bare(axis)
    return True


def _bare(axis: Axes, grid: str = "both") -> None:
    axis.grid(alpha=0.25, axis=grid)  # type: ignore[arg-type]
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)


# Values and cells


def _value(row: Row, key: str) -> float | None:
    """A finite number of a row, or None."""
    value = row.get(key)
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value if good else None


def _ratio(row: Row, other: Row | None, key: str) -> float | None:
    """How often a value of another row goes into one; None if either is missing."""
    mine, theirs = _value(row, key), _value(other or {}, key)
    return mine / theirs if mine is not None and theirs else None


def _same(rows: list[Row], row: Row, *keys: str) -> Row | None:
    """The reference row with the same values of some keys."""
    alike = (r for r in rows if r.get("way") == "reference" and all(r.get(key) == row.get(key) for key in keys))
    return next(alike, None)


def _order(row: Row) -> tuple[int, bool, float, int]:
    """By precision, checkpointing, batch and way."""
    dtype, way = row.get("dtype"), row.get("way")
    return (
        DTYPES.index(dtype) if dtype in DTYPES else len(DTYPES),
        bool(row.get("checkpointing")),
        _value(row, "batch") or 0.0,
        WAYS.index(way) if way in WAYS else len(WAYS),
    )


def _points(row: Row) -> list[tuple[float, float]]:
    """N-acc and T-acc of a curve."""
    pairs = row.get("roc")
    if not isinstance(pairs, list):
        return []
    known = [pair for pair in pairs if isinstance(pair, list) and len(pair) == 2]
    return [(n, t) for n, t in known if isinstance(n, int | float) and isinstance(t, int | float)]


def _set(row: Row) -> str:
    return str(row.get("set") or "scenes without a name")


def _number(value: object, digits: int = 0) -> str:
    found = _value({"": value}, "")
    return NONE if found is None else f"{found:,.{digits}f}"


def _percent(value: object, digits: int = 0) -> str:
    found = _value({"": value}, "")
    return NONE if found is None else f"{100 * found:.{digits}f} %"


def _hundred(value: object) -> str:
    """A share in percent, where the column says so."""
    found = _value({"": value}, "")
    return NONE if found is None else f"{100 * found:.1f}"


def _interval(row: Row) -> str:
    low, high = _value(row, "low"), _value(row, "high")
    return NONE if low is None or high is None else f"{100 * low:.1f} to {100 * high:.1f}"


def _with_unit(row: Row, key: str, unit: str) -> str:
    value = _value(row, key)
    return NONE if value is None else f"{value:,g} {unit}"


def _error_or(row: Row, key: str, digits: int) -> str:
    return _plain(row["error"]) if row.get("error") else _number(row.get(key), digits)


def _label(row: Row, key: str) -> str:
    value = row.get(key)
    return LABELS.get(value, _plain(value)) if isinstance(value, str) else NONE


def _yes(value: object) -> str:
    return {True: "yes", False: "no"}.get(value, NONE) if isinstance(value, bool) else NONE


def _plain(value: object) -> str:
    """Words of a cell or a sentence: one line, without anything that Markdown would take for its own."""
    text = " ".join(_ANSI.sub("", str(value)).split()) if value not in (None, "") else NONE
    if text.startswith("`") or "`" in text:
        return text.replace("|", "\\|")
    return re.sub(r"([|<>*_\[\]])", r"\\\1", text)


def _code(value: object, longest: int = 200) -> str:
    """Words as code, shortened."""
    if value in (None, ""):
        return ""
    text = " ".join(str(value).replace("`", "'").split())
    return f"`{text if len(text) <= longest else text[: longest - 1] + '…'}`".replace("|", "\\|")
