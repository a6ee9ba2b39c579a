"""The recipe of a run: every setting that its questions depend on. A run's folder keeps the recipes apart by name."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from earthreason.errors import EarthReasonError
from earthreason.questions.ledger import Ledger
from earthreason.questions.settings import RunConfig

LIMITS = ("max_tokens", "max_completion_tokens")
"""Parameters that belong to no recipe: they change no answer, except those that they cut off."""


def recipe_of(config: RunConfig, base_url: str | None) -> dict[str, Any]:
    """List the settings that the questions depend on; `base_url` is that of the client."""
    stages = config.stages
    models = {"propose": stages.propose, "rewrite": stages.rewrite, "judge": stages.judge}
    names = hashlib.sha256("\n".join(config.concepts).encode()).hexdigest()[:8]
    return {
        **{f"model of {stage}": model for stage, model in models.items()},
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


def _refusal(ledger: Ledger, changed: list[str]) -> EarthReasonError:
    known = ", ".join(ledger.recipes())
    return EarthReasonError(
        f"{ledger.path.parent}: a run is one recipe, and this is another: {'; '.join(changed)}. Repeat the settings, "
        f"choose another --out, or name it with --recipe NAME (there is {known}); answers that both need are paid once"
    )


def _shown(value: object) -> str:
    return "not set" if value is None else str(value)
