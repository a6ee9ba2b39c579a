"""Audits whose files are read by several machines."""

import pytest

from earthreason.data.audit.verify import audit, is_journal, merge_journals, read_part
from earthreason.errors import DataFormatError
from earthreason.shards import Shard


def test_merged_journals_give_the_audit_of_the_whole_without_reading_again(release, tmp_path):
    label = next((release / "train").rglob("labels/b.*"))
    label.write_bytes(b"broken")
    whole = audit(release).to_dict()
    journals = [tmp_path / f"facts-{number}.jsonl" for number in (1, 2, 3)]
    counts = [read_part(release, Shard(n, 3), journal) for n, journal in enumerate(journals, start=1)]
    assert sum(counts) == merge_journals(journals, tmp_path / "facts.jsonl") == whole["files"]
    steps = []
    merged = audit(release, journal=tmp_path / "facts.jsonl", progress=steps.append)
    assert merged.to_dict() == whole
    assert merged.errors
    assert steps == [whole["files"]]  # all from the journal


def test_a_part_that_is_missing_is_read_by_the_audit(release, tmp_path):
    read_part(release, Shard(1, 2), tmp_path / "facts.jsonl")
    assert audit(release, journal=tmp_path / "facts.jsonl").to_dict() == audit(release).to_dict()


def test_a_part_continues_where_it_stopped(release, tmp_path):
    read_part(release, Shard(1, 2), tmp_path / "facts.jsonl")
    steps = []
    count = read_part(release, Shard(1, 2), tmp_path / "facts.jsonl", progress=steps.append)
    assert steps == [count]


def test_a_file_that_is_no_journal_is_refused(tmp_path):
    (tmp_path / "preds.jsonl").write_text('{"sample_id": "a"}\n')
    assert not is_journal(tmp_path / "preds.jsonl")
    with pytest.raises(DataFormatError, match=r"preds\.jsonl: no journal"):
        merge_journals([tmp_path / "preds.jsonl"], tmp_path / "out.jsonl")


@pytest.mark.parametrize("content", [b'{"info": {}}\n{"sample_id": "a"}\n', b"\xff\xfeaudit", b"a,b\n1,2"])
def test_nothing_is_added_to_a_file_that_is_no_journal(content, release, tmp_path):
    (tmp_path / "mine.txt").write_bytes(content)
    with pytest.raises(DataFormatError, match=r"mine\.txt: (no journal|not UTF-8)"):
        audit(release, journal=tmp_path / "mine.txt")
    assert (tmp_path / "mine.txt").read_bytes() == content
