"""Small pictures of scans, fetched when a line first comes into view. No Qt.

Those asked for last come first: who scrolls fast waits for what is on the screen, not for
what was passed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from psygnal import Signal

from napari_sss._widgets.worker import Job, Post, Worker
from napari_sss.engine.errors import SSSError
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.project.project import Project

logger = logging.getLogger(__name__)

_AT_ONCE = 24


class Thumbnails:
    """Pictures by case id.

    Parameters
    ----------
    worker : Worker
        Reads and decodes them.
    decode : callable
        ``decode(png)``, called in the worker; what it returns is kept.
    """

    arrived = Signal(int)
    """A case's picture can be had now."""

    def __init__(self, worker: Worker, decode: Callable[[bytes], Any]) -> None:
        self._worker = worker
        self._decode = decode
        self._project: Project | None = None
        self._known: dict[int, Any] = {}
        self._wanted: dict[int, None] = {}
        self._fetching = False

    def set_project(self, project: Project | None) -> None:
        """Forget everything, and answer for another project from now on."""
        self._project = project
        self._known.clear()
        self._wanted.clear()
        self._fetching = False

    def forget(self, case_id: int) -> None:
        """Fetch a picture again when it is next looked at."""
        self._known.pop(case_id, None)

    def get(self, case_id: int) -> Any:
        """The picture, or None for now; it is fetched then."""
        if case_id in self._known:
            return self._known[case_id]
        self._wanted.pop(case_id, None)
        self._wanted[case_id] = None  # the last one asked for is fetched first
        self._fetch()
        return None

    def _fetch(self) -> None:
        project = self._project
        if self._fetching or not self._wanted or project is None:
            return
        chosen = list(reversed(self._wanted))[:_AT_ONCE]
        for case_id in chosen:
            del self._wanted[case_id]
        self._fetching = True

        def run(control: JobControl, post: Post) -> None:
            for case_id in chosen:
                control.check()
                post((case_id, self._decode(project.cases.thumbnail(case_id))))

        self._worker.submit(
            Job(
                "fetch pictures",
                run,
                on_event=lambda found: self._arrived(project, *found),
                on_done=lambda _: self._go_on(project),
                on_failed=lambda error: self._failed(project, chosen, error),
                on_cancelled=lambda: self._go_on(project),
            )
        )

    def _arrived(self, project: Project, case_id: int, picture: Any) -> None:
        if project is self._project:
            self._known[case_id] = picture
            self.arrived.emit(case_id)

    def _failed(self, project: Project, chosen: list[int], error: Exception) -> None:
        level = logging.INFO if isinstance(error, SSSError) else logging.ERROR
        logger.log(level, "No pictures of scans", exc_info=error)
        if project is self._project:
            for case_id in chosen:  # not asked for again and again
                self._known.setdefault(case_id, None)
        self._go_on(project)

    def _go_on(self, project: Project) -> None:
        if project is self._project:
            self._fetching = False
            self._fetch()
