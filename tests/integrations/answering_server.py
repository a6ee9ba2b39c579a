"""A server on loopback that speaks as OpenAI's chat completions and answers by the question in the prompt."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_QUESTION = re.compile(r"^Question: (.*)$", re.MULTILINE)


class AnsweringServer(ThreadingHTTPServer):
    """Answers each question with `answers[question]`; `bodies` are the requests it got."""

    daemon_threads = True

    def __init__(self, answers):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers, self.bodies = answers, []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(body)
        contents = [message["content"] for message in body["messages"]]
        parts = [part for content in contents if isinstance(content, list) for part in content]
        texts = [content for content in contents if isinstance(content, str)] + [part.get("text", "") for part in parts]
        message = {"role": "assistant", "content": self.server.answers[_QUESTION.search("\n".join(texts))[1]]}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        reply = {"id": "x", "object": "chat.completion", "created": 1, "model": body["model"], "usage": usage}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        payload = json.dumps({**reply, "choices": [choice]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)
