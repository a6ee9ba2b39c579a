"""The budget of a run: what requests may cost at most, and which of them may be sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from earthreason.data.schema import Record
from earthreason.questions.ledger import Ledger
from earthreason.questions.prompting.pictures import size_sent
from earthreason.questions.servers.pricing import Prices, image_tokens
from earthreason.questions.servers.request import Request


class OverBudgetError(RuntimeError):
    """The next request could exceed the budget, whatever those in flight cost."""


class Budget:
    """Admits requests while the ledger says that their maximum cost fits in the budget."""

    def __init__(self, max_usd: float | None, ledger: Ledger) -> None:
        self._max_usd, self._ledger = max_usd, ledger
        self._in_flight = 0
        self._settled = asyncio.Event()

    async def wait_for(self, expected: float) -> None:
        """Wait until a request of that maximum cost fits beside those in flight, which mostly cost less than theirs.

        Raises:
            OverBudgetError: it does not fit although none is in flight.
        """
        while self._max_usd is not None and self._ledger.committed() + expected > self._max_usd:
            if not self._in_flight:
                raise OverBudgetError(over_budget(self._max_usd))
            self._settled.clear()
            await self._settled.wait()

    def admit(self, number: int, usd: float) -> None:
        """Reserve more for a request in flight, before an attempt after which it may have cost more than is reserved.

        Args:
            number: number of the request in the ledger.
            usd: what all its attempts may have cost then, US dollars.

        Raises:
            OverBudgetError: that does not fit.
        """
        more = usd - self._ledger.reserved(number)
        if more <= 0:
            return
        if self._max_usd is not None and self._ledger.committed() + more > self._max_usd:
            raise OverBudgetError(over_budget(self._max_usd))
        self._ledger.settle(number, usd)

    @contextmanager
    def in_flight(self) -> Iterator[None]:
        """Count a request as in flight."""
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1
            self._settled.set()


def over_budget(max_usd: float) -> str:
    """Return the reason why a run stops early."""
    return f"stopped before ${max_usd:g} would be exceeded; raise --max-usd to continue"


def max_cost(request: Request[Any], record: Record, prices: Prices, attempts: int = 2) -> float:
    """Estimate the maximum cost of a request in US dollars: text, pictures and the longest answer in every attempt.

    A model without a price costs 0; `RunConfig.check_budget` refuses it if there is a budget.
    """
    pictures = picture_tokens(request, record, prices)
    return sum(request.most(prices, pictures, attempt).usd for attempt in range(attempts))


def picture_tokens(request: Request[Any], record: Record, prices: Prices) -> int:
    """Estimate the tokens of the pictures of a request as they are sent; 0 for a model without a price."""
    price = prices.of(request.model)
    if price is None:
        return 0
    return sum(image_tokens(price, *size_sent(kind, record.height, record.width)) for kind in request.pictures)
