"""A new protocol is one file with one registration, tested on a copy of the package with one more file."""

import json
from dataclasses import replace

import pytest

from earthreason.data.configs import CONFIGS
from earthreason.metrics.protocols import NATIVE, PROTOCOLS, get_protocol, protocol_of
from earthreason.metrics.protocols.base import register
from tests.copied_package import CopiedPackage

PROTOCOL = '''
"""Scores a right refusal as a quarter of a hit."""

from earthreason.masks.grids import Grid
from earthreason.metrics.protocols.base import Protocol, register

register(
    Protocol(
        name="quarter",
        title="Quarter",
        paper="none",
        evaluator="none",
        grid=Grid("native"),
        both_empty_iou=0.25,
        thresholds=(0.25, 0.5),
        threshold_inclusive=True,
    )
)
'''
# Runs of 4 x 4 pixels, column by column, one character per run (48 + length): the target is the first two columns, the
# prediction the first column.
TWO_COLUMNS, ONE_COLUMN = ({"size": [4, 4], "counts": counts} for counts in ("088", "04<"))
EMPTY = {"size": [4, 3], "counts": "<"}


@pytest.mark.slow
def test_a_new_protocol_is_one_file(tmp_path):
    copied = CopiedPackage(tmp_path)
    (copied.package / "metrics" / "protocols" / "quarter.py").write_text(PROTOCOL)
    masks = {"truth": ("samples", TWO_COLUMNS, EMPTY), "preds": ("predictions", ONE_COLUMN, None)}
    for file, (key, first, second) in masks.items():
        records = [{"sample_id": "a", "segmentation": first}, {"sample_id": "b", "segmentation": second}]
        (tmp_path / f"{file}.json").write_text(json.dumps({key: records}))

    def earthreason(*arguments):
        return json.loads(copied.run("-m", "earthreason", *arguments))

    evaluated = earthreason(
        "eval", "preds.json", "--ground-truth", "truth.json", "--protocol", "quarter", "--json", "-"
    )
    result = evaluated["results"][0]
    assert result["protocol"] == "quarter"
    # IoU is 4 / 8 for the target and 0.25 for the empty one; 4 of the union's 8 pixels are shared.
    assert result["scores"]["gIoU"] == (0.5 + 0.25) / 2
    assert result["scores"]["cIoU"] == 4 / 8
    assert [result["scores"][name] for name in ("Pr@0.25", "Pr@0.5")] == [2 / 2, 1 / 2]
    assert "Pr@0.6" not in result["scores"]
    assert [each["name"] for each in earthreason("protocols", "--json", "-")] == [*PROTOCOLS, "quarter"]


def test_a_taken_name_is_refused():
    before = list(PROTOCOLS.items())
    with pytest.raises(ValueError, match="already a protocol 'native'"):
        register(NATIVE)
    assert list(PROTOCOLS.items()) == before


def test_a_config_of_another_protocol_is_refused():
    before = list(PROTOCOLS.items())
    with pytest.raises(ValueError, match="'lasers' has the config 'lasers' already"):
        register(replace(NATIVE, name="other", configs=("mine", "lasers")))
    assert list(PROTOCOLS.items()) == before


def test_the_configs_of_protocols_are_configurations():
    assert {config for protocol in PROTOCOLS.values() for config in protocol.configs} <= CONFIGS.keys()


@pytest.mark.parametrize(
    ("config", "protocol"),
    [
        ("default", "segearth-r1"),
        ("sample", "segearth-r1"),
        ("rrsis-d", "rrsis-d"),
        ("refsegrs", "rrsis-d"),
        ("reasonseg", "lisa"),
        ("gres", "lisa"),
        ("lasers", "lasers"),
        ("geoseg-bench", "geoseg-bench"),
        ("drseg", "drseg"),
        ("earthreason-fs-5shot", "geo-r1"),
        ("risbench", "segearth-r1"),  # CroBIM's evaluator is not public
        ("made-up", "segearth-r1"),
    ],
)
def test_a_config_is_scored_as_its_authors_do(config, protocol):
    assert protocol_of(config).name == protocol


def test_a_protocol_is_looked_up_by_name_or_passed_through():
    assert get_protocol("native") is NATIVE
    assert get_protocol(NATIVE) is NATIVE


def test_the_official_protocol_comes_first():
    assert list(PROTOCOLS)[:2] == ["segearth-r1", "native"]
    ranks = [protocol.rank for protocol in PROTOCOLS.values()]
    assert ranks == sorted(set(ranks))
