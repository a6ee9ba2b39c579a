"""A Label Studio in memory, as far as our client sees one, to make it misbehave."""

import json
import re

import httpx


class FakeLabelStudio:
    def __init__(self, token="secret"):
        self.token = token
        self.projects = {}
        self.tasks = {}
        self.uploads = {}
        self.users = {1: "anna@example.org", 2: "ben@example.org"}
        self.down = False
        self.number = 0

    @property
    def transport(self):
        return httpx.MockTransport(self.answer)

    def next(self):
        self.number += 1
        return self.number

    def answer(self, request):
        if self.down:
            raise httpx.ConnectError("refused", request=request)
        if request.url.path == "/api/version":
            return httpx.Response(200, json={"release": "1.23.2"})
        if request.headers.get("Authorization") != f"Token {self.token}":
            return httpx.Response(401, json={"detail": "Invalid token."})
        path, method = request.url.path, request.method
        if path == "/api/current-user/whoami":
            return httpx.Response(200, json={"id": 1})
        if path == "/api/users/":
            return httpx.Response(200, json=[{"id": key, "email": mail} for key, mail in self.users.items()])
        if path == "/api/projects/" and method == "POST":
            number = self.next()
            self.projects[number] = json.loads(request.content)
            return httpx.Response(201, json={"id": number})
        if path == "/api/tasks/":
            return self.page(request)
        if path == "/api/predictions/":
            guess = json.loads(request.content)
            self.tasks[guess["task"]].setdefault("predictions", []).append(guess | {"id": self.next()})
            return httpx.Response(201, json=guess)
        changed = re.fullmatch(r"/api/(tasks|predictions)/(\d+)/", path)
        if changed and method == "PATCH":
            self.tasks[int(changed[2])] |= json.loads(request.content)
            return httpx.Response(200, json={})
        if changed and method == "DELETE":
            for task in self.tasks.values():
                task["predictions"] = [g for g in task.get("predictions", []) if g.get("id") != int(changed[2])]
            return httpx.Response(204)
        found = re.fullmatch(r"/api/projects/(\d+)/(.*)", path)
        if not found or int(found[1]) not in self.projects:
            return httpx.Response(404)
        return self.of_project(int(found[1]), found[2], request)

    def page(self, request):
        project, page = int(request.url.params["project"]), int(request.url.params["page"])
        mine = [task for task in self.tasks.values() if task["project"] == project]
        return httpx.Response(200, json={"total": len(mine), "tasks": mine[(page - 1) * 50 : page * 50]})

    def of_project(self, project, rest, request):
        if rest == "" and request.method == "GET":
            return httpx.Response(200, json=self.projects[project])
        if rest == "" and request.method == "PATCH":
            self.projects[project] |= json.loads(request.content)
            return httpx.Response(200, json=self.projects[project])
        if rest == "file-uploads":
            number = json.loads(request.url.params["ids"])[0]
            return httpx.Response(200, json=[{"id": number, "file": f"upload/{number}.png"}])
        if "multipart" in request.headers["Content-Type"]:
            number = self.next()
            self.uploads[number] = request.content
            return httpx.Response(201, json={"file_upload_ids": [number]})
        numbers = []
        for task in json.loads(request.content):
            numbers.append(self.next())
            guesses = [guess | {"id": self.next()} for guess in task.get("predictions", [])]
            made = {**task, "id": numbers[-1], "project": project, "annotations": [], "predictions": guesses}
            self.tasks[numbers[-1]] = made
        return httpx.Response(201, json={"task_ids": numbers})

    def task(self, name):
        return next(task for task in self.tasks.values() if task["data"]["task"] == name)

    def annotate(self, name, result, user=1, **more):
        note = {
            "id": self.next(),
            "completed_by": user,
            "result": result,
            "lead_time": 7.0,
            "updated_at": "2026-01-01T10:00:00Z",
            "was_cancelled": False,
        } | more
        self.task(name)["annotations"].append(note)
