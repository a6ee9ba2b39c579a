"""Draw overhead scenes by rule, with exact masks: the data that every example in the README runs on."""

from earthreason.data.synthetic.generate import generate_scene, iterate_scenes
from earthreason.data.synthetic.release import write_release
from earthreason.data.synthetic.render import render_scene
from earthreason.data.synthetic.scene import CATEGORIES, HELD_OUT_CATEGORIES

__all__ = [
    "CATEGORIES",
    "HELD_OUT_CATEGORIES",
    "generate_scene",
    "iterate_scenes",
    "render_scene",
    "write_release",
]
