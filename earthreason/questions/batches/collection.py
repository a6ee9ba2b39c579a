"""Collect the answers of batches, whatever became of them: finished, expired, failed or deleted."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Any

from earthreason.errors import EarthReasonError
from earthreason.plurals import count_of
from earthreason.questions.batches.submission import CREATING, FAULTS, REFUSED, ROOM, find_batch, identified, marked
from earthreason.questions.ledger import Call, Ledger, now
from earthreason.questions.servers.adaptation import refused_parameter
from earthreason.questions.servers.client import ModelClient
from earthreason.questions.servers.faults import classify
from earthreason.questions.servers.replies import parse, shorten, storable, was_cut_off
from earthreason.questions.servers.request import LARGER
from earthreason.questions.types import REPLIES, Usage

logger = logging.getLogger("earthreason.questions")
FAILED = "failed_batches"
"""Setting of the ledger: the number of batches that failed in a row, and why the last one did."""
_ENDED = ("completed", "expired", "cancelled", "failed")
_MANY_FAILURES = 3
"""Number of batches that fail in a row before nothing more is submitted."""
_ATTEMPTS = 3
"""Number of batches in which a request may fail before its sample is quarantined."""
_QUEUE_FULL = "token_limit_exceeded"
_ALL_PARAMETERS = {
    "messages": [{"role": "system", "content": ""}],
    "max_tokens": 1,
    "response_format": {"type": "json_schema"},
    "temperature": 0,
    "top_p": 0,
    "seed": 0,
}


class Collection:
    """Takes the answers of ended batches into the ledger.

    Attributes:
        collected: number of answers.
        running: state of every unfinished batch, by id.
    """

    def __init__(self, ledger: Ledger, client: ModelClient) -> None:
        self._ledger, self._client = ledger, client
        self._faults: dict[str, dict[str, int]] = ledger.setting(FAULTS) or {}
        self.collected = 0
        self.running: dict[str, str] = {}

    async def collect(self, retry: bool) -> None:
        """Collect all ended batches. Requests without an answer go into the next batch.

        Args:
            retry: whether to forget earlier failures of batches.

        Raises:
            EarthReasonError: several batches failed in a row.
            OpenAIError: the provider does not answer.
        """
        if retry:
            self._ledger.remember(FAILED, {})
        try:
            await self._collect_all()
        finally:  # what earlier batches told must not be lost with a later one
            self._ledger.remember(FAULTS, self._faults)
        failed = self._ledger.setting(FAILED) or {}
        if failed.get("count", 0) >= _MANY_FAILURES:
            raise EarthReasonError(
                f"{failed['count']} batches failed in a row, the last one because {failed['reason']}. Nothing more is "
                "submitted; remove the cause, then continue with --retry-batches"
            )

    async def _collect_all(self) -> None:
        seen: set[str] = set()
        for batch_id, requests in self._ledger.open_batches().items():
            batch = await self._find(batch_id)
            if batch is not None and batch.id in seen:  # a process was killed between its two notes of one batch
                self._ledger.record_batch(batch_id, "confirmed", {})
                continue
            seen.update([batch.id] if batch is not None else [])
            if batch is None:
                logger.warning("batch %s is not at the provider (any more); its requests are sent again", batch_id)
                if not batch_id.startswith(CREATING):
                    self._note_lost(requests)
                self._ledger.record_batch(batch_id, "lost", {})
            elif batch.status not in _ENDED:
                self._confirm(batch_id, batch, requests)
                self.running[batch.id] = batch.status
            else:
                await self._take(batch, requests)
                self._ledger.record_batch(batch.id, "collected", requests)
                if batch_id != batch.id:
                    self._ledger.record_batch(batch_id, "confirmed", {})

    async def _find(self, batch_id: str) -> Any | None:
        import openai

        if batch_id.startswith(CREATING):
            return await find_batch(self._client, marked(batch_id.removeprefix(CREATING)))
        try:
            return await identified(self._client.openai.batches.retrieve(batch_id), f"batch {batch_id}")
        except openai.NotFoundError:
            return None
        except openai.InternalServerError:
            # LiteLLM's proxy (1.108.7) answers so about a batch that the provider has not; the list tells.
            return await find_batch(self._client, lambda batch: batch.id == batch_id)

    def _confirm(self, batch_id: str, batch: Any, requests: Mapping[str, Any]) -> None:
        """Note the id of a batch that was found by its mark."""
        if batch_id != batch.id:
            self._ledger.record_batch(batch.id, "submitted", requests)
            self._ledger.record_batch(batch_id, "confirmed", {})

    async def _take(self, batch: Any, requests: dict[str, Any]) -> None:
        left, torn = dict(requests), 0
        for file_id in filter(None, (batch.output_file_id, batch.error_file_id)):
            with tempfile.TemporaryFile(dir=self._ledger.path.parent) as file:
                if not await self._download(file_id, file):
                    continue
                for entry in _entries(file):
                    key = entry.get("custom_id")
                    if entry and isinstance(key, str) and key in left:
                        self._take_entry(key, entry, left.pop(key))
                    else:
                        torn += 1
        if torn:
            logger.warning("batch %s: %d unreadable or foreign lines; their requests are sent again", batch.id, torn)
        if batch.status == "completed":
            self._note_lost(left)
        if batch.status == "failed":
            self._note_failure(batch, requests)
        elif batch.status == "completed" and requests and len(left) == len(requests):
            self._count_failure("it has no answers, although it is completed")
        elif batch.status in ("completed", "expired"):
            self._ledger.remember(FAILED, {})

    def _note_lost(self, requests: Mapping[str, Any]) -> None:
        """Count requests as perhaps paid whose answers are gone; after several batches, quarantine their samples."""
        for key, about in requests.items():
            sample = about.get("split", ""), about["sample_id"]
            most = about.get("max_cost", 0.0)
            if most > 0:
                self._ledger.send(key, sample, about["stage"], about["model"], most)
            if self._fail(key) >= _ATTEMPTS:
                self._record(key, about, Usage(), "quarantined", f"its answer was lost in {_ATTEMPTS} batches")

    async def _download(self, file_id: str, file: IO[bytes]) -> bool:
        """Write the content of a file at the provider into `file`; return whether it is there.

        Raises:
            OpenAIError: the provider refuses it, or it breaks off each time.
        """
        import openai

        from earthreason.questions.servers.connection import BROKEN_OFF, HopelessError

        for attempt in range(_ATTEMPTS):
            file.seek(0)
            file.truncate()
            try:
                async with self._client.openai.files.with_streaming_response.content(file_id) as response:
                    async for piece in response.iter_bytes():
                        file.write(piece)
            except openai.NotFoundError:
                logger.warning("file %s is not at the provider any more; its requests are sent again", file_id)
                return False
            except BROKEN_OFF as error:
                reason = f"file {file_id} breaks off ({type(error).__name__}: {error})"
                if attempt == _ATTEMPTS - 1:
                    raise HopelessError(reason) from None
                logger.warning("%s; fetching it again", reason)
            else:
                break
        file.seek(0)
        return True

    def _note_failure(self, batch: Any, requests: Mapping[str, Any]) -> None:
        told = getattr(batch.errors, "data", None) or batch.errors or []
        errors = told if isinstance(told, list) else [told]
        reason = "; ".join(map(_describe_error, errors[:3])) or "the provider gives no reason"
        logger.warning("batch %s failed: %s", batch.id, reason)
        if any(_part(error, "code") == _QUEUE_FULL for error in errors):
            room = max(1, len(requests) // 2)
            logger.warning("submitting at most %s at a time from now on", count_of(room, "request"))
            self._ledger.remember(ROOM, room)
            return
        self._count_failure(reason)

    def _count_failure(self, reason: str) -> None:
        count = (self._ledger.setting(FAILED) or {}).get("count", 0) + 1
        self._ledger.remember(FAILED, {"count": count, "reason": reason})

    def _take_entry(self, key: str, entry: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        response = entry.get("response")
        response = response if isinstance(response, Mapping) else {}
        body = response.get("body")
        if response.get("status_code") == 200 and isinstance(body, Mapping) and body.get("choices"):
            self._take_answer(key, dict(body), about)
            return
        error = body if response else entry.get("error")
        if isinstance(error, Mapping) and error.get("code") == "batch_expired":
            return
        status = response.get("status_code")
        status = status if isinstance(status, int) and status >= 400 else 500
        refused = refused_parameter(_ALL_PARAMETERS, json.dumps(error)) if status in (400, 422) else None
        if refused is not None and self._note_refusal(about["model"], refused, about.get("refused", ())):
            return
        fault = classify(status, error)
        logger.warning("a request about %s failed: %s", about["sample_id"], fault.words)
        if fault.scope == "sample" or self._fail(key) >= _ATTEMPTS:
            self._record(key, about, Usage(), "quarantined", fault.words)

    def _take_answer(self, key: str, completion: dict[str, Any], about: Mapping[str, Any]) -> None:
        read, written = about.get("max_tokens") or (0, 0)
        most = Usage(read, written, about.get("max_cost", 0.0))
        usage = self._client.prices.usage(about["model"], completion, most, batch=True)
        reply = REPLIES.get(about["reply"])
        answer, reason = parse(reply, completion) if reply else (None, "an older version of earthreason asked for it")
        if answer is not None and (reason := answer.fault(about.get("given") or {})):
            answer = None
        if answer is None and self._fail(key) == 1:
            logger.warning("an answer about %s is sent for again: %s", about["sample_id"], reason)
            if was_cut_off(completion):
                self._faults[key]["larger"] = LARGER
            replaced = f"{key}~{self._ledger.times_set_aside(key) + 1}"
            self._record(replaced, about, usage, "replaced", reason)  # paid, and asked again
            return
        status, content = ("ok", answer.model_dump()) if answer else ("quarantined", reason)
        self._record(key, about, usage, status, content, completion.get("model"))

    def _record(
        self, key: str, about: Mapping[str, Any], usage: Usage, status: str, content: Any, served: str | None = None
    ) -> None:
        sample_id, stage, model, prompt = (about[name] for name in ("sample_id", "stage", "model", "prompt"))
        details = {"served_model": served, **{name: about.get(name) for name in ("parameters", "base_url")}}
        call = Call(
            key, sample_id, stage, model, prompt, now(), usage, status, content, about.get("split", ""), details
        )
        self._ledger.record(call)
        if status != "replaced":
            self._faults.pop(key, None)
            self.collected += 1

    def _fail(self, key: str) -> int:
        """Count a failed attempt of a request; return the number of all."""
        faults = self._faults.setdefault(key, {"failed": 0})
        faults["failed"] += 1
        return faults["failed"]

    def _note_refusal(self, model: str, parameter: str, known: Sequence[str]) -> bool:
        """Note that a model refuses a parameter.

        Returns:
            Whether asking without it is worth a try: False if it is in `known`, so that the request already lacked it.
        """
        if parameter == "json_schema" and parameter in known:
            parameter = "response_format"
        if parameter in known:
            return False
        refused = self._ledger.setting(REFUSED) or {}
        names = refused.setdefault(model, [])
        if parameter not in names:
            logger.warning("%s refuses %s; asking without it in the next batch", model, parameter)
            self._ledger.remember(REFUSED, refused | {model: [*names, parameter]})
        return True


def _entries(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Yield the object of every line that is not blank; an empty one for a line that is no JSON object."""
    for line in lines:
        if not line.strip():
            continue
        try:
            entry = storable(json.loads(line))
        except (ValueError, RecursionError):
            entry = None
        yield entry if isinstance(entry, dict) else {}


def _describe_error(error: Any) -> str:
    line, code, message = (_part(error, name) for name in ("line", "code", "message"))
    where = f" (line {line})" if line else ""
    return shorten(f"{message or code or error or 'no reason given'}{where}")


def _part(error: Any, name: str) -> Any:
    """Return a part of an error in whatever form a server sends it."""
    return error.get(name) if isinstance(error, Mapping) else getattr(error, name, None)
