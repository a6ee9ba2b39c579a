"""What the kit does, in order of value: a step is one entry here and one module in `steps`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One process of the kit.

    Attributes:
        name: of its module in `benchmarks.gpu.steps`, unless `module` says another.
        title: what it tells, for the page.
        seconds: its limit; it is killed there.
        least: seconds below which it is not worth starting.
        rehearsal: its limit on a CPU at toy size.
        makes: folder that it makes in the background, beside the others, one such step after the other.
        needs: folder that one in the background makes.
        quiet: its time is that of the cores, too, so it waits until nothing runs in the background.
        gpu: it is left out where no GPU was found.
        module: in `benchmarks.gpu.steps`.
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


PLAN = (
    Step("large_scenes", "Draw scenes of 1,200 px", 60, 10, 60, makes="scenes/large", gpu=False, module="synth"),
    Step("evaluation_scenes", "Draw scenes to be judged by", 60, 10, 60, makes="scenes/evaluation", gpu=False,
         module="synth"),
    Step("training_scenes", "Draw scenes to train on", 240, 20, 60, makes="scenes/training", gpu=False, module="synth"),
    Step("environment", "Card, versions and measured ceilings", 40, 10, 40, gpu=False),
    Step("gpu_tests", "Tests that need a GPU", 110, 40, 120),
    Step("inference", "Inference at full size", 80, 45, 60),
    Step("training_step", "A training step at full size", 75, 45, 60),
    Step("end_to_end", "Prediction from files to masks", 60, 40, 60, needs="scenes/large", quiet=True),
    Step("compiled", "Inference at full size, compiled", 90, 50, 60),
    Step("train_tiny", "SegEarth-R1 tiny, trained by the clock", 330, 120, 100, needs="scenes/training"),
    Step("scores", "What tiny has learned", 60, 40, 60, needs="scenes/evaluation"),
)  # fmt: skip


def step_names() -> list[str]:
    """All of them, in order."""
    return [step.name for step in PLAN]


def choose_steps(only: list[str]) -> list[Step]:
    """The steps of some names, with those that make what they need; all of them without names.

    Raises:
        KeyError: there is no step of a name.
    """
    known = {step.name: step for step in PLAN}
    needed = {known[name].needs for name in only}
    return [step for step in PLAN if not only or step.name in only or (step.makes and step.makes in needed)]
