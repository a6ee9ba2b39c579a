"""Make a tiny RRSIS-HR in its real form, that of RRSIS-D: python -m tests.data.fakes.rrsis_hr FOLDER."""

import sys
from pathlib import Path

from tests.data.fakes import rrsis_d


def make(folder: Path) -> None:
    """Write `rrsis_hr/` and `images/rrsis_hr/`."""
    rrsis_d.make(folder, "rrsis_hr")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
