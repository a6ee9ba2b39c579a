"""Run a notebook and store its outputs in it, so that a reader sees them without a kernel.

python -m benchmarks.notebook examples/quickstart.ipynb
"""

from __future__ import annotations

import argparse
import base64
import io
from pathlib import Path
from typing import Any

from PIL import Image

from earthreason.files import write_text

_COLOURS = 256
ROOT = Path(__file__).resolve().parent.parent


def run_notebook(notebook: Any) -> None:
    """Run all cells of a notebook in a fresh kernel in the repository root, with outputs into the notebook.

    Raises:
        CellExecutionError: a cell fails.
    """
    from nbclient import NotebookClient

    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(ROOT)}}).execute()


def tidy(notebook: Any) -> None:
    """Keep of the outputs what readers need, so that the file stays small and changes only with what it shows.

    Times of execution go, and what is written to stderr, such as bars of progress. Pictures get a palette of 256
    colours, a third of the bytes. Where an output is both a picture and HTML with the same pictures, the picture stays,
    because some viewers remove pictures inside HTML.
    """
    notebook.metadata.language_info = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type != "code":
            continue
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
        for output in cell.outputs:
            data = output.get("data", {})
            if "image/png" in data:
                data.pop("text/html", None)
                data["image/png"] = _shrink(data["image/png"])


def _shrink(encoded: str) -> str:
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as picture:
        picture.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def main() -> None:
    import nbformat

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebook", type=Path)
    a = parser.parse_args()
    notebook = nbformat.read(a.notebook, as_version=4)
    run_notebook(notebook)
    tidy(notebook)
    write_text(a.notebook, nbformat.writes(notebook) + "\n")


if __name__ == "__main__":
    main()
