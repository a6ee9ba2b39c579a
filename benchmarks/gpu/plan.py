"""What the kit does, in order of value: a step is one entry here and one module in `steps`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One process of the kit.

    Attributes:
        name: of its module in `benchmarks.gpu.steps`.
        title: what it tells, for the page.
        seconds: its limit; it is killed there.
        least: seconds below which it is not worth starting.
        rehearsal: its limit on a CPU at toy size.
        background: it is started first and runs beside the others.
        needs: folder that a step in the background makes.
        gpu: it is left out where no GPU was found.
    """

    name: str
    title: str
    seconds: float
    least: float
    rehearsal: float
    background: bool = False
    needs: str | None = None
    gpu: bool = True


PLAN = (
    Step("synth", "Scenes, drawn in the background", 300, 30, 90, background=True, gpu=False),
    Step("environment", "Card, versions and measured ceilings", 40, 10, 40, gpu=False),
    Step("gpu_tests", "Tests that need a GPU", 90, 25, 100),
    Step("inference", "Inference at full size", 70, 30, 40),
    Step("end_to_end", "Prediction from files to masks", 45, 20, 40, needs="scenes/large"),
    Step("training_step", "A training step at full size", 55, 25, 40),
    Step("compiled", "Inference at full size, compiled", 75, 45, 60),
    Step("train_tiny", "SegEarth-R1 tiny, trained by the clock", 330, 60, 100, needs="scenes/training"),
    Step("scores", "What tiny has learned", 60, 35, 60, needs="scenes/evaluation"),
)


def step_names() -> list[str]:
    """All of them, in order."""
    return [step.name for step in PLAN]
