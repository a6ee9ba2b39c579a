"""Category maps show the objects of a scene, and writing them changes nothing else."""

import hashlib
import json

import numpy as np
from PIL import Image

from earthreason import load_dataset
from earthreason.synthetic import CATEGORIES, DISTRACTORS, write_release
from earthreason.synthetic.maps import MAP_KINDS, category_map
from earthreason.synthetic.scene import RenderedScene, SceneObject


def test_a_map_has_the_index_of_each_object_and_0_elsewhere():
    church, road, unknown = (np.zeros((2, 3), bool) for _ in range(3))
    church[0, 0] = road[1, :2] = unknown[0, 2] = True
    objects = (SceneObject("church", church), SceneObject("road", road), SceneObject("a thing without a name", unknown))
    scene = RenderedScene(np.zeros((2, 3, 3), np.uint8), 1.0, "urban", objects)
    of_church, of_road = MAP_KINDS.index("church"), MAP_KINDS.index("road")
    assert category_map(scene).tolist() == [[of_church, 0, 0], [of_road, of_road, 0]]


def test_every_category_and_distractor_has_its_own_value():
    assert MAP_KINDS[0] == "none"
    assert {*CATEGORIES, *DISTRACTORS} < set(MAP_KINDS)
    assert len(set(MAP_KINDS)) == len(MAP_KINDS) <= 255


def test_maps_come_beside_a_release_that_they_do_not_change(tmp_path):
    with_maps, without = tmp_path / "with", tmp_path / "without"
    write_release(with_maps, {"train": 6, "val": 2}, seed=2, size=(128, 160), category_maps=True, workers=2)
    write_release(without, {"train": 6, "val": 2}, seed=2, size=(128, 160))

    def digests(folder):
        files = [path for path in folder.rglob("*.*") if path.parent.name != "categories"]
        return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    assert digests(with_maps) == digests(without)
    names = json.loads((with_maps / "train" / "categories" / "categories.json").read_text())
    rows = load_dataset("earthreason", split="train", data_dir=str(with_maps))
    assert len(rows) == 6
    for row in rows:
        with Image.open(with_maps / "train" / "categories" / f"{row['sample_id']}.png") as picture:
            assert (picture.mode, picture.size) == ("L", (160, 128))
            values = np.asarray(picture)
        shown = {names[value] for value in np.unique(values[np.asarray(row["mask"]) > 0])}
        assert row["category"] in shown or row["is_empty"]
