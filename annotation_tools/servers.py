"""The Label Studio servers of a workspace: their projects and people."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from earthreason.errors import DataFormatError
from earthreason.files import write_json


@dataclass(frozen=True)
class Server:
    """The projects of a workspace on one Label Studio server.

    Attributes:
        name: `local`, or the address of a team's server.
        url: last known URL.
        projects: project IDs by content: `all` tasks, or the `queue` of a third person.
        people: e-mail addresses by user ID, as last told by the server.
        unreadable: reasons by annotation, of those that the last `collect` could not read.
    """

    name: str
    url: str
    projects: dict[str, int]
    people: dict[str, str] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)


def read_servers(path: Path) -> dict[str, Server]:
    """Read the servers by name, the last one used last; empty if there is no file.

    Raises:
        DataFormatError: the file is invalid.
    """
    if not path.is_file():
        return {}
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        entries = known.get("servers", [known])  # files of earlier versions hold a single entry
        servers = [
            Server(
                entry["server"],
                entry["url"],
                dict(entry["projects"]),
                dict(entry.get("people", {})),
                dict(entry.get("unreadable", {})),
            )
            for entry in entries
        ]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataFormatError(f"{path}: not written by annotation_tools ({error})") from None
    return {server.name: server for server in servers}


def write_server(path: Path, server: Server) -> None:
    """Write a server, as the last one used."""
    _write(path, [*(other for name, other in read_servers(path).items() if name != server.name), server])


def update_server(path: Path, server: Server) -> None:
    """Write what is new about a known server, without changing which one was used last."""
    _write(path, [server if name == server.name else other for name, other in read_servers(path).items()])


def _write(path: Path, servers: list[Server]) -> None:
    rows = []
    for one in servers:
        row = asdict(one)
        rows.append({"server": row.pop("name"), **row})
    write_json(path, {"servers": rows})


def people_of(servers: Iterable[Server]) -> dict[str, str]:
    """Return the e-mail addresses by the names that drawings give user IDs, of IDs that mean one person everywhere."""
    addresses: dict[str, set[str]] = defaultdict(set)
    for server in servers:
        for number, address in server.people.items():
            addresses[number].add(address)
    alone = {number: min(known) for number, known in addresses.items() if len(known) == 1}
    return {name: address for number, address in alone.items() for name in (number, f"user {number}")}
