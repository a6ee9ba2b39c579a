"""The steps of the kit, most valuable first. A step is one entry here and one module in `steps`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PlannedStep:
    """A step of the plan; it runs in a process of its own.

    Attributes:
        name: name of the step, and of its module in `benchmarks.gpu.steps` unless `module` names another.
        title: purpose of the step, shown on the page.
        seconds: time limit; the step is killed when it is over.
        least: seconds that must be left to start the step.
        rehearsal: time limit in a rehearsal on a CPU.
        makes: folder that the step makes. Such steps run in the background, one at a time, beside the others.
        needs: folder that another step makes first.
        quiet: whether the step waits until nothing runs in the background, because it times work on the CPU.
        gpu: whether the step is skipped if there is no GPU.
        module: name of the module in `benchmarks.gpu.steps`, if it is not that of the step.
    """

    name: str
    title: str
    seconds: float
    least: float
    rehearsal: float
    makes: str | None = None
    needs: str | None = None
    quiet: bool = False
    gpu: bool = True
    module: str | None = None


SCENES = "scenes"
"""Folder with all sets of scenes."""


def _drawing_step(purpose: str, title: str, seconds: float, least: float) -> PlannedStep:
    """Plan to draw a set of scenes in the background."""
    name, folder = f"{purpose}_scenes", f"{SCENES}/{purpose}"
    return PlannedStep(name, title, seconds, least, rehearsal=60, makes=folder, gpu=False, module="synth")


PLAN = (
    _drawing_step("large", "Draw scenes of 1,200 px", 60, 10),
    _drawing_step("evaluation", "Draw scenes for evaluation", 60, 10),
    _drawing_step("variant", "Draw scenes to compare variants of training", 60, 20),
    _drawing_step("training", "Draw scenes for training", 300, 20),
    PlannedStep("environment", "Record card and versions, and measure ceilings", 40, 10, 40, gpu=False),
    PlannedStep("gpu_tests", "Run the tests that need a GPU", 110, 40, 120),
    PlannedStep("inference", "Time inference at full size", 80, 45, 60),
    PlannedStep("training_step", "Time a training step at full size", 75, 45, 60),
    PlannedStep("end_to_end", "Predict from files to masks", 60, 40, 60, needs=f"{SCENES}/large", quiet=True),
    PlannedStep("compiled", "Time compiled inference at full size", 90, 50, 60),
    PlannedStep("variants", "Compare variants of training SegEarth-R1 tiny", 220, 60, 100, needs=f"{SCENES}/variant"),
    PlannedStep("train_tiny", "Train SegEarth-R1 tiny for a fixed time", 480, 120, 100, needs=f"{SCENES}/training"),
    PlannedStep("scores", "Score SegEarth-R1 tiny", 60, 40, 60, needs=f"{SCENES}/evaluation"),
)


def step_names() -> list[str]:
    """Return the names of all steps, in order."""
    return [step.name for step in PLAN]


def choose_steps(only: list[str]) -> list[PlannedStep]:
    """Return the named steps, and those that make what they need; all steps if none is named.

    Raises:
        KeyError: a step is unknown.
    """
    known = {step.name: step for step in PLAN}
    needed = {known[name].needs for name in only}
    return [step for step in PLAN if not only or step.name in only or (step.makes and step.makes in needed)]
