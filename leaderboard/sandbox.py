"""Scoring in a separate process, with limits on time and memory and without access to secrets.

A worker starts one sandbox: a process with a minimal environment and no privileges beyond its user's, which has
imported the judge and reads the names of job folders. For each it forks a child, which limits itself, scores, writes
the outcome into the folder and ends. Damage by an upload (memory, endless work, a crash in a decoder) is limited
to the child. It cannot read the environment or memory of our other processes, but it can use the network and the files
of its user.

A job folder holds `job.json` and `predictions`; after scoring also `outcome.json` and its files, or `error.txt`.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time
import traceback
import warnings
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from earthreason.errors import EarthReasonError, PredictionsError

from .processes import drop_rights

DONE, REFUSED, KILLED, CRASHED = "done", "refused", "killed", "crashed"
ENDED, STARVED, NO_DISK = "ended", "starved", "no disk"
"""Outcomes that are the machine's fault: killed from outside, given little processor time, no room to write."""
_LITTLE_TIME = 0.5
"""Share of the time limit; a child that used less of the processor when its time was up had waited for the machine."""
MAX_MEMBERS = 200_000
MAX_UNPACKED = 2 << 30
_SMALL_MEMBER = 64 << 20
"""Members up to this size may be packed at any ratio: deflate packs an empty mask over 900 times."""
MAX_RATIO = 500
_UPLOAD = "predictions"
_FILE_BYTES = 256 << 20
_NICENESS = 5
"""Niceness of scoring: on a machine with few cores, serving pages comes first."""
_BY_LIMIT = (signal.SIGXCPU, signal.SIGABRT)
"""Signals that end a child at a limit; libraries abort when memory is refused."""
_CPU_GRACE = 5
"""Seconds between the signal and the kill at the processor limit; an earlier SIGKILL must come from outside."""


@dataclass(frozen=True)
class SandboxTask:
    """A scoring job, as stored in `job.json`."""

    config: str
    split: str
    main_protocol: str
    hidden: bool
    truth: str
    scenes: str | None
    resamples: int
    time_limit: int
    memory_mib: int


class SandboxError(RuntimeError):
    """The sandbox ended before the job was done."""


class Sandbox:
    """The worker's side of the sandbox. Use as a context manager."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Sandbox:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _start(self) -> None:
        kept = ("PATH", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "NUMBA_CACHE_DIR", "VIRTUAL_ENV")
        environment = {name: os.environ[name] for name in kept if name in os.environ}
        environment |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
        environment |= {"MALLOC_ARENA_MAX": "2", "HF_HUB_OFFLINE": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.sandbox"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=Path(__file__).parent.parent,
        )

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()
            self._process = None

    def score(self, folder: Path, task: SandboxTask) -> str:
        """Score the job in a folder.

        Returns:
            DONE, REFUSED, KILLED (a limit was reached), CRASHED, or an outcome that is the machine's fault: ENDED
            (killed from outside, as the kernel does where there is no memory left), STARVED or NO_DISK.

        Raises:
            SandboxError: the sandbox was ended from outside; a new one is started.
        """
        (folder / "job.json").write_text(json.dumps(asdict(task)))
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(f"{folder}\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline().strip()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self._stop()
            self._start()
            raise SandboxError("the sandbox has ended")
        return answer


def main() -> None:
    """Run the sandbox: read a folder per line, answer each with the name of its outcome."""
    os.nice(_NICENESS)
    drop_rights()
    _warm_up()
    for line in sys.stdin:
        folder = Path(line.strip())
        task = SandboxTask(**json.loads((folder / "job.json").read_text()))
        child = os.fork()
        if child == 0:
            _run_child(folder, task)
        sys.stdout.write(f"{_wait_for(child, task.time_limit)}\n")
        sys.stdout.flush()


def _warm_up() -> None:
    """Import and compile everything once, so that children start quickly."""
    import numpy as np
    import pandas as pd  # noqa: F401 - per-question tables

    import earthreason

    from . import gallery, scoring  # noqa: F401

    mask = np.ones((4, 4), bool)
    earthreason.evaluate({"a": mask, "b": mask}, {"a": mask, "b": mask}, resamples=2)


def _wait_for(child: int, time_limit: float) -> str:
    deadline = time.monotonic() + time_limit
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            _, _, used = os.wait4(child, 0)
            little = used.ru_utime + used.ru_stime < _LITTLE_TIME * time_limit
            return STARVED if little else KILLED
        time.sleep(0.005)
    if os.WIFSIGNALED(status):
        by = os.WTERMSIG(status)
        return KILLED if by in _BY_LIMIT else ENDED if by == signal.SIGKILL else CRASHED
    return {0: DONE, 2: REFUSED, 3: KILLED, 4: NO_DISK}.get(os.WEXITSTATUS(status), CRASHED)


def _run_child(folder: Path, task: SandboxTask) -> None:
    code = 1
    try:
        os.dup2(2, 1)  # output of a library must not be read as an answer
        _limit(task)
        _score(folder, task)
        code = 0
    except EarthReasonError as error:
        from .scoring import public_message

        (folder / "error.txt").write_text(public_message(error, str(folder / _UPLOAD)))
        code = 2
    except MemoryError:
        code = 3
    except OSError as error:
        traceback.print_exc()  # to standard error, which is the worker's log and not public
        code = 4 if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS) else 1
    except BaseException as error:
        traceback.print_exc()
        if type(error).__module__ == "pyo3_runtime":  # pydantic's parser is out of memory
            code = 3
    finally:
        sys.stderr.flush()
        os._exit(code)


def _limit(task: SandboxTask) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    memory = pages * resource.getpagesize() + (task.memory_mib << 20)
    resource.setrlimit(resource.RLIMIT_CPU, (task.time_limit, task.time_limit + _CPU_GRACE))
    for limit, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, _FILE_BYTES),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))


def _score(folder: Path, task: SandboxTask) -> None:
    from PIL import Image

    from earthreason.metrics.references import read_references
    from earthreason.predictions.reader import open_predictions

    from .gallery import draw_gallery
    from .scoring import score_predictions

    references = read_references(Path(task.truth))
    references.source = f"{task.config}/{task.split}"
    # Pillow refuses pictures of twice this many pixels before it unpacks them.
    Image.MAX_IMAGE_PIXELS = max(reference.height * reference.width for reference in references.values())
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    path = folder / _UPLOAD
    check_archive(path)
    predictions = open_predictions(path)
    scoring = score_predictions(
        predictions,
        references,
        config=task.config,
        split=task.split,
        hidden=task.hidden,
        main=task.main_protocol,
        resamples=task.resamples,
    )
    outcome: dict[str, Any] = {"record": scoring.final.model_dump(mode="json"), "gallery": [], "pictures": []}
    (folder / "counts.npz").write_bytes(scoring.details())
    if not task.hidden:
        first = scoring.results[task.main_protocol]
        (folder / "table.csv").write_text(first.per_sample.to_csv(index=False))
        if task.scenes is not None:
            galleries, pictures = draw_gallery(first, predictions, Path(task.scenes))
            outcome |= {"gallery": galleries, "pictures": list(pictures)}
            for name, content in pictures.items():
                (folder / f"{name}.jpg").write_bytes(content)
    (folder / "outcome.json").write_text(json.dumps(outcome))


def check_archive(path: Path) -> None:
    """Refuse a zip bomb before anything is unpacked.

    Raises:
        PredictionsError: the zip is broken, too large, or packed by an unsupported method.
    """
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError) as error:
        raise PredictionsError(str(path), [f"broken zip: {error}"]) from None
    unpacked = sum(member.file_size for member in members)
    fault = None
    if len(members) > MAX_MEMBERS:
        fault = f"the zip contains {len(members)} files; at most {MAX_MEMBERS} are allowed"
    elif unpacked > MAX_UNPACKED:
        fault = f"the zip unpacks to {unpacked >> 20} MiB; at most {MAX_UNPACKED >> 20} MiB are allowed"
    elif any(member.file_size > max(_SMALL_MEMBER, MAX_RATIO * max(member.compress_size, 1)) for member in members):
        fault = f"a file in the zip unpacks to over {MAX_RATIO} times its size"
    elif any(member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for member in members):
        fault = "the zip uses another method than deflate; zip the files again"
    if fault:
        raise PredictionsError(str(path), [fault])


if __name__ == "__main__":
    main()
