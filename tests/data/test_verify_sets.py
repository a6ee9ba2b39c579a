"""`verify` on related sets, in their real form: it lists what loading leaves out, and leaks between splits."""

import json

import pytest
from typer.testing import CliRunner

from earthreason import load_dataset
from earthreason.cli.main import app
from tests.data.fakes import gres, lasers, refsegrs, rrsis_d


def verified(folder, *options) -> dict:
    result = CliRunner().invoke(app, ["verify", str(folder), "--json", "-", *options])
    audit = json.loads(result.stdout)
    assert result.exit_code == (1 if audit["errors"] else 0)
    return audit


@pytest.mark.parametrize(("fake", "published"), [(refsegrs, 4420), (rrsis_d, 17_402), (lasers, 0)])
def test_a_sound_set_has_no_findings_and_its_published_numbers(tmp_path, fake, published):
    fake.make(tmp_path)
    audit = verified(tmp_path)
    assert (audit["errors"], audit["warnings"], audit["findings"]) == (0, 0, [])
    assert sum(audit["published_samples"].values()) == published
    assert audit["published_empty_targets"] is None


def test_what_loading_leaves_out_is_an_error_with_the_same_message(tmp_path):
    refsegrs.make(tmp_path)
    image = sorted((next(tmp_path.rglob("output_phrase_train.txt")).parent / "images").glob("*.tif"))[0]
    image.write_bytes(image.read_bytes()[:40])
    rows = load_dataset("earthreason", "refsegrs", data_dir=tmp_path, max_left_out=1.0)
    audit = verified(tmp_path)
    lost = {split: count - len(rows.get(split, ())) for split, count in audit["samples"].items()}
    assert sum(lost.values()) == audit["errors"] == len(audit["left_out"]) > 0
    assert {finding["rule"] for finding in audit["findings"]} == {"unreadable image"}
    assert all(str(image) in finding["message"] for finding in audit["findings"])


def test_an_image_of_two_splits_is_a_leak_and_one_of_several_phrases_is_not(tmp_path):
    gres.make(tmp_path)  # all images of the fake are alike
    audit = verified(tmp_path)
    assert [(finding["rule"], finding["severity"]) for finding in audit["findings"]] == [("duplicate", "error")]
    assert "leakage" in audit["findings"][0]["message"]


def test_a_configuration_can_be_named_and_must_be_one_of_a_folder(tmp_path):
    gres.make(tmp_path)
    assert verified(tmp_path, "--config", "gres")["samples"] == verified(tmp_path)["samples"]
    refused = CliRunner().invoke(app, ["verify", str(tmp_path), "--config", "sample"])
    assert isinstance(refused.exception, SystemExit | Exception)
    assert "not read from a folder" in str(refused.exception)
