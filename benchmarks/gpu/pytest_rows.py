"""A pytest plugin that records the outcome of every test immediately, because the run may be killed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Write a row for every test that ran, was skipped, or failed in its setup."""
    if report.when != "call" and (report.when != "setup" or report.passed):
        return
    message = ""
    if report.failed:
        message = str(getattr(getattr(report.longrepr, "reprcrash", None), "message", report.longrepr))[:300]
    elif report.skipped and isinstance(report.longrepr, tuple):
        message = report.longrepr[2]
    row = {
        "test": report.nodeid.rpartition("/")[2],
        "outcome": report.outcome,
        "seconds": round(report.duration, 2),
        "message": message,
    }
    with Path(os.environ["EARTHREASON_TEST_ROWS"]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
