import threading

import pytest

from baselines.common.processes import prefetch


def test_order_is_kept_and_work_runs_ahead():
    started = []
    second_started = threading.Event()

    def double(n):
        started.append(n)
        if n == 1:
            second_started.set()
        return 2 * n

    found = prefetch(double, range(5), depth=2)
    assert next(found) == 0
    assert second_started.wait(5)
    assert list(found) == [2, 4, 6, 8]


def test_it_is_never_further_ahead_than_asked():
    started = []
    found = prefetch(started.append, range(100), depth=2)
    next(found)
    assert len(started) <= 3
    found.close()


def test_an_error_comes_where_it_happened():
    found = prefetch(lambda n: 1 // n, [1, 0, 2])
    assert next(found) == 1
    with pytest.raises(ZeroDivisionError):
        next(found)


def test_several_threads_work_at_once_and_keep_the_order():
    together = threading.Barrier(3, timeout=5)  # passes only where three are at work

    def meet(n):
        if n < 3:
            together.wait()
        return n

    assert list(prefetch(meet, range(7), depth=6, threads=3)) == list(range(7))
