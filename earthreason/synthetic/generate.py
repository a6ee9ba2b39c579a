"""Generate samples from seeds. The number of workers affects neither the samples nor their order."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.processes import process_pool, run_in_order
from earthreason.synthetic.categories import CATEGORIES, FEATURES, HELD_OUT_CATEGORIES
from earthreason.synthetic.questions import (
    WORDINGS,
    Target,
    choose_target,
    draw_landmark,
    draw_wordings,
    landmark_mask,
    write_answers,
    write_questions,
)
from earthreason.synthetic.render import Draft, draft_scenes
from earthreason.synthetic.scene import RenderedScene
from earthreason.synthetic.sizes import draw_size
from earthreason.types import Sample

SPLITS = ("train", "val", "test")
EMPTY_SHARE = 0.12
"""Default share of scenes with an empty target."""
_TRIES = 10
"""Scenes drawn until the wanted kind of question fits one; after that, whichever fits the last is asked."""
_LANDMARK_TRIES = 24
"""Scenes drawn for an empty target until one shows the landmark that the questions refer to."""


@dataclass(frozen=True)
class Composition:
    """A scene with its questions, and every object in it.

    Attributes:
        scene: image and objects.
        target: what the questions ask for.
        questions: six questions.
        answers: three answers; none if the target is empty.
        facts: other values of the sample by name: `sample_id`, `category`, `ground_resolution`, `source`,
            `reasoning_type` and `unseen`.
    """

    scene: RenderedScene
    target: Target
    questions: list[str]
    answers: list[str]
    facts: dict[str, Any]

    @property
    def category(self) -> str:
        """Category that the questions ask about, whether or not the scene has it."""
        return str(self.facts["category"])

    def sample(self) -> Sample:
        """Return the sample, which has no objects besides the target."""
        return Sample(
            image=Image.fromarray(self.scene.image),
            mask=self.target.mask,
            questions=self.questions,
            answers=self.answers,
            **self.facts,
        )


def compose_scene(
    seed: int,
    split: str,
    index: int,
    size: tuple[int, int] | None = (256, 256),
    empty_share: float = EMPTY_SHARE,
    wording: str | None = None,
    categories: Collection[str] | None = None,
    reasoning_type: str | None = None,
) -> Composition:
    """Draw a scene and write its questions; the same arguments always give the same result.

    An empty target has the questions of a scene that was drafted with the category and set aside. The words of a
    question are thus as likely with an empty target as with any other.

    Args:
        seed: seed of the dataset.
        split: `train`, `val` or `test`. Some categories never appear in `train`.
        index: index within the split, from 0.
        size: height and width in pixels; None draws one by `draw_size`.
        empty_share: share of scenes with an empty target.
        wording: split whose wording the questions and answers have; None for that of `split`. It does not affect the
            scene.
        categories: categories to ask about, in turn; None for all those of the split.
        reasoning_type: type of the questions, if category and scene allow it; None draws one.

    Raises:
        UnknownNameError: the split, the wording or a category does not exist.
        EarthReasonError: `empty_share` is not between 0 and 1, or `categories` is empty.
    """
    words = split if wording is None else wording
    for kind, name in (("split", split), ("wording", words)):
        if name not in SPLITS:
            raise UnknownNameError(kind, name, SPLITS)
    if not 0 <= empty_share <= 1:
        raise EarthReasonError(f"empty_share is {empty_share}, but must be between 0 and 1")
    held_out = HELD_OUT_CATEGORIES if split == "train" else frozenset()
    asked = _in_order(categories) if categories is not None else [name for name in CATEGORIES if name not in held_out]
    exclude = held_out - set(asked)
    stream = [seed, SPLITS.index(split)]
    # Take the categories in turn from a random start, so that any run of consecutive samples is balanced.
    start = int(np.random.default_rng(stream).integers(len(asked)))
    category = asked[(start + index) % len(asked)]
    rng = np.random.default_rng([*stream, index])
    empty = bool(rng.random() < empty_share)
    shape = draw_size(rng) if size is None else size
    draw = _draw_without if empty else _draw_with
    scene, target = draw(rng, category, shape, exclude, reasoning_type)
    facts: dict[str, Any] = {
        "sample_id": f"synthetic_s{seed}_{split}_{index:06d}",
        "category": category,
        "ground_resolution": scene.gsd,
        "source": "synthetic",
        "reasoning_type": target.reasoning_type,
        "unseen": _unseen(words, category),
    }
    rng = np.random.default_rng([*stream, index, 1])
    questions, answers = (write(rng, target, category, words) for write in (write_questions, write_answers))
    return Composition(scene, target, questions, answers, facts)


def _in_order(categories: Collection[str]) -> list[str]:
    for name in categories:
        if name not in CATEGORIES:
            raise UnknownNameError("category", name, CATEGORIES)
    if not categories:
        raise EarthReasonError("there is no category to ask about; name at least one")
    return sorted(set(categories))


def _unseen(words: str, category: str) -> str:
    """Name what the training data lacks of questions with the wording of a split, about a category."""
    lacking = {"wording": words != "train", "category": category in HELD_OUT_CATEGORIES}
    return " and ".join(name for name, absent in lacking.items() if absent) or "nothing"


def _drafts_to_ask(
    rng: np.random.Generator,
    category: str,
    size: tuple[int, int],
    exclude: Collection[str],
    reasoning_type: str | None,
) -> Iterator[tuple[Draft, Target]]:
    """Yield drafts with the category that a kind of question fits, and their targets.

    The kind that was drawn first decides what is drafted. If it does not fit, another about one of several objects is
    asked, as a new draft would take much longer.
    """
    wordings = sorted(draw_wordings(rng, category), key=lambda name: WORDINGS[name] != reasoning_type)
    first = wordings[0]
    instances, landmark = _needs(rng, category, first)
    if first == "function" or reasoning_type is not None:
        preferred = [name for name in wordings if WORDINGS[name] == WORDINGS[first]]
    else:
        preferred = [name for name in wordings if name != "function"]
    drafts = draft_scenes(rng, category, size=size, instances=instances, exclude=exclude, landmark=landmark)
    for attempt, draft in enumerate(drafts, start=1):
        # Every draft has the category, and one of all kinds always fits.
        target = choose_target(rng, draft, category, wordings if attempt >= _TRIES else preferred)
        if target is not None:
            yield draft, target


def _needs(rng: np.random.Generator, category: str, wording: str) -> tuple[int | None, str]:
    """Return the number of objects and the landmark that a kind of question needs."""
    several = wording != "function"
    instances = int(rng.integers(2, FEATURES[category].repeat + 1)) if several else None
    return instances, draw_landmark(rng, category, wording)


def _draw_with(
    rng: np.random.Generator,
    category: str,
    size: tuple[int, int],
    exclude: Collection[str],
    reasoning_type: str | None,
) -> tuple[RenderedScene, Target]:
    """Draw a scene with the category and choose its target."""
    drafts = _drafts_to_ask(rng, category, size, exclude, reasoning_type)
    return next((scene, target) for draft, target in drafts if (scene := draft.finish()) is not None)


def _draw_without(
    rng: np.random.Generator,
    category: str,
    size: tuple[int, int],
    exclude: Collection[str],
    reasoning_type: str | None,
) -> tuple[RenderedScene, Target]:
    """Draw the surroundings of a category, with the landmark that the questions of a scene with it refer to."""
    _, target = next(_drafts_to_ask(rng, category, size, exclude, reasoning_type))
    instances, _ = _needs(rng, category, target.wording)
    drafts = draft_scenes(
        rng, category, size=size, instances=instances, include=False, exclude=exclude, landmark=target.landmark
    )
    for attempt, draft in enumerate(drafts, start=1):
        shown = not target.landmark or landmark_mask(draft, target.landmark) is not None
        if (shown or attempt >= _LANDMARK_TRIES) and (scene := draft.finish()) is not None:
            return scene, target.without_objects()
    raise AssertionError("drafts do not end")


def generate_scene(
    seed: int,
    split: str,
    index: int,
    size: tuple[int, int] | None = (256, 256),
    empty_share: float = EMPTY_SHARE,
    wording: str | None = None,
    categories: Collection[str] | None = None,
    reasoning_type: str | None = None,
) -> Sample:
    """Generate a sample; the same arguments always give the same bytes.

    Args and errors are those of `compose_scene`.
    """
    return compose_scene(seed, split, index, size, empty_share, wording, categories, reasoning_type).sample()


def iterate_scenes(
    seed: int,
    counts: Mapping[str, int],
    *,
    size: tuple[int, int] | None = (256, 256),
    workers: int = 1,
    empty_share: float = EMPTY_SHARE,
    wording: str | None = None,
    categories: Collection[str] | None = None,
) -> Iterator[Sample]:
    """Yield the samples of all splits, in the order of `counts`, whatever the number of workers.

    Args:
        seed: seed of the dataset.
        counts: number of scenes by split.
        size: height and width in pixels; None draws one for each scene by `draw_size`.
        workers: number of processes.
        empty_share: share of scenes with an empty target.
        wording: split whose wording the questions have; None for that of each scene.
        categories: categories to ask about; None for all those of the split.

    Raises:
        UnknownNameError: the split, the wording or a category does not exist.
        EarthReasonError: `empty_share` is not between 0 and 1, or `categories` is empty.
    """
    jobs = [(seed, split, index) for split, count in counts.items() for index in range(count)]
    generate = partial(generate_scene, size=size, empty_share=empty_share, wording=wording, categories=categories)
    if workers == 1:
        yield from (generate(*job) for job in jobs)
        return
    with process_pool(workers) as pool:
        yield from run_in_order(pool, generate, jobs, chunk=8)
