"""A ledger for runs by batches."""

import pytest

from earthreason.questions.ledger import Ledger


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "ledger.sqlite")
