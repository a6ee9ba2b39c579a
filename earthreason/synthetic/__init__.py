"""Draw synthetic overhead scenes with exact masks. The examples in the README use them as data."""

from earthreason.synthetic.categories import CATEGORIES, DISTRACTORS, HELD_OUT_CATEGORIES
from earthreason.synthetic.generate import generate_scene, iterate_scenes
from earthreason.synthetic.release import write_release
from earthreason.synthetic.render import render_scene

__all__ = [
    "CATEGORIES",
    "DISTRACTORS",
    "HELD_OUT_CATEGORIES",
    "generate_scene",
    "iterate_scenes",
    "render_scene",
    "write_release",
]
