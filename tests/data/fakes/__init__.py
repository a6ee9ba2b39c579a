"""Makers of tiny sets in their published form, written without this package."""

SIZES = {
    "drseg": {"train": 1, "validation": 1, "test": 2},
    "earthreason-fs": {"train": 4, "validation": 2, "test": 2},
    "geopix-instruct": {"train": 2, "validation": 1},
    "geopixel": {"train": 1, "test": 1},
    "geoseg-bench": {"train": 1, "test": 4},
    "gres": {"train": 1, "validation": 1, "test": 2},
    "lasers": {"train": 1, "test": 3},
    "liss4reason": {"train": 2, "validation": 1, "test": 1},
    "reasonseg": {"train": 1, "validation": 1, "test": 1},
    "refsegrs": {"train": 2, "validation": 1, "test": 1},
    "risbench": {"train": 2, "validation": 1, "test": 2},
    "rrsis-d": {"train": 1, "validation": 1, "test": 1},
    "rrsis-hr": {"train": 1, "validation": 1, "test": 1},
}
"""Number of samples that each maker writes, by configuration and split."""
