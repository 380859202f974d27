"""An OpenAI-style server of thirty lines: `python -m tiny_llm PORT`. It knows no rootward.

Any other would do in its place: vLLM, llama.cpp's server, Ollama. This one repeats what it was
told, word by word, so that the example needs no model.
"""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODEL = "tiny"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer({"object": "list", "data": [{"id": MODEL, "object": "model"}]})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        words = f"You said: {asked['messages'][-1]['content']}".split()
        if asked.get("stream"):
            self.stream(words)
        else:
            message = {"role": "assistant", "content": " ".join(words)}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            self.answer({**self.about("chat.completion"), "choices": [choice]})

    def stream(self, words):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for number, word in enumerate(words):
            delta = {"role": "assistant", "content": word if number == 0 else f" {word}"}
            choice = {"index": 0, "delta": delta, "finish_reason": None}
            self.event({**self.about("chat.completion.chunk"), "choices": [choice]})
        choice = {"index": 0, "delta": {}, "finish_reason": "stop"}
        self.event({**self.about("chat.completion.chunk"), "choices": [choice]})
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def about(self, kind):
        return {"id": "chat-1", "object": kind, "created": int(time.time()), "model": MODEL}

    def event(self, value):
        self.wfile.write(f"data: {json.dumps(value)}\n\n".encode())

    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
