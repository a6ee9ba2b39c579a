"""Where questions come from: the facts of calls, and of each question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from earthreason.questions.ledger import Call


def facts_of_call(call: Call) -> dict[str, Any]:
    """Describe a call; what is unknown of calls before 2026-11-28 is null."""
    about = {name: call.details.get(name) for name in ("served_model", "parameters", "base_url")}
    named = {"stage": call.stage, "model": call.model, "prompt": call.prompt, "date": call.created, "key": call.key}
    return named | about | vars(call.usage)


def origin_of(question: str, parent: str | None, writer: Call, written: int) -> dict[str, Any]:
    """Describe where a question comes from.

    Args:
        question: the question.
        parent: question that it rewords; None if it rewords none, or an unknown one.
        writer: call that returned it.
        written: number of questions that the call returned, which share its cost.
    """
    return {"question": question, "stage": writer.stage, "parent": parent, **_facts(writer, written)}


def judged(origin: Mapping[str, Any], judge: Call, reason: str, count: int) -> dict[str, Any]:
    """Add the judge of a question to its origin: the reason, and the call that judged `count` questions."""
    return {**origin, "judge": {"reason": reason, **_facts(judge, count)}}


def _facts(call: Call, sharing: int) -> dict[str, Any]:
    facts = facts_of_call(call)
    return {
        "model": facts["served_model"] or call.model,
        "prompt": call.prompt,
        "parameters": facts["parameters"],
        "base_url": facts["base_url"],
        "time": call.created,
        "usd": call.usage.usd / max(1, sharing),
        "key": call.key,
    }


def parents_of(proposed: Sequence[str], rewritten: Sequence[str]) -> list[str | None]:
    """Return the question that each rewording is of; None for all if their numbers differ, as any may be missing."""
    return list(proposed) if len(proposed) == len(rewritten) else [None] * len(rewritten)
