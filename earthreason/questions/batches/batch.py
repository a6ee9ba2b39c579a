"""Generation through the Batch API: answers come within a day, at half the price.

The stages of a sample depend on each other, so a run takes three rounds. Each call of `advance` collects the finished
answers and submits the requests that they make possible, in as many files as the provider's limits require.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from earthreason.data.sources import Source
from earthreason.errors import EarthReasonError
from earthreason.questions.batches.collection import Collection
from earthreason.questions.batches.submission import Submission
from earthreason.questions.ledger import Ledger
from earthreason.questions.pipeline import GenerationRun, RunConfig, RunOutcome, over_budget
from earthreason.questions.servers.client import ModelClient


@dataclass
class BatchStep:
    """Result of one call of `advance`.

    Attributes:
        collected: number of answers collected.
        submitted: number of requests submitted in new batches.
        running: state of every unfinished batch, by id.
        outcome: progress of the samples; `stopped` says whether the budget left requests unsent.
    """

    collected: int
    submitted: int
    running: dict[str, str]
    outcome: RunOutcome


async def advance(
    source: Source, config: RunConfig, ledger: Ledger, client: ModelClient, retry: bool = False
) -> BatchStep:
    """Collect finished batches, advance every sample as far as possible, and submit the requests without an answer.

    Args:
        source: samples.
        config: settings of the run.
        ledger: record of the run.
        client: client of the model server.
        retry: whether to submit again after several batches failed in a row.

    Raises:
        EarthReasonError: the server refuses a request or does not support batches; several batches failed in a row; or
            a budget is set and a model has no price.
    """
    import openai

    config.check_budget(client.prices)
    try:
        collection = Collection(ledger, client)
        await collection.collect(retry)
        with Submission(ledger, client, config.max_usd) as submission:
            known = replace(config, base_url=config.base_url or client.config.base_url)
            run = GenerationRun(known, ledger, None, queue=submission.add)
            outcome = await run.generate(source)
            await submission.finish()
    except openai.OpenAIError as error:
        words = " ".join(str(error).split())[:300]
        raise EarthReasonError(f"the batch failed: {words}; run again to continue") from None
    if submission.over_budget:
        outcome.stopped = over_budget(config.max_usd or 0.0)
    return BatchStep(collection.collected, submission.submitted, collection.running | submission.running, outcome)
