"""Pickles give plain data, whatever numpy left in them, and run nothing."""

import collections
import pickle
from pathlib import Path

import numpy as np
import pytest

from earthreason.data.sources.pickles import load_pickle
from earthreason.errors import DataFormatError
from tests.conftest import Bomb

PLAIN = [
    (np.int64(-5), -5),
    (np.int32(7), 7),
    (np.uint8(255), 255),
    (np.uint64(2**64 - 1), 2**64 - 1),
    (np.float32(1.5), 1.5),
    (np.float64(0.1), 0.1),
    (np.float16(0.5), 0.5),
    (np.bool_(True), True),
    (np.str_("désert"), "désert"),
    (np.bytes_(b"lake"), "lake"),
]


def load(path, content):
    path.write_bytes(content)
    return load_pickle(path)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(("value", "expected"), PLAIN, ids=[type(value).__name__ for value, _ in PLAIN])
def test_numbers_and_texts_of_numpy_become_plain(tmp_path, protocol, value, expected):
    content = pickle.dumps([{"id": value, "again": [value, 3]}], protocol=protocol)
    ((row),) = load(tmp_path / "a.p", content)
    assert row == {"id": expected, "again": [expected, 3]}
    assert type(row["id"]) is type(expected)


def test_numpys_old_module_and_its_other_byte_order_are_read(tmp_path):
    old = pickle.dumps(np.int64(12), protocol=2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert load(tmp_path / "a.p", old) == 12
    kind = b"cnumpy\ndtype\n(S'i2'\nI0\nI1\ntR(I3\nS'>'\nNNNI-1\nI-1\nI0\ntb"
    written_by_hand = b"cnumpy.core.multiarray\nscalar\n(%bS'\\x01\\x02'\ntR." % kind
    written_by_hand += b"(I3\nS'>'\nNNNI-1\nI-1\nI0\ntbS'\\x01\\x02'\ntR."
    assert load(tmp_path / "a.p", written_by_hand) == 0x0102


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.array([1, 2]), "imports numpy"),
        (np.datetime64("2020-01-01"), "type 'M8'"),
        (np.complex64(1j), "type 'c8'"),
        (np.dtype("O"), "type 'O8'"),
        (collections.Counter("a"), "imports collections.Counter"),
        (Path("a"), "imports pathlib"),
    ],
)
def test_everything_else_is_refused(tmp_path, value, words):
    with pytest.raises(DataFormatError, match=f"a.p: not a pickle of plain data.*{words}.*nothing in it was run"):
        load(tmp_path / "a.p", pickle.dumps([value], protocol=2))


def test_code_does_not_run(tmp_path):
    with pytest.raises(DataFormatError, match="nothing in it was run"):
        load(tmp_path / "a.p", pickle.dumps([np.int64(3), Bomb(tmp_path / "ran")]))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'i8'\nI0\nI1\ntRS'short'\ntR.",
        b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'i2'\nI0\nI1\ntRS'far too long'\ntR.",
        b"cnumpy.core.multiarray\nscalar\n(S'O'\nS'x'\ntR.",
        b"c_codecs\nencode\n(S'x'\nS'rot13'\ntR.",
        b"cnumpy\ndtype\n(dS'code'\nS'O'\nsb.",
        b"c_codecs\nencode\n(dS'a'\nS'b'\nsb.",
        b"c_codecs\nencode\n(N(dS'__doc__'\nS'b'\nstb.",
    ],
    ids=["short", "long", "no type", "another codec", "change a type", "change a function", "set a slot"],
)
def test_forged_values_are_refused_and_change_nothing(tmp_path, content):
    with pytest.raises(DataFormatError, match="nothing in it was run"):
        load(tmp_path / "a.p", content)
    assert load(tmp_path / "b.p", pickle.dumps(np.int64(4), protocol=2)) == 4
