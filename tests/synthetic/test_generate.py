import hashlib
import json

import numpy as np
import pytest

from earthreason.data.load import load_dataset
from earthreason.data.sources.release import Release
from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.synthetic import HELD_OUT_CATEGORIES, iterate_scenes, write_release
from earthreason.synthetic.generate import SPLITS, compose_scene, generate_scene
from earthreason.synthetic.phrases import load_phrases
from earthreason.synthetic.release import split_counts


def release_records(folder):
    source = Release(folder)
    return {split: source.read(split) for split in source.counts}, source.counts


def digest(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_bytes_do_not_depend_on_the_number_of_workers(tmp_path):
    write_release(tmp_path / "one", 12, seed=5, workers=1, size=(128, 128))
    write_release(tmp_path / "two", 12, seed=5, workers=2, size=(128, 128))
    assert digest(tmp_path / "one") == digest(tmp_path / "two")
    write_release(tmp_path / "other", 12, seed=6, workers=1, size=(128, 128))
    assert set(digest(tmp_path / "one")) != set(digest(tmp_path / "other"))


def test_iteration_keeps_its_order_with_workers():
    alone = [s.sample_id for s in iterate_scenes(1, {"train": 3, "test": 2}, size=(128, 128))]
    together = [s.sample_id for s in iterate_scenes(1, {"train": 3, "test": 2}, size=(128, 128), workers=2)]
    expected = ("train_000000", "train_000001", "train_000002", "test_000000", "test_000001")
    assert alone == together == [f"synthetic_s1_{name}" for name in expected]


def test_training_never_shows_a_held_out_category():
    from earthreason.synthetic.categories import CATEGORIES
    from earthreason.synthetic.render import render_scene

    for index, category in enumerate(c for c in CATEGORIES if c not in HELD_OUT_CATEGORIES):
        scene = render_scene(np.random.default_rng(index), category, size=(128, 128), exclude=HELD_OUT_CATEGORIES)
        assert not {thing.kind for thing in scene.objects} & HELD_OUT_CATEGORIES


def test_training_has_24_categories_and_evaluation_all_28():
    asked = {split: {scene.category for scene in iterate_scenes(3, {split: 28}, size=(96, 96))} for split in SPLITS}
    assert {split: len(names) for split, names in asked.items()} == {"train": 24, "val": 28, "test": 28}
    assert asked["train"] == asked["test"] - HELD_OUT_CATEGORIES


def test_what_is_written_reads_back_as_a_release(tmp_path):
    written = write_release(tmp_path / "set", 12, seed=5, size=(128, 160))
    splits, counts = release_records(tmp_path / "set")
    assert list(counts.values()) == list(written.scenes.values())
    record = next(splits["train"])
    made = generate_scene(5, "train", 0, (128, 160))
    assert record.sample_id == made.sample_id
    assert record.questions == made.questions
    assert record.answers == made.answers
    assert record.ground_resolution == made.ground_resolution
    assert (record.height, record.width) == (128, 160)
    assert sum(r.is_empty for part in release_records(tmp_path / "set")[0].values() for r in part) == sum(
        written.empty.values()
    )


@pytest.mark.parametrize(
    ("arguments", "expected"), [((0, "train", 3), "07b2f62d4a1c48a3"), ((5, "test", 11), "2c86de45d66e6d49")]
)
def test_scenes_are_those_of_earlier_releases(arguments, expected):
    sample = generate_scene(*arguments, (128, 128))
    pixels = np.asarray(sample.image).tobytes() + sample.mask.tobytes()
    assert hashlib.sha256(pixels + "|".join(sample.questions).encode()).hexdigest()[:16] == expected


def test_splits_may_be_counted_one_by_one(tmp_path):
    written = write_release(tmp_path / "set", {"val": 2, "train": 5, "test": 0}, seed=5, size=(128, 128))
    assert written.scenes == {"train": 5, "val": 2}
    assert sorted(path.name for path in (tmp_path / "set").iterdir()) == ["train", "val"]
    assert len(list((tmp_path / "set" / "train" / "images").iterdir())) == 5


@pytest.mark.parametrize(
    ("counts", "words"),
    [({"train": 0}, "no scenes to write"), ({"train": -1}, "-1 scenes for train"), ({"training": 3}, "unknown split")],
)
def test_counts_that_make_no_set_are_refused(counts, words, tmp_path):
    with pytest.raises(EarthReasonError, match=words):
        write_release(tmp_path / "set", counts, seed=5)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("count", "share", "least", "most"), [(12, 0.0, 0, 0), (12, 1.0, 12, 12), (60, 0.3, 4, 36)])
def test_the_share_of_empty_targets_is_the_requested_one(count, share, least, most):
    scenes = iterate_scenes(9, {"train": count}, size=(128, 128), empty_share=share)
    assert least <= sum(scene.is_empty for scene in scenes) <= most  # (0.3: one seed in 500,000 falls outside)


def test_wordings_and_categories_of_training_are_only_in_train(tmp_path):
    write_release(tmp_path / "set", {"train": 28, "val": 28}, seed=5, size=(128, 128), empty_share=0.3)
    splits, _ = release_records(tmp_path / "set")
    train, val = list(splits["train"]), list(splits["validation"])
    assert (len(train), len(val)) == (28, 28)
    assert not {record.category for record in train} & HELD_OUT_CATEGORIES
    assert {record.category for record in val} >= HELD_OUT_CATEGORIES
    for records, own, other in ((train, "train", "val"), (val, "val", "train")):
        for record in records:
            for question in record.questions:
                assert any(text in question for text in texts_of(record.category, own)), question
                assert not any(text in question for text in texts_of(record.category, other)), question


def texts_of(category, split):
    phrases = load_phrases(category)
    return (*phrases.clauses(split), *phrases.stories(split))


def test_another_wording_changes_the_questions_and_not_the_scene():
    plain, other = (compose_scene(4, "test", 2, (128, 128), wording=wording) for wording in (None, "train"))
    assert np.array_equal(plain.scene.image, other.scene.image)
    assert np.array_equal(plain.target.mask, other.target.mask)
    assert all(any(text in question for text in texts_of(other.category, "train")) for question in other.questions)
    assert not set(plain.questions) & set(other.questions)
    with pytest.raises(UnknownNameError, match="unknown wording 'tests'; did you mean 'test'"):
        compose_scene(4, "test", 0, wording="tests")


def test_only_chosen_categories_are_asked_about():
    made = [compose_scene(4, "test", index, (128, 128), categories={"pier", "dam"}).category for index in range(4)]
    assert sorted(made) == ["dam", "dam", "pier", "pier"]
    with pytest.raises(UnknownNameError, match="did you mean 'pier'"):
        compose_scene(4, "test", 0, categories={"peer"})
    with pytest.raises(EarthReasonError, match="name at least one"):
        compose_scene(4, "test", 0, categories=())


def test_a_composition_has_every_object_and_the_facts_of_its_sample():
    for index in range(10):
        made, sample = compose_scene(6, "val", index, (128, 128), 0.5), generate_scene(6, "val", index, (128, 128), 0.5)
        assert sample.is_empty != bool(made.scene.of_kind(made.category))
        assert np.array_equal(sample.mask, made.target.mask)
        assert (sample.category, sample.reasoning_type) == (made.category, made.target.reasoning_type)
        assert (sample.questions, sample.answers) == (made.questions, made.answers)


def test_questions_about_a_landmark_have_it_in_the_scene_even_for_empty_targets():
    kinds = {"water": {"river", "lake", "sea"}, "trees": {"woodland"}}
    made = [compose_scene(8, "test", index, (128, 128), 1.0, categories={"factory"}) for index in range(12)]
    asked = [one for one in made if one.target.landmark]
    assert asked
    for one in asked:
        assert {item.kind for item in one.scene.objects} & kinds[one.target.landmark]


def test_a_release_of_train_alone_loads(tmp_path):
    write_release(tmp_path / "set", {"train": 3}, seed=5, size=(128, 128))
    dataset = load_dataset("earthreason", data_dir=tmp_path / "set", split="train")
    assert dataset["sample_id"][0] == generate_scene(5, "train", 0, (128, 128)).sample_id
    assert list(load_dataset("earthreason", data_dir=tmp_path / "set")) == ["train"]


@pytest.mark.parametrize("share", [1.2, -0.1, float("nan")])
def test_a_share_outside_0_to_1_is_refused(share, tmp_path):
    with pytest.raises(EarthReasonError, match="between 0 and 1"):
        generate_scene(0, "train", 0, (128, 128), empty_share=share)
    with pytest.raises(EarthReasonError, match="between 0 and 1"):
        write_release(tmp_path / "set", {"train": 2}, seed=0, size=(128, 128), empty_share=share)
    assert list(tmp_path.iterdir()) == []


def test_question_files_have_the_keys_of_the_release(tmp_path):
    write_release(tmp_path / "set", 6, seed=5, size=(128, 128))
    qa = json.loads(next((tmp_path / "set" / "train" / "QAs").iterdir()).read_text())
    assert {"questions", "answer"} <= set(qa)


def test_splits_are_shared_as_in_the_release():
    assert split_counts(5434) == {"train": 2371, "val": 1135, "test": 1928}


def test_an_interruption_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_release(tmp_path / "set", 12, seed=5, size=(128, 128), progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(EarthReasonError, match="not an empty folder"):
        write_release(tmp_path, 12, seed=5)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]
    with pytest.raises(EarthReasonError, match="at least 5"):
        write_release(tmp_path / "new", 1, seed=5)


def test_varied_sizes_vary():
    sizes = {generate_scene(2, "val", index, None).image.size for index in range(6)}
    assert len(sizes) == 6


def test_unknown_split_names_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'train'"):
        generate_scene(0, "trian", 0)
