"""Structured logs: one JSON object per line on standard error."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

log = logging.getLogger("leaderboard")


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def set_up_logs(level: int = logging.INFO) -> None:
    """Send our log, and the web server's warnings, to standard error as JSON lines."""
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLines())
    for name, least in (("leaderboard", level), ("uvicorn.error", logging.WARNING), ("earthreason", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(least)
        logger.propagate = False


def say(event: str, level: int = logging.INFO, **facts: Any) -> None:
    """Log an event with its facts."""
    log.log(level, event, extra={"facts": facts})
