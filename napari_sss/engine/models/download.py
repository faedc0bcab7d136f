"""Fetching a model's file: resumable, verified, and never half a file at the final path.

Bytes go to ``<file>.part`` beside the final path. A broken connection keeps the part, and
this or a later call continues it. Only when size and SHA-256 are right does the part take
the final name, in one step. A lock file keeps two processes from writing the same part; the
operating system frees it when its owner ends, however that happens.
"""

from __future__ import annotations

import errno
import http.client
import logging
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from napari_sss.engine.errors import DownloadError
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.models.files import fault, only_writer, writing
from napari_sss.engine.models.registry import ModelEntry

logger = logging.getLogger(__name__)

_CHUNK = 1 << 18
_REPORT_EVERY = 0.1  # seconds
_TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})

Opener = Callable[..., Any]


@dataclass(frozen=True)
class Patience:
    """How long a download keeps trying.

    Parameters
    ----------
    timeout : float
        Seconds without a byte after which a connection counts as broken.
    retries : int
        Broken connections in a row, none of which brought a byte, before giving up.
    pause : float
        Seconds before the first retry; doubled for each further one.
    """

    timeout: float = 20.0
    retries: int = 5
    pause: float = 1.0


class _ConnectionLostError(Exception):
    """The transfer broke off for a reason that may pass."""


class _RestartNeededError(Exception):
    """The server will not continue the part; it must be fetched from its first byte."""


def download_model(
    entry: ModelEntry,
    control: JobControl | None = None,
    *,
    opener: Opener = urllib.request.urlopen,
    patience: Patience | None = None,
) -> Path:
    """Make sure that a model's verified file is on this computer.

    Parameters
    ----------
    entry : ModelEntry
        What to fetch.
    control : JobControl, optional
        Told the bytes so far; a request to cancel is honoured within a chunk of 256 KiB and
        keeps the part for the next time.
    opener : callable
        Opens a :class:`urllib.request.Request`, as :func:`urllib.request.urlopen` does.
    patience : Patience, optional
        Timeouts and retries.

    Returns
    -------
    Path
        The file; the package's own for the embedded model.

    Raises
    ------
    DownloadError
        The server cannot be reached, does not have the file, or sends another one.
    WriteError
        The folder cannot be written, or has no room for the file.
    Cancelled
        The user asked to stop.
    """
    if entry.is_packaged:
        return entry.path
    control = control or JobControl()
    final = entry.path
    with writing(final):
        final.parent.mkdir(parents=True, exist_ok=True)
    with only_writer(final, control):
        if final.is_file() and not fault(entry, final, control):
            return final
        _Transfer(entry, control, opener, patience or Patience()).run()
    logger.info("Downloaded %s to %s", entry.title, final)
    return final


class _Transfer:
    """One download, from whatever part is there to the verified final file."""

    def __init__(
        self, entry: ModelEntry, control: JobControl, opener: Opener, patience: Patience
    ) -> None:
        self.entry = entry
        self.control = control
        self.opener = opener
        self.patience = patience
        self.url = _checked_url(entry)
        self.part = entry.path.with_name(entry.path.name + ".part")
        self.stage = f"download {entry.title}"
        self.total = entry.size or 0
        self.last_report = 0.0

    def run(self) -> None:
        resumed = self.done > 0
        self._fetch_all()
        wrong = fault(self.entry, self.part, self.control)
        if wrong and resumed:
            # The old part may stem from another file of this name: give it one clean try.
            logger.warning("%s: %s Starting from the first byte.", self.part, wrong)
            self._drop_part()
            self._fetch_all()
            wrong = fault(self.entry, self.part, self.control)
        if wrong:
            self._drop_part()
            raise DownloadError(
                f"{self.url} was downloaded, but {wrong}",
                "Nothing was kept. Try again; if it repeats, the file on the server or a proxy "
                "in between has changed it, so fetch it by another way and check it.",
                self.entry.path,
            )
        with writing(self.entry.path):
            os.replace(self.part, self.entry.path)

    @property
    def done(self) -> int:
        """Bytes already in the part."""
        try:
            return self.part.stat().st_size
        except FileNotFoundError:
            return 0

    def _fetch_all(self) -> None:
        """Bring the part to its full length, over as many connections as it takes."""
        failures = 0
        while True:
            before = self.done
            try:
                self._fetch_rest()
                return
            except _RestartNeededError as reason:
                if before == 0:  # nothing to blame on the part: it would go on for ever
                    raise self._gave_up(str(reason)) from reason
                logger.info("%s: %s; starting from the first byte", self.url, reason)
                self._drop_part()
                continue
            except _ConnectionLostError as reason:
                failures = 1 if self.done > before else failures + 1
                logger.warning("%s: %s after %d bytes", self.url, reason, self.done)
                if failures > self.patience.retries:
                    raise self._gave_up(str(reason)) from reason
            self._wait(self.patience.pause * 2 ** (failures - 1))

    def _fetch_rest(self) -> None:
        """Append what is missing to the part over one connection."""
        start = self.done
        if self.entry.size is not None and start >= self.entry.size:
            if start > self.entry.size:
                raise _RestartNeededError("the part is longer than the file")
            return
        request = urllib.request.Request(self.url, headers={"Accept-Encoding": "identity"})
        if start:
            request.add_header("Range", f"bytes={start}-")
        with self._opened(request) as response:
            start, self.total = self._agreed_range(response, start)
            self._check_room(start)
            self._copy(response, start)

    @contextmanager
    def _opened(self, request: urllib.request.Request) -> Iterator[Any]:
        try:
            response = self.opener(request, timeout=self.patience.timeout)
        except urllib.error.HTTPError as error:
            with error:
                raise self._refusal(error) from error
        except (OSError, http.client.HTTPException) as error:
            raise _ConnectionLostError(_reason(error)) from error
        with response:
            yield response

    def _refusal(self, error: urllib.error.HTTPError) -> Exception:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return _RestartNeededError("the server does not accept the part's length")
        if error.code in _TRANSIENT_STATUS:
            return _ConnectionLostError(f"the server answered {error.code} {error.reason}")
        return DownloadError(
            f"{self.url} cannot be downloaded: the server says {error.code} {error.reason}.",
            f"Download it in a browser and save it as {self.entry.path}.",
            self.entry.path,
        )

    def _agreed_range(self, response: Any, start: int) -> tuple[int, int]:
        """First byte the server sends, and length of the whole file (0 where unknown)."""
        length = response.headers.get("Content-Length", "")
        if response.status == http.HTTPStatus.PARTIAL_CONTENT:
            sent_from, total = _content_range(response.headers.get("Content-Range", ""))
            if sent_from != start:
                raise _RestartNeededError("the server sends another range than asked for")
        else:  # the whole file, from a server that knows no ranges
            start, total = 0, int(length) if length.isdigit() else 0
        if self.entry.size and total and total != self.entry.size:
            self._drop_part()
            raise DownloadError(
                f"{self.url} has {total} bytes on the server, but the model has "
                f"{self.entry.size}.",
                "The file was replaced, or a proxy answers in its place. Download it in a "
                f"browser and save it as {self.entry.path}.",
                self.entry.path,
            )
        return start, total or self.entry.size or 0

    def _check_room(self, start: int) -> None:
        with writing(self.part):
            free = shutil.disk_usage(self.part.parent).free
            if self.total - start > free:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _copy(self, response: Any, start: int) -> None:
        with writing(self.part), self.part.open("r+b" if start else "wb") as stream:
            stream.seek(start)
            stream.truncate()
            done = start
            try:
                while chunk := self._read(response):
                    stream.write(chunk)
                    done += len(chunk)
                    self._report(done)
            finally:
                stream.flush()
                os.fsync(stream.fileno())
        if self.total and done < self.total:
            raise _ConnectionLostError("the connection was closed early")

    def _read(self, response: Any) -> bytes:
        self.control.check()
        try:
            return response.read1(_CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise _ConnectionLostError(_reason(error)) from error

    def _report(self, done: int) -> None:
        now = time.monotonic()
        if now - self.last_report >= _REPORT_EVERY or done == self.total:
            self.last_report = now
            self.control.report(self.stage, done, self.total)

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.control.check()
            time.sleep(min(left, 0.1))

    def _drop_part(self) -> None:
        with writing(self.part):
            self.part.unlink(missing_ok=True)

    def _gave_up(self, reason: str) -> DownloadError:
        return DownloadError(
            f"{self.url} could not be downloaded ({reason}); {self.done} bytes are kept.",
            "Check the network and a proxy's settings (HTTPS_PROXY), then start it again: it "
            f"continues where it stopped. Or save the file by hand as {self.entry.path}.",
            self.entry.path,
        )


def _checked_url(entry: ModelEntry) -> str:
    url = entry.url or ""
    if urlsplit(url).scheme not in ("http", "https"):
        raise DownloadError(
            f"{entry.title} has no web address to download from ({url!r}).",
            "Give the path of its checkpoint file instead.",
        )
    return url


def _content_range(header: str) -> tuple[int, int]:
    """First byte and whole length of ``bytes 100-999/1000``; (-1, 0) if it is none."""
    unit, _, rest = header.partition(" ")
    span, _, total = rest.partition("/")
    first = span.partition("-")[0]
    if unit != "bytes" or not first.isdigit():
        return -1, 0
    return int(first), int(total) if total.isdigit() else 0


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return str(reason) or type(reason).__name__
