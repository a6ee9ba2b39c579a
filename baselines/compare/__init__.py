"""Compare models on the same data, training budget and scoring."""

from pathlib import Path

SUITES = Path(__file__).resolve().parents[1] / "configs" / "suites"


def suite_names() -> list[str]:
    """Names of the suites that come with the package."""
    return sorted(path.stem for path in SUITES.glob("*.yaml"))
