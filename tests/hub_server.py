"""A small Hub on loopback: what `huggingface_hub` and `datasets` call to read, download and push a dataset or a model.

The repository of a model `a/b` is kept, and planted, as `models/a/b`.

Written from the client's requests and the Hub's documented answers. Files of `LFS_ENDINGS` are in Git LFS: their
download redirects to another origin, as to the Hub's CDN, which serves ranges. `HubServer.fail` plants faults.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

LFS_ENDINGS = (".zip", ".parquet", ".tar", ".png", ".jpg", ".safetensors", ".onnx", ".pt2")


@dataclass
class Repository:
    """Commits of a dataset, oldest first, and the commit of every branch and tag."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    gated: bool = False
    allowed: set[str] = field(default_factory=set)

    def commit(self, files: dict[str, bytes], branch: str = "main") -> str:
        name = hashlib.sha1(f"{len(self.commits)}{sorted(files)}{time.time_ns()}".encode()).hexdigest()
        self.commits[name] = files
        self.refs[branch] = name
        return name

    def find(self, revision: str) -> str | None:
        return revision if revision in self.commits else self.refs.get(revision)


@dataclass
class Fault:
    """What happens to the next `times` requests whose `METHOD PATH` matches."""

    pattern: str
    times: int = 1
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None  # bytes of the body before the connection breaks
    change: Callable[[bytes], bytes] | None = None  # what is sent instead
    seconds: float = 0.0


class HubServer:
    """The server and what it keeps; use it as a context manager."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.uploads: dict[str, bytes] = {}
        self.tokens = {"hf_good": "user"}
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"hub": self})
        # The client follows a redirect within one origin before it reads the headers, so the CDN has a port of its own.
        self.servers = [ThreadingHTTPServer(("127.0.0.1", 0), handler) for _ in range(2)]
        self.url, self.cdn_url = (f"http://127.0.0.1:{server.server_address[1]}" for server in self.servers)

    def __enter__(self) -> HubServer:
        for server in self.servers:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in self.servers:
            server.shutdown()
            server.server_close()

    def publish(self, repository: str, files: dict[str, bytes], branch: str = "main") -> str:
        """Make a commit that holds exactly these files, and return its name."""
        return self.repositories.setdefault(repository, Repository()).commit(files, branch)

    def fail(self, pattern: str, **facts: Any) -> Fault:
        self.faults.append(Fault(pattern, **facts))
        return self.faults[-1]

    def fault_for(self, request: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and re.search(fault.pattern, request):
                    fault.times -= 1
                    return fault
        return None

    def asked(self, pattern: str) -> list[dict[str, str]]:
        """Return the headers of every request whose `METHOD PATH` matches."""
        return [headers for method, path, headers in self.requests if re.search(pattern, f"{method} {path}")]


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def entry_of(path: str, content: bytes) -> dict[str, Any]:
    """The entry of a file in a listing."""
    entry = {"type": "file", "path": path, "size": len(content), "oid": git_hash(content)}
    if path.endswith(LFS_ENDINGS):
        oid = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"oid": oid, "sha256": oid, "size": len(content), "pointerSize": 134}
    return entry


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815 - names that http.server calls

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        self.query = parse_qs(parts.query)
        path = unquote(parts.path)
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.hub.requests.append((self.command, path, {name.title(): value for name, value in self.headers.items()}))
        self.fault = self.hub.fault_for(f"{self.command} {path}")
        if self.fault and self.fault.seconds:
            time.sleep(self.fault.seconds)
        if self.fault and self.fault.status:
            self._send(self.fault.status, b'{"error": "planted"}', self.fault.headers)
            return
        for pattern, method in _ROUTES:
            if found := re.fullmatch(pattern, _with_kind(path)):
                getattr(self, method)(*found.groups())
                return
        self._send(404, b'{"error": "no such page"}')

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = self.fault.cut if self.fault else None
        self.wfile.write(body if cut is None else body[:cut])
        if cut is not None and cut < len(body):
            self.wfile.flush()
            self.close_connection = True

    def _send_json(self, value: Any, status: int = 200) -> None:
        self._send(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _refuse(self, status: int, code: str, message: str) -> None:
        headers = {"X-Error-Code": code, "X-Error-Message": message}
        self._send(status, json.dumps({"error": message}).encode(), headers)

    def _user(self) -> str | None:
        return self.hub.tokens.get(self.headers.get("Authorization", "").removeprefix("Bearer "))

    def _repository(self, name: str) -> Repository | None:
        """Return the repository, or answer as the Hub does where it is absent or closed."""
        found, user = self.hub.repositories.get(name), self._user()
        if self.headers.get("Authorization") and user is None:
            message = "Invalid credentials in Authorization header"
            self._send(401, json.dumps({"error": message}).encode(), {"X-Error-Message": message})
        elif found is None:
            self._refuse(401 if user is None else 404, "RepoNotFound", "Repository not found")
        elif found.gated and user not in found.allowed:
            self._refuse(401 if user is None else 403, "GatedRepo", "Access to this dataset is restricted.")
        else:
            return found
        return None

    def _files(self, name: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        repository = self._repository(name)
        if repository is None:
            return None
        commit = repository.find(revision)
        if commit is None:
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return None
        return commit, repository.commits[commit]

    def info(self, name: str, revision: str | None = None) -> None:
        if found := self._files(name, revision or "main"):
            commit, files = found
            siblings = [{"rfilename": path} for path in files]
            if self.query.get("blobs"):
                for sibling, (path, content) in zip(siblings, files.items(), strict=True):
                    entry = entry_of(path, content)
                    sibling.update(size=entry["size"], blobId=entry["oid"], lfs=entry.get("lfs"))
            own = name.removeprefix("models/")
            facts = {"id": own, "sha": commit, "siblings": siblings, "private": False, "tags": [], "downloads": 0}
            self._send_json({**facts, "lastModified": "2026-01-01T00:00:00.000Z", "author": own.split("/")[0]})

    def tree(self, name: str, revision: str, folder: str | None = None) -> None:
        if not (found := self._files(name, revision)):
            return
        prefix = f"{folder}/" if folder else ""
        recursive = self.query.get("recursive", ["false"])[0].lower() in ("true", "1")
        entries: dict[str, dict[str, Any]] = {}
        for path, content in found[1].items():
            if path.startswith(prefix):
                below = path[len(prefix) :].split("/")
                for depth in range(1, len(below)):
                    sub = prefix + "/".join(below[:depth])
                    if recursive or depth == 1:
                        entries[sub] = {"type": "directory", "path": sub, "size": 0, "oid": git_hash(sub.encode())}
                if recursive or len(below) == 1:
                    entries[path] = entry_of(path, content)
        if folder and not entries:
            self._refuse(404, "EntryNotFound", f"{folder} does not exist")
            return
        self._send_json(list(entries.values()))

    def paths_info(self, name: str, revision: str) -> None:
        if found := self._files(name, revision):
            wanted = json.loads(self.body)["paths"] if self.body[:1] == b"{" else parse_qs(self.body.decode())["paths"]
            listed = []
            for path in wanted:
                if path in found[1]:
                    listed.append(entry_of(path, found[1][path]))
                elif any(other.startswith(f"{path}/") for other in found[1]):
                    listed.append({"type": "directory", "path": path, "size": 0, "oid": git_hash(path.encode())})
            self._send_json(listed)

    def resolve(self, name: str, revision: str, path: str) -> None:
        if not (found := self._files(name, revision)):
            return
        commit, files = found
        if path not in files:
            self._refuse(404, "EntryNotFound", f"{path} does not exist")
            return
        content = files[path]
        headers = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if path.endswith(LFS_ENDINGS):
            oid = hashlib.sha256(content).hexdigest()
            self.hub.uploads[oid] = content
            linked = {"X-Linked-Etag": f'"{oid}"', "X-Linked-Size": str(len(content))}
            self._send(302, b"", {**headers, **linked, "Location": f"{self.hub.cdn_url}/cdn/{oid}"})
        else:
            self._send(200, content, {**headers, "ETag": f'"{git_hash(content)}"'})

    def cdn(self, oid: str) -> None:
        content = self.hub.uploads[oid]
        if self.fault and self.fault.change:
            content = self.fault.change(content)
        headers = {"ETag": f'"{oid}"', "Accept-Ranges": "bytes"}
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if span is None:
            self._send(200, content, headers)
            return
        start, end = int(span[1]), int(span[2] or len(content) - 1)
        self._send(206, content[start : end + 1], {**headers, "Content-Range": f"bytes {start}-{end}/{len(content)}"})

    def whoami(self) -> None:
        user = self._user()
        if user is None:
            self._send(401, b'{"error": "Invalid username or password."}')
        else:
            self._send_json({"type": "user", "name": user, "auth": {"accessToken": {"role": "write"}}, "orgs": []})

    def create(self) -> None:
        user, facts = self._user(), json.loads(self.body)
        owner = facts.get("organization") or user
        own = f"{owner}/{facts['name']}"
        name = own if facts.get("type") == "dataset" else f"models/{own}"
        address = {"url": f"{self.hub.url}/{_page(name)}", "name": own, "id": own}
        if user is None:
            self._send(401, b'{"error": "Invalid username or password."}')
        elif owner != user:
            self._send(403, b'{"error": "You have no right to create it"}', {"X-Error-Message": "no right"})
        elif name in self.hub.repositories:
            self._send_json({"error": "You already created this repo", **address}, 409)
        else:
            self.hub.publish(name, {".gitattributes": b"*.parquet filter=lfs\n"})
            self._send_json(address)

    def validate_yaml(self) -> None:
        self._send_json({"errors": [], "warnings": []})

    def preupload(self, name: str, branch: str) -> None:
        if repository := self._repository(name):
            old = repository.commits[repository.refs[branch]]
            modes = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(LFS_ENDINGS) else "regular",
                    "shouldIgnore": False,
                    "oid": git_hash(old[file["path"]]) if file["path"] in old else None,
                }
                for file in json.loads(self.body)["files"]
            ]
            self._send_json({"files": modes, "commitOid": repository.refs[branch]})

    def branch(self, name: str, branch: str) -> None:
        if repository := self._repository(name):
            if branch in repository.refs:
                self._refuse(409, "", f"Reference already exists: refs/heads/{branch}")
                return
            repository.refs[branch] = repository.refs["main"]
            self._send_json({})

    def lfs_batch(self, _name: str) -> None:
        objects = json.loads(self.body)["objects"]
        for item in objects:
            if item["oid"] not in self.hub.uploads:
                item["actions"] = {"upload": {"href": f"{self.hub.url}/upload/{item['oid']}"}}
        self._send_json({"transfer": "basic", "objects": objects})

    def upload(self, oid: str) -> None:
        if hashlib.sha256(self.body).hexdigest() != oid:
            self._send(422, b'{"error": "another sha256"}')
            return
        self.hub.uploads[oid] = self.body
        self._send(200, b"")

    def commit(self, name: str, branch: str) -> None:
        if (user := self._user()) is None:
            self._send(401, b'{"error": "Invalid username or password."}')
        elif name.removeprefix("models/").split("/")[0] != user:
            self._send(403, b'{"error": "You have no right to write to it"}', {"X-Error-Message": "no right"})
        elif repository := self._repository(name):
            files = dict(repository.commits[repository.refs[branch]])
            for line in self.body.splitlines():
                entry = json.loads(line)
                key, value = entry["key"], entry["value"]
                if key == "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                elif key == "lfsFile":
                    files[value["path"]] = self.hub.uploads[value["oid"]]
                elif key == "deletedFile":
                    del files[value["path"]]
                elif key == "deletedFolder":
                    files = {path: content for path, content in files.items() if not path.startswith(value["path"])}
            made = repository.commit(files, branch)
            address = f"{self.hub.url}/{_page(name)}/commit/{made}"
            self._send_json({"success": True, "commitOid": made, "commitUrl": address})


def _with_kind(path: str) -> str:
    """Write the path of a model as that of a dataset `models/OWNER/NAME`, so that one table has both."""
    path = re.sub("^/api/models/", "/api/datasets/models/", path)
    return re.sub(r"^/(?!api/|datasets/)(?=[^/]+/[^/]+(/resolve/|\.git/))", "/datasets/models/", path)


def _page(name: str) -> str:
    return name.removeprefix("models/") if name.startswith("models/") else f"datasets/{name}"


_NAME, _REVISION = r"((?:models/)?[^/]+/[^/]+)", r"([^/]+)"
_ROUTES = [
    (rf"/api/datasets/{_NAME}", "info"),
    (rf"/api/datasets/{_NAME}/revision/{_REVISION}", "info"),
    (rf"/api/datasets/{_NAME}/tree/{_REVISION}(?:/(.+))?", "tree"),
    (rf"/api/datasets/{_NAME}/paths-info/{_REVISION}", "paths_info"),
    (rf"/api/datasets/{_NAME}/preupload/{_REVISION}", "preupload"),
    (rf"/api/datasets/{_NAME}/commit/{_REVISION}", "commit"),
    (rf"/api/datasets/{_NAME}/branch/{_REVISION}", "branch"),
    (rf"/datasets/{_NAME}/resolve/{_REVISION}/(.+)", "resolve"),
    (rf"/datasets/{_NAME}\.git/info/lfs/objects/batch", "lfs_batch"),
    (r"/cdn/([0-9a-f]+)", "cdn"),
    (r"/upload/([0-9a-f]+)", "upload"),
    (r"/api/whoami-v2", "whoami"),
    (r"/api/repos/create", "create"),
    (r"/api/validate-yaml", "validate_yaml"),
]
