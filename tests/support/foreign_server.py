"""A foreign server for tests: `python foreign_server.py HOST PORT [FOLDER]`, standard library only.

It tells what it was asked, streams, echoes WebSockets, and is as ill as its folder says: a file
`sick` there makes its health fail, `deaf` leaves it without an answer.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

FOLDER = Path(sys.argv[3]) if len(sys.argv) > 3 else None
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        route = self.path.partition("?")[0]
        if self.headers.get("Upgrade", "").lower() == "websocket":
            self.echo()
        elif route == "/lines":
            self.stream()
        elif route == "/slow":
            self.wait_for_gate()
        elif route == "/none":
            self.send_response(204)
            self.end_headers()
        elif route == "/moved":
            self.send_response(302)
            self.send_header("Location", "/there")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif route == "/health":
            self.say_health()
        else:
            self.tell()

    def __getattr__(self, name: str) -> Any:
        # do_GET and whatever else there is.
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def say_health(self) -> None:
        if FOLDER is not None and (FOLDER / "deaf").exists():
            threading.Event().wait(60)
        is_sick = FOLDER is not None and (FOLDER / "sick").exists()
        self.send(500 if is_sick else 200, b"sick" if is_sick else b"well")

    def tell(self) -> None:
        """Tell what was asked, and by which process."""
        told = {
            "method": self.command,
            "path": self.path,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "body": self.body().decode(errors="replace"),
            "pid": os.getpid(),
            "args": sys.argv[1:],
            "env": {name: os.environ.get(name) for name in ("HOST", "PORT", "COLOUR")},
        }
        self.send(503 if self.path == "/full" else 200, json.dumps(told).encode())

    def send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            if FOLDER is not None:
                (FOLDER / f"piece-{len(pieces)}").touch()
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def stream(self) -> None:
        """Send a line, and the next ones when the gate is open, if there is one."""
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(3):
            line = b"line %d\n" % number
            self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))
            self.wfile.flush()
            if number == 0 and FOLDER is not None:
                self.until(FOLDER / "gate")
        self.wfile.write(b"0\r\n\r\n")

    def wait_for_gate(self) -> None:
        assert FOLDER is not None
        (FOLDER / "begun").touch()
        self.until(FOLDER / "gate")
        self.send(200, b'"whole"')

    def until(self, file: Path) -> None:
        while not file.exists():
            threading.Event().wait(0.01)

    def echo(self) -> None:
        """Answer each frame of a WebSocket with the same, until the other side closes."""
        key = self.headers["Sec-WebSocket-Key"].encode()
        accept = base64.b64encode(hashlib.sha1(key + _GUID).digest()).decode()
        self.wfile.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept.encode()
        )
        self.close_connection = True
        while len(head := self.rfile.read(2)) == 2:
            size = head[1] & 127
            if size == 126:
                (size,) = struct.unpack(">H", self.rfile.read(2))
            mask = self.rfile.read(4)
            data = bytes(b ^ mask[i % 4] for i, b in enumerate(self.rfile.read(size)))
            sizes = bytes([size]) if size < 126 else b"\x7e" + struct.pack(">H", size)
            self.wfile.write(head[:1] + sizes + data)
            if head[0] & 15 == 8:
                return


class Server(ThreadingHTTPServer):
    daemon_threads = True


if __name__ == "__main__":
    print(f"serves on {sys.argv[2]}", flush=True)
    Server((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
