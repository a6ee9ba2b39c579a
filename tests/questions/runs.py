"""Runs of question generation against the fake server."""

import asyncio

from earthreason.questions.batches.batch import advance
from earthreason.questions.pipeline import GenerationRun, RunConfig
from earthreason.questions.prompting.prompts import load_prompts
from earthreason.questions.servers.client import ClientConfig, ModelClient
from earthreason.questions.servers.pricing import load_prices
from earthreason.questions.stages import StageConfig


def config_of(model="gpt-4o", **changes):
    chosen = {k: changes.pop(k) for k in ("images", "parameters", "votes", "language") if k in changes}
    stages = StageConfig(model, model, model, load_prompts(), **chosen)
    return RunConfig(stages, **changes)


def client_of(server, **changes):
    url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    return ModelClient(ClientConfig(base_url=url, api_key="x", **changes), load_prices())


def generate(source, config, ledger, server, **changes):
    async def go():
        async with client_of(server, **changes) as client:
            return await GenerationRun(config, ledger, client).generate(source)

    return asyncio.run(go())


def advance_once(server, source, config, ledger, retry=False, **changes):
    async def go():
        async with client_of(server, **changes) as client:
            return await advance(source, config, ledger, client, retry)

    return asyncio.run(go())
