"""A server that speaks the chat completions protocol over HTTP, with the faults of real ones. Run as a program."""

import base64
import hashlib
import json
import math
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
REWORDED = [
    "On which bench {n} might a tired walker sit down before the long road home?",
    "After heavy rain, what low land {n} would stand in water first?",
    "If a new road were planned, who or what {n} would need a wall against its roar?",
    "Show me the corner {n} that small kids would find most fun.",
    "Which plain {n} has a quiet tone that suits a watercolour?",
    "Along what path {n} does the night watch go at dusk?",
    "From what store {n} could a whole village eat while snow lies?",
    "Whose roof {n} would be looked at once the hailstones melt?",
    "In which trees {n} do flocks meet ahead of their flight south?",
    "Which outcrop {n} would be hammered for stone early in the day?",
]
GERMAN = [
    "Wo könnte ein Reisender {n} eine Stunde lang ausruhen, bevor er weitergeht?",
    "Welcher Boden {n} stünde nach einem schweren Unwetter sofort unter Wasser?",
    "Was würde eine Planerin {n} zuerst vor dem Lärm der Straße schützen?",
    "Zeige den Teil {n}, zu dem ein Kind am Nachmittag gleich laufen würde.",
    "Welche Fläche {n} wählte ein Maler wegen ihrer ruhigen Farbe?",
    "Wo ginge eine Wächterin {n} jeden Abend ihre Runde zu Fuß?",
    "Womit könnte man {n} hundert Menschen durch den Winter bringen?",
    "Welches Bauwerk {n} besuchte der Versicherer nach dem Hagel zuerst?",
    "Wo sammelten sich die Vögel {n}, bevor sie im Herbst aufbrechen?",
    "Von welcher Stelle {n} nähme ein Geologe vor dem Essen eine Probe?",
]
TARGET = "walled yard"
ANSWERS = [
    "It is the walled yard, because its four sides keep {n} out of the wind.",
    "The walled yard fits best: carts stand inside, and {n} marks the gate.",
    "Only a yard with walls could be meant, since nothing else here is closed by {n}.",
    "That is the yard behind the wall, where people wait and {n} leads in.",
    "One sees the walled yard at once, as the road to {n} ends before its door.",
]
KINDS = ["function", "condition", "superlative", "spatial relation", "multi-instance"]


def asked_of(request):
    """The message that was asked: the last one that is no correction."""
    messages = request["messages"]
    corrects = "no valid answer" in str(messages[-1]["content"])[:60]
    content = messages[-3 if corrects else -1]["content"]
    return (
        (content, "", corrects)
        if isinstance(content, str)
        else (content[0]["text"], content[-1]["image_url"]["url"], corrects)
    )


def listed(prompt, heading):
    """Number of lines in the numbered list below a heading."""
    lines = iter(prompt.splitlines())
    for line in lines:
        if line.startswith(heading):
            break
    count = 0
    for line in lines:
        if not line[:1].isdigit():
            break
        count += 1
    return count


def usage_of(request, answered):
    """Tokens by the rules of OpenAI: four characters of text each, and tiles of 512 px of pictures."""
    texts, pictures = [], 0
    for message in request["messages"]:
        parts = message["content"] if isinstance(message["content"], list) else [{"text": message["content"]}]
        for part in parts:
            if "text" in part:
                texts.append(part["text"])
            else:
                width, height = jpeg_size(base64.b64decode(part["image_url"]["url"].partition(",")[2]))
                scale = min(1, 768 / min(width, height))
                pictures += 85 + 170 * math.ceil(width * scale / 512) * math.ceil(height * scale / 512)
    schema = request.get("response_format", {}).get("json_schema", {}).get("schema")
    texts.append(json.dumps(schema) if schema else "")
    read = sum(math.ceil(len(text) / 4) for text in texts) + 3 * len(request["messages"]) + pictures
    written = math.ceil(len(answered) / 4)
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def jpeg_size(content):
    at = 2
    while content[at + 1] not in (0xC0, 0xC1, 0xC2):
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return int.from_bytes(content[at + 7 : at + 9], "big"), int.from_bytes(content[at + 5 : at + 7], "big")


def answer(schema, prompt):
    digest = hashlib.sha256(prompt.encode()).hexdigest()
    words = [f"number {int(digest[k : k + 4], 16)}" for k in range(0, 40, 4)]
    stems = GERMAN if "German" in prompt else STEMS
    if stems is GERMAN:
        words = [word.replace("number", "Nummer") for word in words]
    questions = [stem.format(n=word) for stem, word in zip(stems, words, strict=True)]
    asked = [
        {"text": text, "reasoning_type": KINDS[k % 5], "difficulty": ("easy", "medium", "hard")[k % 3]}
        for k, text in enumerate(questions)
    ]
    answers = [text.format(n=word) for text, word in zip(ANSWERS, words, strict=False)]
    if stems is GERMAN:
        answers = [
            f"Es ist der Hof mit der Mauer, denn {question[:-1].lower()} gibt es hier sonst nirgends."
            for question in questions[:5]
        ]
    if schema == "texts":
        return {"questions": [question.replace("Where", "Tell me where") for question in questions]}
    if schema == "proposal":
        return {"target": TARGET, "questions": asked, "answers": answers}
    if schema == "grounding":
        if "unicorn" in prompt:
            return {"found": False, "box": None, "points": []}
        return {"found": True, "box": [250, 250, 750, 500], "points": [[500, 400]]}
    if schema == "absence":
        offered = prompt.partition("Concepts, in order: ")[2].splitlines()[0].split("; ")
        return {"seen": "grass", "present": offered[1:2], "concept": offered[0], "questions": asked}
    if schema == "rewriting":
        reworded = [stem.format(n=word) for stem, word in zip(REWORDED, words, strict=True)]
        texts = questions if stems is GERMAN else reworded
        return {"questions": [{"number": n, "text": text} for n, text in enumerate(texts, start=1)]}
    numbers = range(1, listed(prompt, "Questions:") + 1)
    if schema == "absencereview":
        fits = {"nothing_fits": True, "implicit": True, "plausible": True, "reason": "it fits"}
        return {"candidates": [], "absent": True, "verdicts": [{"number": n, **fits} for n in numbers]}
    fits = {"answerable": True, "implicit": True, "unique": True, "mask_fits": True, "reason": "it fits"}
    good = {"true_of_region": True, "names_target": True, "says_why": True, "reason": "it is seen"}
    return {
        "region": "a yard",
        "target_fits": True,
        "verdicts": [{"number": n, **fits} for n in numbers],
        "answers": [{"number": n, **good} for n in range(1, listed(prompt, "Answers:") + 1)],
    }


def schema_of(request):
    if "json_schema" in request.get("response_format", {}):
        return request["response_format"]["json_schema"]["name"]
    content = request["messages"][0]["content"]
    text = content if isinstance(content, str) else content[0]["text"]
    asked = text.rpartition("schema:")[2]
    keys = {
        '"candidates"': "absencereview",
        '"verdicts"': "judgereply",
        '"concept"': "absence",
        '"answers"': "proposal",
        '"number"': "rewriting",
    }
    return next((name for key, name in keys.items() if key in asked), "texts")


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
        self.counts = False  # whether usage is counted, instead of 1,000 and 200 tokens for everything
        self.change = lambda schema, prompt, answer: answer  # changes the answers themselves
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
        text, picture, corrected = asked_of(request)
        schema = schema_of(request)
        # Without the end of a picture, images with one prompt would get the same questions.
        told = self.server.change(schema, text, answer(schema, text + ("\n" + picture[-400:] if picture else "")))
        message = {"role": "assistant", "content": json.dumps(told), "refusal": None}
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
            self.server.served.append((time.time(), key, text[:80]))
        completion = {
            "id": "x",
            "object": "chat.completion",
            "created": 1,
            "model": request["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200},
        }
        if self.server.counts:
            completion["usage"] = usage_of(request, message["content"] or "")
        self.reply(200, self.server.wrap(completion), self.server.headers)
        return None

    def batch(self, request):
        if self.server.no_batches:
            return self.reply(503, {"error": {"message": "try later"}})
        lines = []
        for line in self.server.files["file-in"].splitlines():
            entry = json.loads(line)
            text, _, _ = asked_of(entry["body"])
            schema = schema_of(entry["body"])
            told = self.server.change(schema, text, answer(schema, f"{text}\n{entry['custom_id']}"))
            message = {"role": "assistant", "content": json.dumps(told)}
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
