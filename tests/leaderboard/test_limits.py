"""Shares of the server: one client that asks for more and more waits for itself."""

import threading
import time
from itertools import pairwise

import anyio
import pytest

from leaderboard.web.limits import Budgets, Drawing, TooManyError
from leaderboard.web.packing import choose_packing


def work(seconds):
    """Use the processor for some seconds of this thread's time."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def test_a_budget_is_used_up_and_grows_again(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("leaderboard.web.limits.time.monotonic", lambda: now[0])
    budgets = Budgets(2.0, 0.5)
    budgets.use("a", 3.0)
    with pytest.raises(TooManyError) as error:
        budgets.check("a", "too many")
    assert (error.value.status, error.value.seconds) == (429, 2)
    budgets.check("b", "too many")
    now[0] += 2.5
    assert budgets.left("a") == pytest.approx(0.25)
    now[0] += 1000
    assert budgets.left("a") == 2.0


def test_clients_without_end_do_not_fill_the_memory():
    budgets = Budgets(1.0, 1.0)
    for n in range(10_500):
        budgets.use(str(n), 0.5)
    assert len(budgets._left) == 10_000


def test_a_client_draws_one_page_at_a_time_and_another_need_not_wait():
    async def main():
        drawing, started, release, order = Drawing(10.0, 1.0), threading.Event(), threading.Event(), []

        def slow():
            started.set()
            release.wait(20)
            order.append("slow")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(drawing.run, "flood", slow)
            await anyio.to_thread.run_sync(started.wait)
            for n in range(3):
                tasks.start_soon(drawing.run, "flood", lambda n=n: order.append(n))
            await drawing.run("visitor", lambda: order.append("visitor"))
            assert order == ["visitor"]
            release.set()
        assert order == ["visitor", "slow", 0, 1, 2]
        assert not drawing._turns

    anyio.run(main)


def test_a_client_with_more_waiting_leaves_half_of_the_time_to_others():
    async def main():
        drawing, moments = Drawing(10.0, 1.0), []

        def slow():
            began = time.monotonic()
            time.sleep(0.2)
            moments.append((began, time.monotonic()))

        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(drawing.run, "flood", slow)
        gaps = [after[0] - before[1] for before, after in pairwise(moments)]
        assert all(gap >= 0.19 for gap in gaps)
        began = time.monotonic()
        await drawing.run("visitor", lambda: None)
        assert time.monotonic() - began < 0.15  # one alone does not wait

    anyio.run(main)


def test_processor_time_is_counted_and_the_refusal_comes_late():
    async def main():
        drawing = Drawing(0.05, 0.001, pause=0.2)
        await drawing.run("flood", lambda: work(0.1))
        began = time.monotonic()
        with pytest.raises(TooManyError):
            await drawing.run("flood", lambda: pytest.fail("drawn all the same"))
        assert time.monotonic() - began >= 0.2
        await drawing.run("visitor", lambda: None)

    anyio.run(main)


def test_what_fails_costs_as_much_as_what_succeeds():
    def fail():
        work(0.1)
        raise ValueError("spoilt")

    async def main():
        drawing = Drawing(0.05, 0.001, pause=0.0)
        with pytest.raises(ValueError, match="spoilt"):
            await drawing.run("flood", fail)
        with pytest.raises(TooManyError):
            await drawing.run("flood", lambda: None)

    anyio.run(main)


def test_more_waiting_requests_than_a_reader_has_are_refused_at_once():
    async def main():
        drawing, release, refused = Drawing(10.0, 1.0, waiting=4), threading.Event(), []

        async def ask():
            try:
                await drawing.run("flood", lambda: release.wait(20))
            except TooManyError:
                refused.append(1)
                release.set()

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(ask)
        assert len(refused) == 1

    anyio.run(main)


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("gzip, deflate, br, zstd", ["br", "gzip"]),
        ("gzip", ["gzip"]),
        ("br;q=0, gzip;q=0.5", ["gzip"]),
        ("*", ["br", "gzip"]),
        ("*;q=0", []),
        ("identity", []),
        ("gzip;q=x", []),
        ("", []),
    ],
)
def test_packings_are_those_that_the_browser_accepts(accepted, chosen):
    assert choose_packing(accepted) == chosen
