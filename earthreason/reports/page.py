"""HTML pages that open offline: they contain their styles, and pictures as data."""

from __future__ import annotations

import base64
import io
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from earthreason.files import write_text
from earthreason.plurals import count_of


@lru_cache(maxsize=1)
def _environment() -> Environment:
    loader = PackageLoader("earthreason", "reports/templates")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    environment.globals["count_of"] = count_of
    return environment


def render(template: str, **values: Any) -> str:
    """Render a template of `reports/templates`; `css` in it is the shared style."""
    environment = _environment()
    assert environment.loader is not None
    css = environment.loader.get_source(environment, "base.css")[0]
    return environment.get_template(template).render(css=css, **values)


def write_page(path: Path, template: str, **values: Any) -> None:
    """Render a template of `reports/templates` with the shared style and write it atomically."""
    write_text(path, render(template, **values))


def embed_image(image: Image.Image) -> str:
    """Encode a picture as a data URL (JPEG)."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
