"""Audit the samples of any source by their records; `verify.audit` reads the files of the official layout."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from earthreason.data.audit.facts import Facts, image_facts, label_facts
from earthreason.data.audit.rules import RULES, Finding, Table
from earthreason.data.audit.verify import Audit
from earthreason.data.schema import Record, in_order
from earthreason.data.sources import FORMATS, Source
from earthreason.data.sources.base import ON_DISK, SampleSource, omissions_of

_ONLY_OURS = ("contradiction", "shared question")
"""Rules that hold for implicit questions with answers, and not in every related set."""


def audit_source(source: Source, root: Path, progress: Callable[[int], object] = lambda _: None) -> Audit:
    """Read every sample of a source and apply every rule; samples that cannot be read are errors.

    Several samples of a split may share an image, as one image has several phrases in most sets. In sets with a
    configuration of their own, questions may have no answer, and phrases such as "the ship on the left" may repeat.

    Args:
        source: samples.
        root: folder or file of the source, named in the result.
        progress: called with 1 after each sample.
    """
    if isinstance(source, SampleSource):
        source.tolerance = None  # the audit lists what is left out, however much it is
    facts: list[Facts] = []
    seen: dict[str, dict[str, Any]] = {}
    splits = in_order(source.counts)
    for split in splits:
        for record in source.read(split):
            facts += _facts_of(split, record, seen)
            progress(1)
    table = Table(facts)
    findings = []
    for item in omissions_of(source):
        names = (f"{ON_DISK.get(item.split, item.split)}/{item.sample}",)
        findings.append(Finding(item.reason, "error", item.message, names, names))
    known = FORMATS.get(source.name)
    ignored = _ONLY_OURS if known is not None and known.config is not None else ()
    for rule in RULES:
        findings += (
            finding
            for finding in rule(table)
            if finding.rule not in ignored and (finding.rule, finding.severity) != ("duplicate", "warning")
        )
    findings.sort(key=lambda finding: finding.severity != "error")
    labels = {split: table.readable("labels", split) for split in splits}
    empty = {split: sum(label.values["area"] == 0 for label in labels[split]) for split in splits}
    counts = {split: source.counts[split] for split in splits}
    # A folder in the layout of the release need not be the release.
    published = known.splits if known is not None and known.config is not None else None
    return Audit(root, counts, empty, findings, sum(counts.values()), published or {})


def _facts_of(split: str, record: Record, seen: dict[str, dict[str, Any]]) -> Iterator[Facts]:
    """Yield the facts of image, label and questions; `seen` holds those of images by hash, as samples may share one."""
    name = record.sample_id
    key = hashlib.sha256(record.image).hexdigest()
    if key not in seen:
        seen[key] = image_facts(record.image, Path(name))
    yield Facts(split, "images", name, name, values=seen[key])
    yield Facts(split, "labels", name, name, values=label_facts(record.mask, Path(name)))
    texts = {"questions": record.questions, "answers": record.answers, "bom": False, "sample_id": name}
    yield Facts(split, "QAs", name, name, values=texts)
