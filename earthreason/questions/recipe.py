"""The recipe of a run: every setting that its questions depend on. A run's folder keeps the recipes apart by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from earthreason.errors import EarthReasonError
from earthreason.questions.ledger import Ledger
from earthreason.questions.migration import ADOPTABLE, MAIN
from earthreason.questions.settings import RunConfig

LIMITS = ("max_tokens", "max_completion_tokens")
"""Parameters that belong to no recipe: they change no answer, except those that they cut off."""
_ADOPTED = "adopted"
"""Mark of a recipe that continues a ledger from before recipes were kept, and so may use its answers."""


def recipe_of(config: RunConfig, base_url: str | None) -> dict[str, Any]:
    """List the settings that the questions depend on; `base_url` is that of the client."""
    stages = config.stages
    models = {"propose": stages.propose, "rewrite": stages.rewrite, "judge": stages.judge}
    return {
        **{f"model of {stage}": model for stage, model in models.items()},
        **{f"prompt {name}": prompt.identity for name, prompt in sorted(stages.prompts.items())},
        "base URL": base_url or config.base_url,
        "parameters": {name: value for name, value in stages.parameters.items() if name not in LIMITS},
        "images": stages.images,
        "candidates": stages.candidates,
        "empty share": config.empty_share,
        "seed": config.seed,
    }


def keep_recipe(ledger: Ledger, recipe: Mapping[str, Any]) -> bool:
    """Save the recipe of a run, or check that it is the one the run was begun with.

    Returns:
        Whether the run was begun before recipes were kept, so that its answers have keys of that time.

    Raises:
        EarthReasonError: the run has another recipe of this name.
    """
    stored = ledger.stored_recipe()
    if stored is None:
        adopts = ledger.recipe == MAIN and bool(ledger.setting(ADOPTABLE))
        if adopts:
            _check_calls(ledger, recipe)
        ledger.store_recipe({**recipe, _ADOPTED: adopts})
        return adopts
    changed = [
        f"{name} was {_shown(stored.get(name))} and is now {_shown(value)}"
        for name, value in recipe.items()
        if stored.get(name) != value
    ]
    if changed and ledger.is_unused():
        ledger.store_recipe({**recipe, _ADOPTED: False})
        return False
    if changed:
        raise _refusal(ledger, changed)
    return bool(stored.get(_ADOPTED))


def _check_calls(ledger: Ledger, recipe: Mapping[str, Any]) -> None:
    """Compare a recipe with the calls of a ledger that keeps none.

    Raises:
        EarthReasonError: a stage was asked of other models, or with other prompts.
    """
    used = {(row["stage"], row["model"], row["prompt"]) for row in ledger.summary()["stages"]}
    changed = []
    for stage in ("propose", "rewrite", "judge"):
        prompts = {recipe[f"prompt {name}"] for name in ({"propose", "absent"} if stage == "propose" else {stage})}
        calls = {(model, prompt) for name, model, prompt in used if name == stage}
        if calls and not any(model == recipe[f"model of {stage}"] and prompt in prompts for model, prompt in calls):
            model, prompt = min(calls)
            changed.append(f"{stage} was asked of {model} with prompt {prompt}")
    if changed:
        raise _refusal(ledger, changed)


def _refusal(ledger: Ledger, changed: list[str]) -> EarthReasonError:
    known = ", ".join(ledger.recipes())
    return EarthReasonError(
        f"{ledger.path.parent}: a run is one recipe, and this is another: {'; '.join(changed)}. Repeat the settings, "
        f"choose another --out, or name it with --recipe NAME (there is {known}); answers that both need are paid once"
    )


def _shown(value: object) -> str:
    return "not set" if value is None else str(value)
