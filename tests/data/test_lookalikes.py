"""Copies made by Pillow and numpy are found, with what was done to them; images of other scenes are not."""

import json
from pathlib import Path

import imagehash
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance

from earthreason.data.audit.lookalikes import _hashes, find_lookalikes, groups_of
from earthreason.data.audit.looks import look, mirrored_bits, read_look
from earthreason.data.audit.rules import near_duplicates

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "real_samples" / "images"
TURN = Image.Transpose


def scene(seed, side=320):
    """Draw fields, houses and roads by Pillow."""
    chance = np.random.default_rng(seed)
    coarse = chance.integers(40, 200, (7, 7, 3), np.uint8)
    image = Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(70):
        x, y = chance.integers(0, side, 2)
        width, height = chance.integers(6, 45, 2)
        shape = draw.rectangle if chance.random() < 0.6 else draw.ellipse
        shape([x, y, x + width, y + height], fill=tuple(int(c) for c in chance.integers(0, 255, 3)))
    noisy = np.asarray(image) + chance.normal(0, 4, (side, side, 3))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def values_of(image):
    grey = image.convert("L")
    grey.thumbnail((512, 512))
    return {"size": [image.height, image.width], "look": look(grey), "sha256": str(hash(image.tobytes()))}


def see(image):
    values = values_of(image)
    return read_look(tuple(values["size"]), json.loads(json.dumps(values["look"])))


@pytest.fixture(scope="module")
def scenes():
    return [scene(seed) for seed in range(6)]


@pytest.fixture(scope="module")
def seen(scenes):
    return [see(image) for image in scenes]


def test_scenes_that_differ_are_no_lookalikes(seen):
    assert find_lookalikes(seen) == []


CHANGES = {
    "": lambda image: ImageEnhance.Contrast(ImageEnhance.Brightness(image).enhance(1.15)).enhance(0.8),
    "scaled by 0.6": lambda image: image.resize((192, 192)),
    "flipped left to right": lambda image: image.transpose(TURN.FLIP_LEFT_RIGHT),
    "flipped top to bottom": lambda image: image.transpose(TURN.FLIP_TOP_BOTTOM),
    "turned by 90 degrees anticlockwise": lambda image: image.transpose(TURN.ROTATE_90),
    "turned by 180 degrees": lambda image: image.transpose(TURN.ROTATE_180),
    "turned by 90 degrees clockwise": lambda image: image.transpose(TURN.ROTATE_270),
    "flipped left to right and turned by 90 degrees anticlockwise": lambda image: image.transpose(TURN.TRANSPOSE),
    "flipped left to right and turned by 90 degrees clockwise": lambda image: image.transpose(TURN.TRANSVERSE),
    "a crop with 81% of the area": lambda image: image.crop((20, 8, 308, 296)),
    "a crop with 56% of the area": lambda image: image.crop((0, 80, 240, 320)),
    "flipped left to right, a crop with 81% of the area": lambda image: image.crop((16, 16, 304, 304)).transpose(0),
}


@pytest.mark.parametrize("how", CHANGES)
def test_a_changed_copy_is_found_and_described(scenes, seen, how):
    found = find_lookalikes([*seen, see(CHANGES[how](scenes[2]))])
    assert [(pair.first, pair.second) for pair in found] == [(2, len(seen))]
    said, expected = found[0].how.split("% of the")[0].split(), how.split("% of the")[0].split()
    assert said[:-1] == expected[:-1]
    if "crop" in how:  # a share of the area, read off a thumbnail of 48 x 48 pixels
        assert int(said[-1]) == pytest.approx(int(expected[-1]), abs=3)
    else:
        assert said[-1:] == expected[-1:]


@pytest.mark.parametrize(("x", "y"), [(64, 0), (0, 64), (64, 64), (-64, 32)])
def test_the_shift_of_overlapping_tiles_is_given_in_pixels(x, y):
    whole = scene(11, 448)
    tile = see(whole.crop((64, 32, 384, 352)))
    other = see(whole.crop((64 + x, 32 + y, 384 + x, 352 + y)))
    [pair] = find_lookalikes([tile, other])
    said = pair.how.removeprefix("shifted by about (").removesuffix(") px").split(", ")
    assert [int(value) for value in said] == pytest.approx([x, y], abs=2)


def test_a_common_logo_and_scale_bar_do_not_make_lookalikes(scenes):
    def framed(image):
        image = image.copy()
        draw = ImageDraw.Draw(image)
        draw.polygon([(0, 0), (130, 0), (0, 160)], fill=0)
        draw.text((190, 300), "Imagery (c) Maps", fill=(255, 255, 255))
        draw.text((10, 300), "N 100 m", fill=(255, 255, 255))
        return image

    assert find_lookalikes([see(framed(image)) for image in scenes]) == []


def test_a_common_object_does_not_make_lookalikes(scenes):
    stamp = scene(50, 110)

    def stamped(image, x, y):
        image = image.copy()
        image.paste(stamp, (x, y))
        return image

    assert find_lookalikes([see(stamped(image, 30 * n, 20 * n)) for n, image in enumerate(scenes)]) == []


def test_flat_and_nearly_flat_pictures_are_not_lookalikes():
    chance = np.random.default_rng(3)
    flat = [Image.new("RGB", (200, 200), (level,) * 3) for level in (0, 90, 255)]
    water = [
        Image.fromarray(np.clip(chance.normal(100 + n, 4, (200, 200, 3)), 0, 255).astype(np.uint8)) for n in range(9)
    ]
    assert find_lookalikes([see(image) for image in flat + water]) == []


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 2), (16, 16)])
def test_images_of_any_size_can_be_looked_at(size):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, size, np.uint8))
    assert find_lookalikes([see(picture.convert("RGB"))]) == []


def test_hashes_are_those_of_imagehash_in_eight_flips_and_turns():
    thumbnail = np.asarray(scene(1).convert("L").resize((64, 64)))
    ways = [np.rot90(side, -quarter) for side in (thumbnail, thumbnail[:, ::-1]) for quarter in range(4)]
    expected = [imagehash.phash(Image.fromarray(np.ascontiguousarray(way)), hash_size=16).hash for way in ways]
    got = np.unpackbits(_hashes(thumbnail[None]).view(np.uint8).reshape(8, 32), axis=1).reshape(8, 16, 16)
    assert np.abs(got.astype(int) - np.array(expected)).sum(axis=(1, 2)).max() <= 2  # rounding near the median


def test_bits_of_a_mirrored_image_are_mirrored_bits():
    image = scene(4)
    plain, mirrored = see(image), see(image.transpose(TURN.FLIP_LEFT_RIGHT))
    there = plain.frame[1] - 1 - plain.at.conj()
    close = np.abs(there[:, None] - mirrored.at) < 0.5
    same_way = np.abs(-plain.arm.conj()[:, None] / mirrored.arm - 1) < 0.1
    one, two = np.nonzero(close & same_way)
    differ = np.unpackbits(mirrored_bits(plain.bits)[one] ^ mirrored.bits[two], axis=1).sum(axis=1)
    assert len(one) > 60
    assert np.median(differ) < 8


def test_chains_form_one_group_and_a_leak_in_it_is_an_error(scenes):
    flipped = scenes[0].transpose(TURN.FLIP_LEFT_RIGHT)
    part = scenes[0].crop((20, 20, 310, 310))
    images = [scenes[0], flipped, scenes[1], part, scenes[3], scenes[3].transpose(TURN.ROTATE_90)]
    splits = ["train", "train", "train", "test", "test", "test"]
    named = [
        (f"{split}/{n}", split, values_of(image)) for n, (split, image) in enumerate(zip(splits, images, strict=True))
    ]
    leak, within = near_duplicates(named)
    assert (leak.severity, set(leak.samples)) == ("error", {"train/0", "train/1", "test/3"})
    assert "train/1 from train/0: flipped left to right" in leak.message
    assert "across splits (leakage)" in leak.message
    assert (within.severity, within.samples) == ("warning", ("test/4", "test/5"))
    assert within.message.endswith("test/4, test/5 (turned by 90 degrees anticlockwise)")


def test_a_copy_of_the_same_bytes_joins_the_group_of_its_twin(scenes):
    images = [("train/a", scenes[0]), ("train/b", scenes[0].transpose(TURN.ROTATE_180)), ("test/a", scenes[0])]
    [finding] = near_duplicates([(name, name.split("/")[0], values_of(image)) for name, image in images])
    assert (finding.severity, set(finding.samples)) == ("error", {"train/a", "train/b", "test/a"})


def test_identical_bytes_alone_are_no_near_duplicates(scenes):
    values = values_of(scenes[0])
    assert list(near_duplicates([("train/a", "train", values), ("test/a", "test", values)])) == []


def test_groups_join_pairs_that_share_an_image(seen, scenes):
    pairs = find_lookalikes([*seen[:2], see(CHANGES["turned by 180 degrees"](scenes[1]))])
    assert [len(group) for group in groups_of(pairs)] == [1]


@pytest.mark.skipif(not REAL.is_dir(), reason="no real images")
def test_copies_of_real_images_are_found_and_real_images_are_not_confused():
    images = [Image.open(path).convert("RGB") for path in sorted(REAL.iterdir())[::4]]
    changes = list(CHANGES.values())
    copies = [changes[n % len(changes)](image.resize((320, 320))) for n, image in enumerate(images)]
    found = find_lookalikes([see(image.resize((320, 320))) for image in images] + [see(copy) for copy in copies])
    assert [(pair.first, pair.second) for pair in found] == [(n, n + len(images)) for n in range(len(images))]
