"""The kinds of predictions files that boards and competition hosts take; the judge recognises them by their content."""

from __future__ import annotations

TEXTS = (".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz", ".ndjson.gz")
ARCHIVES = (".zip", ".npz")
MASKS = (".png", ".tif", ".tiff", ".npy")
"""Masks of a folder or zip, one a file."""
ENDINGS = tuple(dict.fromkeys(f".{ending.rpartition('.')[2]}" for ending in (*TEXTS, *ARCHIVES)))
"""Last parts of the names of uploads, by which file dialogs and hosts filter."""
DESCRIPTION = (
    "JSON or JSON Lines (also packed by gzip), a NumPy archive (.npz), or a zip of masks as PNG, TIFF or .npy files"
)
