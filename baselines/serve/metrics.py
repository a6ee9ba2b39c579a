"""Counts and times of the server, in Prometheus's text format."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter

_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)


class _Histogram:
    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def lines(self, name: str) -> list[str]:
        lines, total = [], 0
        for bound, count in zip((*self._bounds, None), self._counts, strict=True):
            total += count
            lines.append(f'{name}_bucket{{le="{"+Inf" if bound is None else bound}"}} {total}')
        return [*lines, f"{name}_sum {self._sum:.6f}", f"{name}_count {total}"]


class Measures:
    """What the server has done since it started; threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._questions = 0
        self._seconds, self._sizes = _Histogram(_SECONDS), _Histogram(_SIZES)

    def add_request(self, path: str, status: int) -> None:
        """Count an answered request, by the first part of its path."""
        with self._lock:
            self._requests[path, status] += 1

    def add_batch(self, asked: int, answered: int, seconds: float) -> None:
        """Count questions that were answered together.

        Args:
            asked: different questions, which the model was asked.
            answered: questions of all requests.
            seconds: time of the work.
        """
        with self._lock:
            self._questions += answered
            self._sizes.add(asked)
            self._seconds.add(seconds)

    def text(self, queue: int, results: int) -> str:
        """Write all metrics; `queue` requests wait, and `results` are kept."""
        with self._lock:
            requests = sorted(self._requests.items())
            lines = [
                "# HELP earthreason_requests_total Requests answered.",
                "# TYPE earthreason_requests_total counter",
                *(
                    f'earthreason_requests_total{{path="{path}",status="{status}"}} {count}'
                    for (path, status), count in requests
                ),
                "# HELP earthreason_questions_total Questions answered.",
                "# TYPE earthreason_questions_total counter",
                f"earthreason_questions_total {self._questions}",
                "# HELP earthreason_segment_seconds Time of the model for requests that were answered together.",
                "# TYPE earthreason_segment_seconds histogram",
                *self._seconds.lines("earthreason_segment_seconds"),
                "# HELP earthreason_batch_questions Different questions that were asked together.",
                "# TYPE earthreason_batch_questions histogram",
                *self._sizes.lines("earthreason_batch_questions"),
                "# HELP earthreason_queue_length Requests that wait.",
                "# TYPE earthreason_queue_length gauge",
                f"earthreason_queue_length {queue}",
                "# HELP earthreason_results Results that are kept.",
                "# TYPE earthreason_results gauge",
                f"earthreason_results {results}",
            ]
        return "\n".join(lines) + "\n"
