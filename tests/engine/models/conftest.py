"""A file server on this computer that can be told to misbehave, and official-like weights."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from napari_sss.engine.models.architecture import build_sam2
from napari_sss.engine.models.official import OFFICIAL


@dataclass
class FileServer:
    """Serves ``content`` under any path, with the faults its fields ask for.

    ``cut_after`` lists, one per connection to come, how many bytes are sent before the
    connection is closed; ``status`` lists error codes, one per request to come.
    """

    content: bytes = b""
    ranges: bool = True
    cut_after: list[int] = field(default_factory=list)
    status: list[int] = field(default_factory=list)
    requested_ranges: list[str | None] = field(default_factory=list)
    url: str = ""


def _handler(files: FileServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            files.requested_ranges.append(wanted)
            if files.status:
                self.send_error(files.status.pop(0))
                return
            total, start = len(files.content), 0
            if wanted and files.ranges:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                if start >= total:
                    self.send_error(416)
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            else:
                self.send_response(200)
            body = files.content[start:]
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if files.cut_after:
                body = body[: files.cut_after.pop(0)]
            with suppress(ConnectionError):  # the client may have cancelled
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture
def file_server() -> Iterator[FileServer]:
    files = FileServer()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(files))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    files.url = f"http://127.0.0.1:{server.server_port}/"
    yield files
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="session")
def official_weights() -> dict[str, torch.Tensor]:
    """Weights of SAM 2.1 tiny's names and shapes, one number each, so that files stay small."""
    net = build_sam2(OFFICIAL["sam2.1-tiny"])
    return {n: torch.full((1,), 0.01).expand(t.shape) for n, t in net.state_dict().items()}
