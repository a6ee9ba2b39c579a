"""Figures in files; as SVG, they follow the reader's light or dark mode."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earthreason.files import atomic_path, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DARK = """<style>
svg { color-scheme: light dark; }
@media (prefers-color-scheme: dark) {
 svg { fill: #e8eaee; background: #14181f; }
 [style*="fill: #ffffff"] { fill: #14181f !important; }
 [style*="stroke: #ffffff"] { stroke: #14181f !important; }
 [style*="fill: #000000"], [style*="fill: #222222"] { fill: #e8eaee !important; }
 [style*="stroke: #bbbbbb"] { stroke: #4a525e !important; }
 [style*="stroke: #000000"], [style*="stroke: #222222"] { stroke: #e8eaee !important; }
}
</style>"""
"""The colours of base.css. A program that ignores styles for dark mode draws the light figure."""
_UNDATED = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
"""Metadata that keep the time of writing out of a file, by format."""


def follow_dark_mode(svg: str) -> str:
    """Add styles to an SVG of Matplotlib that replace its white ground and black ink in dark mode."""
    return re.sub(r"<svg\b[^>]*>", lambda tag: f"{tag[0]}\n{_DARK}", svg, count=1)


def save_figure(figure: Figure, path: Path, form: str | None = None, **options: Any) -> None:
    """Write a figure atomically; the same figure gives the same bytes, so that a figure drawn again is no change.

    Args:
        figure: figure to write.
        path: file to write.
        form: format; None takes it from the ending of `path`.
        options: further arguments of Matplotlib's `savefig`.
    """
    form = form or path.suffix.lstrip(".").lower() or "png"
    if form == "svg":
        write_text(path, _svg_of(figure, **options))
    else:
        with atomic_path(path) as temporary:
            _draw(figure, temporary, form, **options)


def embed_figure(figure: Figure) -> str:
    """Encode a figure as a data URL (SVG), which follows dark mode."""
    return embed_svg(_svg_of(figure))


def embed_svg(svg: str) -> str:
    """Encode an SVG as a data URL."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode('ascii')}"


def _svg_of(figure: Figure, **options: Any) -> str:
    text = io.StringIO()
    _draw(figure, text, "svg", **options)
    return follow_dark_mode(text.getvalue())


def _draw(figure: Figure, target: Path | io.StringIO, form: str, **options: Any) -> None:
    import matplotlib as mpl

    options.setdefault("metadata", _UNDATED.get(form))
    with mpl.rc_context({"svg.hashsalt": mpl.rcParams["svg.hashsalt"] or "earthreason"}):
        figure.savefig(target, format=form, **options)
