"""Write the board as files for any web host, with the same templates and links between files.

Rows pass one at a time into a listing in a temporary database, so the site of a large repository needs little memory.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import combinations, groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import Session

from earthreason.errors import EarthReasonError
from earthreason.files import atomic_path, refuse_taken
from earthreason.metrics.protocols import PROTOCOLS

from .board import PAGE_ROWS, BoardEntry, BoardQuery, percent_digits, table_values
from .exports import write_csv
from .hidden import DECIMALS
from .listing import Lister
from .model_results import ModelResults, list_results
from .progress import read_progress
from .published import load_published
from .records import ALL
from .results_repo import slug
from .selection import read_table, select_rows
from .tables import LISTING, Base, ListedRow
from .web.plots import progress_view
from .web.rendering import draw
from .web.views import SplitChoice, board_view, comparison, entry_view, published_view

ASSETS = Path(__file__).parent / "static"
MOST_COMPARED = 12
"""Splits with more models get no comparison pages."""
Put = Callable[..., None]
"""Function that writes a page: its name, template and values."""


class StaticLinks:
    """Links between the files of one folder: every link is a file name."""

    live = False

    def home(self) -> str:
        return "index.html"

    def board(self, query: BoardQuery, page: int = 1) -> str:
        return f"{self._table(query)}{f'-page-{page}' if page > 1 else ''}.html"

    def model(self, entry_id: str) -> str:
        return f"model-{slug(entry_id)}.html"

    def page(self, name: str) -> str:
        return f"{name}.html"

    def file(self, name: str) -> str:
        return name

    def data(self, query: BoardQuery, form: str) -> str:
        return f"{self._table(query)}.{form}"

    def record(self, entry_id: str) -> str:
        return f"model-{slug(entry_id)}.json"

    def progress(self, query: BoardQuery) -> str:
        return f"progress-{self._table(query.whole_split())}.html"

    def compare(self, ids: Sequence[str]) -> str:
        first, second = sorted(ids)
        return f"compare-{hashlib.blake2b(f'{first} {second}'.encode(), digest_size=6).hexdigest()}.html"

    def _table(self, query: BoardQuery) -> str:
        subset = [] if query.subset == ALL else query.subset.split(": ", 1)
        return "-".join(["table", *map(slug, query.split.split("/")), query.protocol, *map(slug, subset)])


def write_site(entries: Iterable[BoardEntry], out: Path, title: str = "EarthReason") -> int:
    """Write the site into a new folder; return the number of pages.

    Raises:
        EarthReasonError: there are no results, the folder is taken, or two pages would have the same name.
    """
    refuse_taken(out)
    links = StaticLinks()
    with atomic_path(out) as folder, _listing() as session:
        folder.mkdir()
        shutil.copytree(ASSETS, folder, dirs_exist_ok=True)

        def put(name: str, template: str, **values: Any) -> None:
            _write_new(folder / name, draw(template, links, title, **values))

        choices = _write_models(entries, session, folder, put, links)
        sizes = dict(session.execute(select(ListedRow.split, func.count()).group_by(ListedRow.split)).all())
        if not sizes:
            raise EarthReasonError("there are no results to show")
        for choice in choices:
            _write_tables(choice, session, folder, put, links, choices)
            _write_progress(choice, session, put, links)
        first = max(choices, key=lambda choice: (choice.key.endswith("/test"), sizes[choice.key]))
        shutil.copyfile(folder / links.board(first.query), folder / links.home())
        put(links.page("published"), "published.html", **published_view())
        put(links.page("scoring"), "scoring.html", protocols=PROTOCOLS.values())
        printed = [result.model_dump(mode="json") for result in load_published().results]
        _write_new(folder / "published.json", json.dumps(printed, indent=1))
        return len(list(folder.glob("*.html")))


@contextmanager
def _listing() -> Iterator[Session]:
    """Make an empty listing in a temporary database."""
    with TemporaryDirectory(prefix="leaderboard-") as folder:
        engine = create_engine(f"sqlite:///{folder}/listing.sqlite3")
        try:
            Base.metadata.create_all(engine, [Base.metadata.tables[table.__tablename__] for table in LISTING])
            with Session(engine) as session:
                yield session
        finally:
            engine.dispose()


def _write_new(path: Path, text: str) -> None:
    """Write a page under an unused name.

    Raises:
        EarthReasonError: the name is taken.
    """
    if path.exists():
        raise _same_name(path.name)
    path.write_text(text, encoding="utf-8")


def _same_name(name: str) -> EarthReasonError:
    return EarthReasonError(f"two pages of the site would be called {name}; rename one model, split or group")


def _write_models(
    entries: Iterable[BoardEntry], session: Session, folder: Path, put: Put, links: StaticLinks
) -> list[SplitChoice]:
    """Write the page of every row and list it. Those of a split wait until it is too large to compare all.

    Returns:
        The splits, in alphabetical order.

    Raises:
        EarthReasonError: rows of one split have several main protocols.
    """
    lister = Lister(session)
    waiting: dict[str, list[tuple[BoardEntry, ModelResults]]] = {}
    names: set[str] = set()
    choices: dict[str, SplitChoice] = {}

    def write(entry: BoardEntry, results: ModelResults, others: Sequence[BoardEntry] = ()) -> None:
        put(links.model(entry.id), "model.html", **{**entry_view(entry, results), "others": others})

    for entry, results in _with_results(entries):
        if links.model(entry.id) in names:  # it may not have been written yet
            raise _same_name(links.model(entry.id))
        names.add(links.model(entry.id))
        _write_new(folder / links.record(entry.id), entry.record.model_dump_json(indent=1))
        lister.add(entry.facts, entry.record.model_dump(mode="json"))
        split = entry.record.split_key
        known = choices.setdefault(split, SplitChoice(split, entry.record.hides_labels, entry.record.main_protocol))
        if known.main_protocol != entry.record.main_protocol:
            both = " and ".join(sorted((known.main_protocol, entry.record.main_protocol)))
            raise EarthReasonError(f"rows of {split} have the main protocols {both}; score them all by one of them")
        choices[split] = replace(known, hidden=known.hidden or entry.record.hides_labels)
        small = waiting.setdefault(split, [])
        if len(small) <= MOST_COMPARED:
            small.append((entry, results))
            if len(small) > MOST_COMPARED:
                for one in small:
                    write(*one)
        else:
            write(entry, results)
    for split, small in waiting.items():
        if len(small) <= MOST_COMPARED:
            rows = [entry for entry, _ in small]
            for entry, results in small:
                write(entry, results, [other for other in rows if other is not entry])
            for pair in combinations(rows, 2):
                name = links.compare([entry.id for entry in pair])
                put(name, "compare.html", **comparison(pair, choices[split].main_protocol, []))
    return [choices[split] for split in sorted(choices)]


def _with_results(entries: Iterable[BoardEntry]) -> Iterator[tuple[BoardEntry, ModelResults]]:
    """Yield every row with all results of its model, whose rows follow each other in a repository."""
    for _, rows in groupby(entries, lambda entry: (entry.team, entry.model)):
        model = list(rows)
        results = list_results(model)
        yield from ((entry, results) for entry in model)


def _write_progress(choice: SplitChoice, session: Session, put: Put, links: StaticLinks) -> None:
    """Write a page for each protocol of a split."""
    for protocol in PROTOCOLS:
        query = choice.query.with_(protocol=protocol)
        progress = read_progress(session, choice.key, protocol, query.ranking)
        digits = percent_digits(DECIMALS if choice.hidden else None)
        put(links.progress(query), "progress.html", **progress_view(progress, query, digits))


def _write_tables(
    choice: SplitChoice, session: Session, folder: Path, put: Put, links: StaticLinks, choices: Sequence[SplitChoice]
) -> None:
    """Write the tables of a split. All questions have a page for every 50 rows, a group only the first of them."""
    for protocol in PROTOCOLS:
        whole = choice.query.with_(protocol=protocol)
        every = select_rows(session, whole)
        for subset in [one.key for one in every.subsets] or [ALL]:
            query = whole.with_(subset=subset)
            selection = every if subset == ALL else select_rows(session, query)
            total = len(selection.rows)
            shown = total if subset == ALL else min(total, PAGE_ROWS)
            for start in range(0, max(shown, 1), PAGE_ROWS):
                table = read_table(session, selection, start, start + PAGE_ROWS)
                view = board_view(table, query, choices)
                name = links.board(query, view["page"])
                put(name, "board.html", **(view if subset == ALL else {**view, "pages": 1}))
            table = read_table(session, selection, 0, shown)
            _write_new(folder / links.data(query, "json"), json.dumps(table_values(table, shown), indent=1))
            _write_new(folder / links.data(query, "csv"), "".join(write_csv(query, table.columns, table.rows)))
