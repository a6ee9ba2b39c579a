"""Answer questions about georeferenced scenes of any size, and write the answers as map layers.

Importing this package is cheap: rasterio, shapely, pyogrio and pyproj (the extra `geo`) are imported when a scene is
read or a layer is made.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from earthreason.geo.answers import SceneAnswers as SceneAnswers
    from earthreason.geo.layers import AnswerLayer as AnswerLayer
    from earthreason.geo.model import TileModel as TileModel
    from earthreason.geo.model import TileScores as TileScores
    from earthreason.geo.planning import Settings as Settings
    from earthreason.geo.predictor import GeoPredictor as GeoPredictor
    from earthreason.geo.reading import open_scene as open_scene
    from earthreason.geo.regions import Region as Region
    from earthreason.geo.writing_rasters import write_mask as write_mask
    from earthreason.geo.writing_rasters import write_probability as write_probability

_LAZY = {
    "AnswerLayer": "layers",
    "GeoPredictor": "predictor",
    "Region": "regions",
    "SceneAnswers": "answers",
    "Settings": "planning",
    "TileModel": "model",
    "TileScores": "model",
    "open_scene": "reading",
    "write_mask": "writing_rasters",
    "write_probability": "writing_rasters",
}

__all__ = [
    "AnswerLayer",
    "GeoPredictor",
    "Region",
    "SceneAnswers",
    "Settings",
    "TileModel",
    "TileScores",
    "open_scene",
    "write_mask",
    "write_probability",
]

if not TYPE_CHECKING:  # or type checkers would accept every misspelt name

    def __getattr__(name: str) -> Any:
        if name in _LAZY:
            value = getattr(import_module(f"earthreason.geo.{_LAZY[name]}"), name)
            globals()[name] = value
            return value
        raise AttributeError(f"module 'earthreason.geo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
