"""Thirty planted faults are found, and nothing else."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from earthreason.cli.main import app
from earthreason.data.audit.verify import audit
from earthreason.data.sources.release import Release
from earthreason.errors import DataFormatError
from earthreason.synthetic.release import write_release


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    root = tmp_path_factory.mktemp("release") / "set"
    write_release(root, 200, seed=4, workers=2, size=(160, 160))
    return root


@pytest.fixture
def release(sound, tmp_path):
    shutil.copytree(sound, tmp_path / "set")
    return tmp_path / "set"


def test_a_sound_set_has_no_findings(sound):
    result = audit(sound, workers=2)
    assert result.findings == []
    assert sum(result.counts.values()) == 200
    assert result.files == 600


def plant(root):
    """Damage a release in thirty ways; returns {rule: samples}."""
    planted = {}
    samples = {split: sorted(p.stem for p in (root / split / "images").iterdir()) for split in ("train", "val", "test")}
    taken = iter([("train", stem) for stem in samples["train"]])
    later = iter([("test", stem) for stem in samples["test"]])

    def note(rule, *names):
        planted.setdefault(rule, []).append({f"{split}/{stem}" for split, stem in names})

    def path(where, part):
        split, stem = where
        suffix = {"images": ".jpg", "labels": ".png", "QAs": ".json"}[part]
        return root / split / part / f"{stem}{suffix}"

    def take(empty=None):
        for where in taken:
            area = np.asarray(Image.open(path(where, "labels"))).any()
            if empty is None or empty == (not area):
                return where
        raise AssertionError("too few samples")

    def edit(where, change):
        qa = json.loads(path(where, "QAs").read_text())
        change(qa)
        path(where, "QAs").write_text(json.dumps(qa))

    for part in ("images", "labels", "QAs"):  # 1-3
        where = take()
        path(where, part).unlink()
        note("unpaired", where)
    where = take()  # 4
    Image.open(path(where, "images")).save(path(where, "images").with_suffix(".png"))
    note("unpaired", where)
    for part in ("images", "labels"):  # 5-8: cut off, not a picture
        where = take()
        whole = path(where, part).read_bytes()
        path(where, part).write_bytes(whole[: len(whole) // 2])
        note("unreadable", where)
        where = take()
        path(where, part).write_bytes(b"not a picture")
        note("unreadable", where)
    where = take(empty=False)  # 9: a mask that is only transparency
    label = Image.open(path(where, "labels")).convert("L")
    Image.merge("RGBA", [Image.new("L", label.size, 255)] * 3 + [label]).save(path(where, "labels"))
    note("unreadable", where)
    where = take(empty=False)  # 10: a colour is a third grey
    coloured = Image.open(path(where, "labels")).convert("RGB")
    coloured.putpixel((0, 0), (255, 0, 0))
    coloured.save(path(where, "labels"))
    note("levels", where)
    for content in (b'{"questions": ["caf\xe9?"]}', b"{", b"[]", b'{"questions": "why"}'):  # 11-14
        where = take()
        path(where, "QAs").write_bytes(content)
        note("unreadable", where)
    where = take()  # 15
    path(where, "images").rename(path(where, "images").with_suffix(".gif"))
    note("unpaired", where)
    note("stray", where)  # 16: the same file is not a picture of the layout
    where = take()  # 17
    Image.open(path(where, "labels")).resize((150, 160), Image.Resampling.NEAREST).save(path(where, "labels"))
    note("size", where)
    where = take(empty=False)  # 18
    levels = np.asarray(Image.open(path(where, "labels"))).copy()
    levels[:5, :5] = 7
    Image.fromarray(levels).save(path(where, "labels"))
    note("levels", where)
    where = take(empty=False)  # 19
    deep = (np.asarray(Image.open(path(where, "labels"))) > 0).astype(np.uint16) * 65535
    Image.fromarray(deep).save(path(where, "labels"))
    note("levels", where)
    where = take(empty=False)  # 20
    edit(where, lambda qa: qa.update(answer=[]))
    note("contradiction", where)
    where = take(empty=True)  # 21
    edit(where, lambda qa: qa.update(answer=["There."]))
    note("contradiction", where)
    where = take()  # 22
    edit(where, lambda qa: qa.update(questions=[]))
    note("unreadable", where)
    where = take()  # 23
    edit(where, lambda qa: qa["questions"].append("  "))
    note("questions", where)
    where = take()  # 24
    edit(where, lambda qa: qa["questions"].append(qa["questions"][0]))
    note("questions", where)
    where = take()  # 25
    path(where, "QAs").write_text("\ufeff" + path(where, "QAs").read_text(), encoding="utf-8")
    note("encoding", where)
    where = take()  # 26
    Image.open(path(where, "images")).convert("CMYK").save(path(where, "images"))
    note("encoding", where)
    where = take()  # 27
    image = Image.open(path(where, "images"))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(path(where, "images"), exif=exif, quality=95)
    note("encoding", where)
    one, two = take(), next(later)  # 28: the same file in two splits
    for part in ("images", "labels"):
        shutil.copy(path(one, part), path(two, part))
    answers = json.loads(path(one, "QAs").read_text())["answer"]
    edit(two, lambda qa: qa.update(answer=answers))
    note("duplicate", one, two)
    one, two = take(), next(later)  # 29: the same scene, smaller and recompressed
    small = Image.open(path(one, "images")).resize((128, 128))
    small.save(path(two, "images"), quality=60)
    Image.open(path(one, "labels")).resize((128, 128), Image.Resampling.NEAREST).save(path(two, "labels"))
    answers = json.loads(path(one, "QAs").read_text())["answer"]
    edit(two, lambda qa: qa.update(answer=answers))
    note("near-duplicate", one, two)
    one, two = take(), next(later)  # 30: a question of training asked in the test
    question = json.loads(path(one, "QAs").read_text())["questions"][0]
    edit(two, lambda qa: qa["questions"].append(question))
    note("shared question", one, two)
    return planted


def test_thirty_planted_faults_are_found_and_nothing_else(release):
    planted = plant(release)
    assert sum(len(cases) for cases in planted.values()) == 30
    found = audit(release, workers=2).findings
    shown = "\n".join(f"{finding.rule}: {finding.message}" for finding in found)
    for rule, cases in planted.items():
        names = [set(finding.samples) for finding in found if finding.rule == rule]
        assert sorted(map(sorted, names)) == sorted(map(sorted, cases)), f"{rule}\n{shown}"
    assert len(found) == 30, shown


def test_a_flip_a_turn_and_a_crop_of_training_images_in_the_test_are_leaks(release, tmp_path):
    changes = {
        "flipped left to right": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        "turned by 90 degrees clockwise": lambda image: image.transpose(Image.Transpose.ROTATE_270),
        "a crop with 81% of the area": lambda image: image.crop((8, 8, 152, 152)),
    }
    train, test = (sorted((release / split / "images").iterdir()) for split in ("train", "test"))
    for one, two, change in zip(train, test, changes.values(), strict=False):
        change(Image.open(one)).save(two, quality=80)
    result = audit(release, workers=2, journal=tmp_path / "journal.jsonl")
    found = [finding for finding in result.findings if finding.rule == "near-duplicate"]
    assert [finding.severity for finding in found] == ["error"] * 3
    for finding, one, two, how in zip(found, train, test, changes, strict=False):
        assert set(finding.samples) == {f"train/{one.stem}", f"test/{two.stem}"}
        assert finding.message.endswith(f"({how})")
    assert audit(release, journal=tmp_path / "journal.jsonl").to_dict() == result.to_dict()


def test_an_interrupted_audit_goes_on_and_unchanged_files_are_not_read_again(release, tmp_path, monkeypatch):
    journal = tmp_path / "journal.jsonl"
    first = audit(release, journal=journal)
    text = journal.read_text()
    journal.write_text(text[: len(text) // 2])
    looked = []
    from earthreason.data.audit import verify

    look_at = verify.look_at
    monkeypatch.setattr(verify, "look_at", lambda job: looked.append(job) or look_at(job))
    again = audit(release, journal=journal)
    assert again.to_dict() == first.to_dict()
    assert 200 < len(looked) < 400
    looked.clear()
    audit(release, journal=journal)
    assert looked == []


def test_the_command_reports_and_fails_on_errors(release, tmp_path):
    planted = plant(release)
    outputs = ["--json", str(tmp_path / "a.json"), "--report", str(tmp_path / "page")]
    result = CliRunner().invoke(app, ["verify", str(release), *outputs, "--workers", "1"])
    assert result.exit_code == 1, result.output
    content = json.loads((tmp_path / "a.json").read_text())
    assert len(content["findings"]) == 30
    page = (tmp_path / "page" / "index.html").read_text()
    for rule in planted:
        assert f">{rule} (" in page
    assert "unpaired" in result.output


def test_the_command_passes_a_sound_set(sound):
    result = CliRunner().invoke(app, ["verify", str(sound), "--workers", "1"])
    assert result.exit_code == 0, result.output
    assert "0 errors, 0 warnings" in result.output


def put_json(name, **changes):
    def change(folder):
        path = folder / "QAs" / f"{name}.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def deepen_image(folder):
    path = next(path for path in (folder / "images").iterdir() if path.stem == "a")
    Image.fromarray(np.zeros((128, 128), np.uint16)).save(path.with_suffix(".png"))
    path.unlink()


def colour_label(folder):
    path = folder / "labels" / "a.png"
    Image.open(path).convert("RGB").save(path)


AGREEMENT = {
    "a category that is a number": (put_json("a", category=3), False),
    "a resolution that is text": (put_json("a", ground_resolution="0.5"), False),
    "a resolution that is true": (put_json("a", ground_resolution=True), False),
    "an image of 16 bits": (deepen_image, False),
    "a grey label stored in colour": (colour_label, True),
    "Thumbs.db": (lambda folder: (folder / "images" / "Thumbs.db").write_bytes(b"x"), True),
    "notes beside the images": (lambda folder: (folder / "images" / "notes.txt").write_text("x"), True),
    "a folder named b.jpg": (lambda folder: (folder / "images" / "b.jpg").mkdir(), True),
    "questions that are numbers": (put_json("a", questions=[1]), False),
    "no question": (put_json("a", questions=[" "]), False),
}


@pytest.mark.parametrize("case", AGREEMENT)
def test_what_loads_is_what_verify_passes(sound, tmp_path, case):
    sample = sorted((sound / "test" / "images").iterdir())[0].stem
    folder = tmp_path / "set" / "test"
    for part in ("images", "labels", "QAs"):
        [path] = (sound / "test" / part).glob(f"{sample}.*")
        (folder / part).mkdir(parents=True)
        shutil.copy(path, folder / part / f"a{path.suffix}")
    change, sound_still = AGREEMENT[case]
    change(folder)
    try:
        loaded = [record.sample_id for record in Release(tmp_path / "set").read("test")] == [sample]
    except DataFormatError:
        loaded = False
    result = audit(tmp_path / "set")
    assert loaded is sound_still
    assert (result.errors == 0) is sound_still, result.findings
