"""The source of a run, and its recipes: every setting that questions depend on, kept apart by name."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from earthreason.errors import DataNotFoundError, EarthReasonError
from earthreason.questions.ledger import Ledger
from earthreason.questions.settings import RunConfig

SOURCE = "source"
"""Setting of a run: the path or name of its source."""
LIMITS = ("max_tokens", "max_completion_tokens")
"""Parameters that belong to no recipe: they change no answer, except those that they cut off."""


def recipe_of(config: RunConfig, base_url: str | None) -> dict[str, Any]:
    """List the settings that the questions depend on; `base_url` is that of the client."""
    stages = config.stages
    names = hashlib.sha256("\n".join(config.concepts).encode()).hexdigest()[:8]
    return {
        **{f"model of {stage}": model for stage, model in stages.models.items()},
        **{f"prompt {name}": prompt.identity for name, prompt in sorted(stages.prompts.items())},
        "base URL": base_url or config.base_url,
        "parameters": {name: value for name, value in stages.parameters.items() if name not in LIMITS},
        "images": stages.images,
        "candidates": stages.candidates,
        "answers": stages.answers,
        "votes": stages.votes,
        "language": f"{stages.language.name}/{stages.language.code}",
        "empty share": config.share,
        "unseen empties": config.unseen_empties,
        "concepts": f"{len(config.concepts)} ({names})",
        "seed": config.seed,
    }


def keep_recipe(ledger: Ledger, recipe: Mapping[str, Any]) -> None:
    """Save the recipe of a run, or check that it is the one the run was begun with.

    Raises:
        EarthReasonError: the run has another recipe of this name, or was begun before recipes were kept.
    """
    stored = ledger.stored_recipe()
    if stored is None:
        if ledger.is_before_recipes():
            raise _refusal(ledger, ["the run was begun before recipes were kept, with version 1 of the prompts"])
        ledger.store_recipe(recipe)
        return
    changed = [
        f"{name} was {_shown(stored.get(name))} and is now {_shown(value)}"
        for name, value in recipe.items()
        if stored.get(name) != value
    ]
    if changed and not ledger.is_unused():
        raise _refusal(ledger, changed)
    if changed:
        ledger.store_recipe(recipe)


def source_of(ledger: Ledger) -> str:
    """Return the source that a run is about.

    Raises:
        DataNotFoundError: the run has none yet, since nothing was generated.
    """
    source = ledger.setting(SOURCE)
    if source is None:
        raise DataNotFoundError(
            f"{ledger.path.parent}: nothing was generated yet; see `earthreason questions generate`"
        )
    return str(source)


def keep_source(ledger: Ledger, source: str) -> None:
    """Save what a run is about: the path of a source, or the name of a configuration.

    Raises:
        EarthReasonError: the run is about another source, which is still there.
    """
    place = str(Path(source).resolve()) if Path(source).exists() else source
    known = ledger.setting(SOURCE)
    moved = known is not None and Path(known).is_absolute() and not Path(known).exists()
    if known not in (None, place) and not moved:
        raise EarthReasonError(f"{ledger.path.parent} is about {known}, and this is {place}; choose another --out")
    ledger.remember(SOURCE, place)


def _refusal(ledger: Ledger, changed: list[str]) -> EarthReasonError:
    known = ", ".join(ledger.recipes())
    return EarthReasonError(
        f"{ledger.path.parent}: a run is one recipe, and this is another: {'; '.join(changed)}. Repeat the settings, "
        f"choose another --out, or name it with --recipe NAME (there is {known}); answers that both need are paid once"
    )


def _shown(value: object) -> str:
    return "not set" if value is None else str(value)
