"""The worker: claims jobs, has them scored in the sandbox and stores the results."""

from __future__ import annotations

import json
import logging
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from .availability import UnavailableError, cause_of
from .database import Database
from .jobs import ASK_AGAIN, JobOutcome, ScoringJob, claim_job, fail_job, finish_job, return_job
from .logs import say
from .sandbox import DONE, ENDED, KILLED, NO_DISK, REFUSED, STARVED, Sandbox, SandboxError, SandboxTask
from .settings import Settings
from .tables import Split, Upload

CRASH_MESSAGE = f"scoring failed because of an error on the server; {ASK_AGAIN}"
_OF_THE_MACHINE = {
    ENDED: "scoring was killed from outside; the machine may be out of memory",
    STARVED: "scoring got little processor time before the time limit; the machine may be overloaded",
    NO_DISK: "scoring could not write its result; the disk may be full",
}
_RETRY_SECONDS, _LONGEST_PAUSE = 0.5, 8.0
Returned = TypeVar("Returned")


class Worker:
    """A worker. Any number may work on one database, on any number of machines."""

    def __init__(
        self, database: Database, settings: Settings, scratch: Path, stop: threading.Event | None = None
    ) -> None:
        self.database = database
        self.settings = settings
        self.scratch = scratch
        self.stop = stop or threading.Event()
        self.name = f"{socket.gethostname()}:{os.getpid()}"

    def run(self) -> None:
        """Work until stopped. While the database is unavailable, wait for it."""
        say("worker started", worker=self.name)
        with Sandbox() as sandbox:
            while not self.stop.is_set():
                if not self.run_once(sandbox):
                    self.stop.wait(self.settings.poll_seconds)
        say("worker stopped", worker=self.name)

    def run_once(self, sandbox: Sandbox) -> bool:
        """Do one job. Return False if there was none."""
        job = self._in_transaction(lambda session: claim_job(session, self.settings))
        if job is None:
            return False
        began = time.perf_counter()
        try:
            with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
                how, stored = self._work(sandbox, job, Path(folder), began)
        except SandboxError:
            how, stored = "returned", self._in_transaction(lambda session: return_job(session, job))
        except OSError as error:
            cause = cause_of(error)
            if cause is None:
                raise
            say("no place to work", logging.ERROR, worker=self.name, cause=cause.value, folder=str(self.scratch))
            how, stored = "returned", self._in_transaction(lambda session: return_job(session, job))
            self.stop.wait(_LONGEST_PAUSE)
        say(
            "job finished" if stored else "job lost to another worker",
            submission=job.submission_id,
            how=how,
            attempt=job.attempt,
            seconds=round(time.perf_counter() - began, 3),
            worker=self.name,
        )
        return True

    def _work(self, sandbox: Sandbox, job: ScoringJob, folder: Path, began: float) -> tuple[str, bool | None]:
        task = self._in_transaction(lambda session: self._prepare(session, job, folder))
        if task is None:
            return "stopped", False
        how = sandbox.score(folder, task)
        if how == DONE:
            outcome = _read_outcome(folder, time.perf_counter() - began)
            return how, self._in_transaction(lambda session: finish_job(session, job, outcome))
        if how in _OF_THE_MACHINE:  # as if this worker had died: tried again when the lease ends, a few times at most
            say(_OF_THE_MACHINE[how], logging.ERROR, submission=job.submission_id, attempt=job.attempt)
            return how, True
        host_fault = how not in (REFUSED, KILLED)
        if how == REFUSED:
            reason = (folder / "error.txt").read_text()
        elif how == KILLED:
            reason = f"scoring needs more than {task.time_limit} s or {task.memory_mib} MiB, so it was stopped"
        else:
            reason = CRASH_MESSAGE
            say("scoring crashed", logging.ERROR, submission=job.submission_id)
        return how, self._in_transaction(lambda session: fail_job(session, job, reason, host_fault=host_fault))

    def _prepare(self, session: Session, job: ScoringJob, folder: Path) -> SandboxTask | None:
        """Write the job's files; return None if its submission is gone. Truth and scenes are kept between jobs."""
        split = session.get_one(Split, job.split_id)
        content = session.scalar(select(Upload.content).where(Upload.sha256 == job.sha256))
        if content is None:  # the submission was deleted meanwhile
            return None
        (folder / "predictions").write_bytes(content)
        truth = self._keep(f"{split.truth_sha256}.truth", lambda: split.truth)
        scenes = None
        if not split.hidden and session.scalar(select(Split.scenes.is_not(None)).where(Split.id == split.id)):
            scenes = self._keep(f"{split.truth_sha256}.scenes", lambda: split.scenes or b"")
        return SandboxTask(
            config=split.config,
            split=split.name,
            main_protocol=split.main_protocol,
            hidden=split.hidden,
            truth=str(truth),
            scenes=None if scenes is None else str(scenes),
            resamples=self.settings.resamples,
            time_limit=self.settings.time_limit,
            memory_mib=self.settings.memory_mib,
        )

    def _keep(self, name: str, read: Callable[[], bytes]) -> Path:
        path = self.scratch / name
        if not path.exists():
            part = path.with_suffix(f".{os.getpid()}")
            part.write_bytes(read())
            part.rename(path)
        return path

    def _in_transaction(self, action: Callable[[Session], Returned]) -> Returned | None:
        """Run `action` in a transaction; retry while the database is unavailable. Return None if stopped meanwhile."""
        pause = _RETRY_SECONDS
        while True:
            try:
                with self.database.write() as session:
                    return action(session)
            except UnavailableError as error:
                facts = {"cause": error.cause.value, "reason": error.reason}
                say("database unavailable", logging.ERROR, worker=self.name, **facts)
                if self.stop.wait(pause):
                    return None
                pause = min(2 * pause, _LONGEST_PAUSE)


def _read_outcome(folder: Path, seconds: float) -> JobOutcome:
    outcome = json.loads((folder / "outcome.json").read_text())
    table = folder / "table.csv"
    return JobOutcome(
        record=outcome["record"],
        counts=(folder / "counts.npz").read_bytes(),
        table=table.read_bytes() if table.exists() else None,
        gallery=outcome["gallery"],
        pictures={name: (folder / f"{name}.jpg").read_bytes() for name in outcome["pictures"]},
        seconds=seconds,
    )
