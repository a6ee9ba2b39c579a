"""A server that speaks the chat completions protocol over HTTP, with the faults of real ones. Run as a program."""

import hashlib
import json
import random
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STEMS = [
    "Where could a traveller {n} rest for an hour before going on?",
    "Which ground {n} would be under water after a storm?",
    "What here {n} might a planner protect from noise first?",
    "Find the part {n} that a child would run to at once.",
    "Which surface {n} would a painter choose for its calm colour?",
    "Where would a guard {n} walk a round every evening?",
    "What could feed {n} a hundred people through the winter?",
    "Which structure {n} would an insurer visit after hail?",
    "Where might birds {n} gather before they leave in autumn?",
    "Which spot {n} would a geologist sample before lunch?",
]


def answer(schema, prompt):
    digest = hashlib.sha256(prompt.encode()).hexdigest()
    words = [f"number {int(digest[k : k + 4], 16)}" for k in range(0, 40, 4)]
    questions = [stem.format(n=word) for stem, word in zip(STEMS, words, strict=True)]
    if schema == "proposal":
        return {
            "questions": questions,
            "answers": [f"It is the target, because of reason {word}." for word in words[:4]],
        }
    if schema == "grounding":
        if "unicorn" in prompt:
            return {"found": False, "box": None, "points": []}
        return {"found": True, "box": [250, 250, 750, 500], "points": [[500, 400]]}
    if schema == "absence":
        return {"concept": "lighthouse", "questions": questions}
    if schema == "rewriting":
        return {"questions": [question.replace("Where", "Tell me where") for question in questions]}
    lines = [line for line in prompt.splitlines() if line[:1].isdigit()]
    return {
        "verdicts": [
            {"number": n, "answerable": True, "implicit": True, "unique": True, "mask_fits": True, "reason": "it fits"}
            for n in range(1, len(lines) + 1)
        ]
    }


def schema_of(request):
    if "json_schema" in request.get("response_format", {}):
        return request["response_format"]["json_schema"]["name"]
    content = request["messages"][0]["content"]
    text = content if isinstance(content, str) else content[0]["text"]
    asked = text.rpartition("schema:")[2]
    keys = {'"verdicts"': "judgereply", '"concept"': "absence", '"answers"': "proposal"}
    return next((name for key, name in keys.items() if key in asked), "rewriting")


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    no_batches = False
    hides_batches = False  # whether it answers with status 500 about a batch that it has not

    def __init__(self, port=0, faults=0.0, delay=0.0, seed=0):
        super().__init__(("127.0.0.1", port), Handler)
        self.faults, self.delay, self.random = faults, delay, random.Random(seed)
        self.lock = threading.Lock()
        self.served = []  # (time, key, prompt) of every completed answer
        self.seen = {}
        self.files, self.batches = {}, {}
        # Faults to play in order, before the random ones: their names, or (status, content, headers) sent as they are.
        self.script = []
        self.bodies = []  # every request for a completion
        self.refuse = lambda body: None  # makes an error message of a request body that is refused
        self.wrap = lambda completion: completion  # changes good completions
        self.headers = []  # headers of good completions
        self.batch_script = []  # changes to the objects of the next batches


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, status, content, headers=()):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        path, _, query = self.path.partition("?")
        if path == "/v1/batches":
            listed = list(reversed(self.server.batches.values()))
            after = query.partition("after=")[2].partition("&")[0]
            start = [batch["id"] for batch in listed].index(after) + 1 if after else 0
            page = listed[start : start + 2]
            more = start + 2 < len(listed)
            return self.reply(200, {"object": "list", "data": page, "has_more": more})
        if self.path == "/log":
            with self.server.lock:
                return self.reply(200, self.server.served)
        if self.path.startswith("/v1/batches/"):
            name = self.path.rsplit("/", 1)[1]
            if name in self.server.batches:
                return self.reply(200, self.server.batches[name])
            if self.server.hides_batches:
                return self.reply(500, b"Internal Server Error")
        if self.path.endswith("/content") and self.path.split("/")[3] in self.server.files:
            return self.reply(200, self.server.files[self.path.split("/")[3]])
        return self.reply(404, {"error": {"message": "no such thing"}})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            if self.path == "/v1/chat/completions":
                self.complete(json.loads(body))
            elif self.path == "/v1/files":
                lines = [line for line in body.split(b"\n") if line.lstrip().startswith(b'{"custom_id"')]
                self.server.files["file-in"] = b"\n".join(line.strip() for line in lines)
                self.reply(
                    200,
                    {
                        "id": "file-in",
                        "object": "file",
                        "bytes": 1,
                        "created_at": 1,
                        "filename": "a",
                        "purpose": "batch",
                        "status": "processed",
                    },
                )
            elif self.path == "/v1/batches":
                self.batch(json.loads(body))
        except (BrokenPipeError, ConnectionResetError):
            pass

    def fault(self):
        with self.server.lock:
            if self.server.script:
                return self.server.script.pop(0)
            kinds = ["429", "500", "cut", "refusal", "junk", "schema", "slow"]
            return self.server.random.choice(kinds) if self.server.random.random() < self.server.faults else "none"

    def complete(self, request):
        with self.server.lock:
            self.server.bodies.append(request)
        if message := self.server.refuse(request):
            return self.reply(400, {"error": {"message": message, "type": "invalid_request_error"}})
        fault = self.fault()
        if isinstance(fault, tuple):
            status, content, *headers = fault
            return self.reply(status, content, *headers)
        if fault == "silence":
            time.sleep(1.5)
            return None
        if fault == "429":
            return self.reply(429, {"error": {"message": "slow down"}}, [("Retry-After", "0.05")])
        if fault in ("500", "401", "404"):
            return self.reply(int(fault), {"error": {"message": "no"}})
        if fault == "cut":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'{"id": "x", "choi')
            self.close_connection = True
            return None
        time.sleep(self.server.delay + (0.3 if fault == "slow" else 0))
        content = request["messages"][0]["content"]
        prompt = content if isinstance(content, str) else content[0]["text"] + content[1]["image_url"]["url"][-400:]
        schema = schema_of(request)
        message = {"role": "assistant", "content": json.dumps(answer(schema, prompt)), "refusal": None}
        corrected = len(request["messages"]) > 1
        if fault == "refusal" and not corrected:
            message = {"role": "assistant", "content": None, "refusal": "I would rather not"}
        if fault == "junk" and not corrected:
            message["content"] = "{"
        if fault == "schema" and not corrected:
            message["content"] = '{"questions": 3}'
        if fault == "always junk":
            message["content"] = "{"
        key = self.headers.get("Idempotency-Key", "")
        with self.server.lock:
            self.server.served.append((time.time(), key, prompt[:80]))
        completion = {
            "id": "x",
            "object": "chat.completion",
            "created": 1,
            "model": request["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200},
        }
        self.reply(200, self.server.wrap(completion), self.server.headers)
        return None

    def batch(self, request):
        if self.server.no_batches:
            return self.reply(503, {"error": {"message": "try later"}})
        lines = []
        for line in self.server.files["file-in"].splitlines():
            entry = json.loads(line)
            content = entry["body"]["messages"][0]["content"]
            prompt = content if isinstance(content, str) else content[0]["text"]
            schema = schema_of(entry["body"])
            message = {"role": "assistant", "content": json.dumps(answer(schema, prompt + entry["custom_id"]))}
            body = {
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 1000, "completion_tokens": 200},
            }
            if message := self.server.refuse(entry["body"]):
                error = {"error": {"message": message, "type": "invalid_request_error"}}
                response = {"status_code": 400, "body": error}
            else:
                response = {"status_code": 200, "body": self.server.wrap(body)}
            lines.append(json.dumps({"custom_id": entry["custom_id"], "response": response}))
        name = f"file-out-{len(self.server.batches)}"
        self.server.files[name] = "\n".join(lines).encode()
        batch = {
            "id": f"batch-{len(self.server.batches)}",
            "object": "batch",
            "endpoint": "/v1/chat/completions",
            "input_file_id": "file-in",
            "completion_window": "24h",
            "status": "completed",
            "created_at": 1,
            "output_file_id": name,
            "error_file_id": None,
            "metadata": request.get("metadata"),
        }
        self.server.batches[batch["id"]] = batch
        fault = self.server.batch_script.pop(0) if self.server.batch_script else {}
        batch |= {name: value for name, value in fault.items() if name != "late"}
        if "late" in fault:
            time.sleep(fault["late"])
        return self.reply(200, {**batch, "status": "validating"})


if __name__ == "__main__":
    server = Server(faults=float(sys.argv[1]), delay=float(sys.argv[2]))
    print(server.server_address[1], flush=True)
    server.serve_forever()
