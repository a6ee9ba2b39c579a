"""Rows of a board without files or scoring, and the table that a query selects of them."""

from __future__ import annotations

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from leaderboard.board import BoardEntry, check_query
from leaderboard.listing import Lister
from leaderboard.records import ALL, ProtocolScores, ResultRecord, ScoreEstimate, Subset, parse_metadata
from leaderboard.selection import canonical, read_table, select_rows
from leaderboard.tables import Base

SHA = "0" * 64


def entry(name, giou, half=0.02, published=0.0, training="trained", team="Team", size=None, **more):
    cells = {"gIoU": ScoreEstimate(giou, giou - half, giou + half), **more}
    record = ResultRecord(
        earthreason="1",
        config="toy",
        split="test",
        dataset_sha256=SHA,
        predictions_sha256=SHA,
        questions=10,
        images=10,
        empty_targets=1,
        resamples=10,
        seed=0,
        subsets=[Subset(key=ALL, breakdown="", group="all", questions=10)],
        protocols={"segearth-r1": ProtocolScores(grid="letterbox-1024", questions=10, scores={ALL: cells})},
        not_scored={},
        curve=[0.5] * 20,
    )
    facts = parse_metadata({"model": "any", "training": training, "parameters_millions": size}).public()
    return BoardEntry(name, team, {**facts, "model": name}, record, published)


def build_table(entries, query, start=0, stop=None):
    """List the entries in a new database and read the rows that a query selects."""
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        lister = Lister(session)
        for one in entries:
            lister.add(one.facts, one.record.model_dump(mode="json"))
        return read_table(session, select_rows(session, canonical(session, check_query(query))), start, stop)
