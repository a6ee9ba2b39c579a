"""The way of one sample through the stages: propose, rewrite, check, judge, select."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from earthreason.questions import stages
from earthreason.questions.asking import Asker
from earthreason.questions.checks import QuestionSet, passing
from earthreason.questions.ledger import Call
from earthreason.questions.provenance import (
    Origins,
    Vote,
    judged,
    origins_of_answers,
    origins_of_questions,
    origins_of_rewordings,
)
from earthreason.questions.quarantine import describe_no_concept, describe_too_few, describe_wrong_target
from earthreason.questions.stages import StageConfig
from earthreason.questions.trail import Trail
from earthreason.questions.types import (
    ANSWERS,
    QUESTIONS,
    Absence,
    AbsenceReview,
    AbsenceVerdict,
    AnswerVerdict,
    Generated,
    JudgeReply,
    Verdict,
    same_name,
)

Judgement = JudgeReply | AbsenceReview


@dataclass
class _Candidates:
    """Texts about a target or an absent concept, those that are left, and where all come from."""

    target: str
    questions: Origins
    answers: Origins
    left: tuple[list[str], list[str]] = ([], [])

    def shortage(self, needed: int) -> str:
        """Return the reason if too few texts are left; `needed` answers must be."""
        wanted = (("questions", self.questions, QUESTIONS), ("answers", self.answers, needed))
        told = [
            describe_too_few(what, len(left), len(of), least)
            for (what, of, least), left in zip(wanted, self.left, strict=True)
            if len(left) < least
        ]
        return "; ".join(told)


async def write_texts(trail: Trail, asker: Asker, config: StageConfig, pool: ThreadPoolExecutor) -> Generated:
    """Let the models write and judge the questions and answers of a sample.

    Raises:
        UnusableAnswerError, UnusableSampleError, EarthReasonError, PendingAnswerError, OverBudgetError, StoppedError:
            see `Asker.ask`.
    """
    hints, sample_id = trail.hints, trail.record.sample_id
    request = stages.propose_request(hints, config, trail.view)
    proposed, writer = await asker.ask("propose", trail, request, pool)
    if isinstance(proposed, Absence):
        if proposed.concept is None:
            return Generated(sample_id, "quarantined", reason=describe_no_concept(len(hints.concepts)))
        chosen = same_name(proposed.concept)
        target = next(name for name in hints.concepts if same_name(name) == chosen)  # as it is written in the list
    else:
        target = proposed.target
    concept = target if hints.absent else None
    texts = _Candidates(target, origins_of_questions(proposed.questions, writer), {})
    if not isinstance(proposed, Absence):
        texts.answers = origins_of_answers(proposed.answers, writer)
    rewriting = stages.rewrite_request(list(texts.questions), _told(trail, target), config)
    rewritten, rewriter = await asker.ask("rewrite", trail, rewriting, pool)
    reworded = origins_of_rewordings(texts.questions, rewritten.questions, rewriter)
    texts.questions = texts.questions | {
        question: origin for question, origin in reworded.items() if question not in texts.questions
    }
    texts.left = passing(_question_set(trail, texts, config))
    needed = 0 if hints.absent else ANSWERS
    reason = texts.shortage(needed)  # then no judge can help
    if config.judge is not None and not reason:
        reason = await _judge(trail, asker, texts, config, pool) or texts.shortage(needed)
    questions = stages.select_diverse(texts.left[0])
    answers = stages.select_diverse(texts.left[1], ANSWERS)
    return Generated(
        sample_id,
        "quarantined" if reason else "done",
        questions,
        answers,
        concept,
        "" if hints.absent else target,
        reason,
        origins=[texts.questions[question] for question in questions],
        answer_origins=[texts.answers[answer] for answer in answers],
    )


def _told(trail: Trail, target: str) -> str:
    """Return the name of a target as rewriter and judge are told it, with its category if that is another name."""
    category = None if trail.hints.absent else trail.hints.category
    differs = category is not None and same_name(category) != same_name(target)
    return f"{target} (its category: {category})" if differs else target


def _question_set(trail: Trail, texts: _Candidates, config: StageConfig) -> QuestionSet:
    record, hints = trail.record, trail.hints
    return QuestionSet(
        record.sample_id,
        tuple(texts.questions),
        tuple(texts.answers),
        texts.target if hints.absent else hints.category,
        hints.absent,
        None if hints.absent else texts.target,
        config.language.code,
    )


async def _judge(trail: Trail, asker: Asker, texts: _Candidates, config: StageConfig, pool: ThreadPoolExecutor) -> str:
    """Keep the texts that most votes pass; return the reason if the votes contradict the proposal as a whole.

    Raises:
        UnusableAnswerError, UnusableSampleError, EarthReasonError, PendingAnswerError, OverBudgetError, StoppedError:
            see `Asker.ask`.
    """
    questions, answers = texts.left
    requests = [
        stages.judge_request(questions, answers, _told(trail, texts.target), trail.hints, config, trail.view, vote)
        for vote in range(config.votes)
    ]
    before = len(trail.calls)
    # All at once, so that in batches they go into one, and none is abandoned when another fails.
    asked = (asker.ask("judge", trail, request, pool) for request in requests)
    replies = await asyncio.gather(*asked, return_exceptions=True)
    votes: list[tuple[Judgement, Call]] = []
    for reply in replies:
        if isinstance(reply, BaseException):
            raise reply
        votes.append(reply)
    trail.calls[before:] = [call for _, call in votes]  # in the order of the votes, whichever was answered first
    count = len(questions) + len(answers)
    for origins, texts_judged, of in (
        (texts.questions, questions, lambda reply: reply.verdicts),
        (texts.answers, answers, lambda reply: getattr(reply, "answers", [])),
    ):
        for number, text in enumerate(texts_judged, start=1):
            origins[text] = judged(origins[text], _votes_on(number, votes, of), count)
    kept = (
        [text for text in judged_texts if _is_passed(origins[text]["judge"]["votes"])]
        for judged_texts, origins in ((questions, texts.questions), (answers, texts.answers))
    )
    texts.left = (next(kept), next(kept))
    return _contradiction(texts.target, votes)


def _votes_on(
    number: int,
    votes: Sequence[tuple[Judgement, Call]],
    of: Callable[[Any], Sequence[Verdict | AbsenceVerdict | AnswerVerdict]],
) -> list[Vote]:
    """Return what each call said of the text with a number. Saying nothing, or twice different things, is no pass."""
    found = []
    for reply, call in votes:
        verdicts = [verdict for verdict in of(reply) if verdict.number == number]
        passed = bool(verdicts) and all(verdict.passed for verdict in verdicts)
        found.append(Vote(passed, verdicts[0].reason if verdicts else "no verdict", call))
    return found


def _is_passed(votes: Sequence[dict[str, Any]]) -> bool:
    return is_majority([vote["passed"] for vote in votes])


def is_majority(votes: Sequence[bool]) -> bool:
    """Tell whether more than half of the votes are true."""
    return 2 * sum(votes) > len(votes)


def _contradiction(target: str, votes: Sequence[tuple[Judgement, Call]]) -> str:
    """Return the reason if most votes do not see the target, or not the absence of a concept."""
    against = []
    for reply, _ in votes:
        if isinstance(reply, AbsenceReview):
            against.append((reply.absent, ", ".join(reply.candidates)))
        else:
            against.append((reply.target_fits, reply.region))
    if is_majority([fits for fits, _ in against]):
        return ""
    seen = next(seen for fits, seen in against if not fits)
    return describe_wrong_target(target, isinstance(votes[0][0], AbsenceReview), seen)
