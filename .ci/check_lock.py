"""Check that what is installed here is what constraints.txt and .ci/lock.txt say, and nothing else."""

import importlib.metadata
import sys
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

CI = Path(__file__).resolve().parent
OURS = {"earthreason", "earthreason-baselines", "earthreason-leaderboard", "earthreason-annotation"}
TOOLS = {"pip", "setuptools"}


def main() -> int:
    lines = ((CI.parent / "constraints.txt").read_text() + (CI / "lock.txt").read_text()).splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    allowed = {canonicalize_name(pin.name): pin for pin in pins if pin.marker is None or pin.marker.evaluate()}
    faults = []
    for installed in importlib.metadata.distributions():
        name = canonicalize_name(installed.name)
        if name in OURS | TOOLS:
            continue
        if name not in allowed:
            faults.append(f"{name} {installed.version} is installed and not in .ci/lock.txt: run `make lock`")
        elif not allowed[name].specifier.contains(installed.version, prereleases=True):
            faults.append(f"{name} {installed.version} is installed, and the lock file says {allowed[name]}")
    print("\n".join(sorted(faults)) or "everything installed is in the lock file")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
