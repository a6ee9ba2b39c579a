"""Where questions and answers come from: the facts of calls, and of each text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from earthreason.questions.ledger import Call
from earthreason.questions.types import AskedQuestion, Rewording

_NUMBERING = re.compile(r"^\s*\d{1,2}[.)]\s+")
"""Models number their lists even if each text is a list item of its own."""
Origins = dict[str, dict[str, Any]]
"""Origin of each text, by the text."""


@dataclass(frozen=True)
class Vote:
    """What a judge said of one text in one call."""

    passed: bool
    reason: str
    call: Call


def facts_of_call(call: Call) -> dict[str, Any]:
    """Describe a call; what is unknown of calls before 2026-11-28 is null."""
    about = {name: call.details.get(name) for name in ("served_model", "parameters", "base_url")}
    named = {"stage": call.stage, "model": call.model, "prompt": call.prompt, "date": call.created, "key": call.key}
    return named | about | vars(call.usage)


def clean(text: str) -> str:
    """Remove the number that a model wrote before a text."""
    return _NUMBERING.sub("", text).strip()


def origins_of_questions(proposed: Sequence[AskedQuestion], writer: Call) -> Origins:
    """Describe where proposed questions come from; the cost of the call is shared among them.

    Each origin has the question, the stage, its kind of reasoning and difficulty, the question that it rewords
    (`parent`, none here), and the facts of the call.
    """
    origins: Origins = {}
    for asked in proposed:
        kind = {"reasoning_type": asked.reasoning_type, "difficulty": asked.difficulty}
        origins.setdefault(clean(asked.text), _origin(asked.text, None, kind, writer, len(proposed)))
    return origins


def origins_of_rewordings(parents: Origins, reworded: Sequence[Rewording], writer: Call) -> Origins:
    """Describe where rewordings come from. They keep the kind of reasoning and the difficulty of their parent.

    Args:
        parents: origins of the questions that were to be reworded, in the order of their numbers.
        reworded: rewordings; those with the number of no question, or with an earlier one's, are left out.
        writer: call that returned them.
    """
    questions = list(parents)
    origins: Origins = {}
    numbers: set[int] = set()
    for rewording in reworded:
        if rewording.number in numbers or not 1 <= rewording.number <= len(questions):
            continue
        numbers.add(rewording.number)
        parent = questions[rewording.number - 1]
        kind = {name: parents[parent][name] for name in ("reasoning_type", "difficulty")}
        origins.setdefault(clean(rewording.text), _origin(rewording.text, parent, kind, writer, len(reworded)))
    return origins


def origins_of_answers(answers: Sequence[str], writer: Call) -> Origins:
    """Describe where proposed answers come from."""
    facts = _facts([writer], len(answers))
    return {clean(answer): {"answer": clean(answer), "stage": writer.stage, **facts} for answer in answers}


def judged(origin: Mapping[str, Any], votes: Sequence[Vote], count: int) -> dict[str, Any]:
    """Add to the origin of a text the votes on it, and the calls of the judge, which judged `count` texts."""
    calls = [vote.call for vote in votes]
    reason = next((vote.reason for vote in votes if vote.passed), votes[0].reason)
    told = [{"passed": vote.passed, "reason": vote.reason, "key": vote.call.key} for vote in votes]
    return {**origin, "judge": {"reason": reason, **_facts(calls, count), "votes": told}}


def _origin(text: str, parent: str | None, kind: Mapping[str, Any], writer: Call, written: int) -> dict[str, Any]:
    return {"question": clean(text), "stage": writer.stage, "parent": parent, **kind, **_facts([writer], written)}


def _facts(calls: Sequence[Call], sharing: int) -> dict[str, Any]:
    """Describe the first of several equal calls, with the cost of all."""
    facts = facts_of_call(calls[0])
    return {
        "model": facts["served_model"] or calls[0].model,
        "prompt": calls[0].prompt,
        "parameters": facts["parameters"],
        "base_url": facts["base_url"],
        "time": calls[0].created,
        "usd": sum(call.usage.usd for call in calls) / max(1, sharing),
        "key": calls[0].key,
    }
