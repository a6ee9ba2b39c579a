"""A server on loopback that finds red pixels in the picture it gets, and answers in the style of a model family."""

import base64
import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize


def find_red(picture):
    """Return left, top, right, bottom of the red pixels as fractions; None if there are none."""
    pixels = np.asarray(picture.convert("RGB")).astype(int)
    red = (pixels[..., 0] > 150) & (pixels[..., 1] < 90) & (pixels[..., 2] < 90)
    if not red.any():
        return None
    (rows,), (columns,) = red.any(axis=1).nonzero(), red.any(axis=0).nonzero()
    height, width = red.shape
    return columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height


def qwen25(box, picture):
    # Absolute pixels of what the model sees after its own image processor.
    height, width = smart_resize(picture.height, picture.width)
    where = [round(side * full) for side, full in zip(box, (width, height) * 2, strict=True)]
    return f'```json\n[\n\t{{"bbox_2d": {where}, "label": "red rectangle"}}\n]\n```'


def qwen3(box, picture):
    left, top, right, bottom = (round(side * 1000) for side in box)
    middle = [(left + right) // 2, (top + bottom) // 2]
    found = [{"bbox_2d": [left, top, right, bottom], "point_2d": middle, "label": "red rectangle"}]
    return f"<think>A red one: [1, 2, 3, 4]?</think>\n\n{json.dumps(found)}"


def gemini(box, picture):
    left, top, right, bottom = (round(side * 1000) for side in box)
    return f'Here it is:\n```json\n[{{"box_2d": [{top}, {left}, {bottom}, {right}], "label": "red rectangle"}}]\n```'


def internvl(box, picture):
    return f"<ref>red rectangle</ref><box>[{[round(side * 1000) for side in box]}]</box>"


def gpt5(box, picture):
    return json.dumps({"targets": [{"box": [round(side * 1000) for side in box], "points": []}]})


def fractions(box, picture):
    return json.dumps({"box": [round(side, 3) for side in box]})


STYLES = {
    "qwen2.5-vl-7b": qwen25,
    "qwen3-vl-8b": qwen3,
    "gemini-2.5-flash": gemini,
    "internvl3-8b": internvl,
    "gpt-5": gpt5,
}


def refuse_as_gpt5(body):
    """Return the message with which GPT-5 refuses a request body; None if it does not."""
    if "max_tokens" in body:
        return (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        )
    if body.get("temperature", 1) != 1:
        refused = "Unsupported value: 'temperature' does not support 0 with this model."
        return f"{refused} Only the default (1) value is supported."
    return None


class FamilyServer(ThreadingHTTPServer):
    """Server with the style of one family.

    `bodies` are the requests it got, `keys` their Idempotency-Keys, `script` the answers to give first; `refuse` makes
    a message of a body it refuses.
    """

    daemon_threads = True

    def __init__(self, style):
        super().__init__(("127.0.0.1", 0), Handler)
        self.style, self.bodies, self.keys, self.script, self.refuse = style, [], [], [], lambda body: None
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if message := self.server.refuse(body):
            return self.reply(400, {"error": {"message": message, "type": "invalid_request_error"}})
        self.server.bodies.append(body)
        self.server.keys.append(self.headers["Idempotency-Key"])
        text = self.server.script.pop(0) if self.server.script else self.answer(body)
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        answer = {"id": "x", "object": "chat.completion", "created": 1, "model": f"{body['model']}-2026-01-01"}
        return self.reply(200, {**answer, "choices": [choice], "usage": usage})

    def answer(self, body):
        url = body["messages"][0]["content"][1]["image_url"]["url"]
        picture = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
        box = find_red(picture)
        return "[]" if box is None else self.server.style(box, picture)

    def reply(self, status, content):
        payload = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)
