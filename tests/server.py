"""A file server on this machine that serves, cuts, alters, delays and refuses, as a test says."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Server:
    """What is served, how the next requests are answered, and what was asked for.

    Attributes:
        base: the address of the root.
        files: content by path.
        plan: how to answer the next requests, one word each; nothing left: as a good server does.
        asked: the headers of every request, by lower-case name, with its `path`.
    """

    base: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    plan: list[str] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    etag: str = '"v1"'
    ranges: bool = True
    length: bool = True
    pause: float = 0.0
    sent: int = 0

    @property
    def ranges_asked(self) -> list[str | None]:
        return [headers.get("range") for headers in self.asked]


@contextmanager
def serving() -> Iterator[Server]:
    """Serve on a free port of this machine."""
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append({"path": self.path, **{k.lower(): v for k, v in self.headers.items()}})
            _answer(self, state, state.plan.pop(0) if state.plan else "")

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    state.base = f"http://127.0.0.1:{http.server_port}"
    try:
        yield state
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def _answer(handler: Any, state: Server, how: str) -> None:
    """Answer one request.

    Args:
        handler: of the request.
        state: of the server.
        how: `cut N` (after N bytes), `slow N` (a pause after N bytes), `error N`, `redirect PATH`, `page`,
            `page as file`, `wrong size`, `drop`, `altered`, or nothing.
    """
    word, _, rest = how.partition(" ")
    content = state.files.get(handler.path)
    if word == "drop":
        return handler.connection.close()
    if word == "redirect":
        handler.send_response(302)
        handler.send_header("Location", rest)
        return handler.end_headers()
    if word == "error" or content is None:
        handler.send_response(int(rest or 404))
        handler.send_header("Content-Length", "0")
        return handler.end_headers()
    if word == "page":
        content = b"<!DOCTYPE html><html><body>Log in first.</body></html>"
    if word == "altered":
        content = content[:-1] + bytes([content[-1] ^ 1])
    if word == "wrong":
        content += b"more"
    asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
    same = handler.headers.get("If-Range", state.etag) == state.etag
    start = int(asked[1]) if asked and state.ranges and same else 0
    if start >= len(content) > 0 and start:
        handler.send_response(416)
        handler.send_header("Content-Length", "0")
        return handler.end_headers()
    handler.send_response(206 if start else 200)
    if start:
        handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    if state.etag:
        handler.send_header("ETag", state.etag)
    handler.send_header("Content-Type", "text/html" if how == "page" else "application/gzip")
    if state.length:
        handler.send_header("Content-Length", str(len(content) - start))
    handler.end_headers()
    body = content[start:]
    stop = int(rest) if word in ("cut", "slow") else len(body)
    with_pause = word == "slow"
    try:
        handler.wfile.write(body[:stop])
        handler.wfile.flush()
        state.sent += len(body[:stop])
        if with_pause:
            time.sleep(state.pause)
            handler.wfile.write(body[stop:])
    except OSError:
        pass
    return handler.connection.close() if word == "cut" else None
