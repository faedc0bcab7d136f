"""Reading the worker's mailbox on the viewer's thread, a little at a time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Protocol

from qtpy.QtCore import QObject, Qt, QTimer, Signal

from napari_sss._widgets.worker import Mailbox

INTERVAL_MS = 33
"""Milliseconds between two readings: the eye sees 30 updates a second as motion."""

BUDGET_S = 0.012
"""Seconds a reading may take; what is left waits for the next one, input comes first."""


class Busy(Protocol):
    """Whoever fills the mailbox."""

    @property
    def busy(self) -> bool:
        """Whether something runs or waits."""


class MailPump(QObject):
    """Delivers a mailbox's messages on the thread it lives in, within a time budget.

    It looks into the box again and again while the worker is busy, and at once when the
    mailbox rings.

    Parameters
    ----------
    mailbox : Mailbox
        Filled by the worker.
    worker : Busy
        While it is idle and the box is empty, the pump rests; :meth:`wake` starts it again.
    after_delivery : callable
        Called once after each reading, for instance to redraw what several messages have
        changed together; returns whether it wants to be called again.
    parent : QObject, optional
        Its owner.
    """

    _letter_came = Signal()
    _rang = Signal()

    def __init__(
        self,
        mailbox: Mailbox,
        worker: Busy,
        after_delivery: Callable[[], bool],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._mailbox = mailbox
        self._worker = worker
        self._after_delivery = after_delivery
        self._timer = QTimer(self)
        self._timer.setInterval(INTERVAL_MS)
        self._timer.timeout.connect(self.deliver)
        self._letter_came.connect(self.wake)
        # Queued: the bell rings in a worker's thread, and reading belongs to this one's.
        self._rang.connect(self.deliver, Qt.ConnectionType.QueuedConnection)
        self._stopped = False
        mailbox.bell = self._ring

    def wake(self) -> None:
        """Begin to read; to be called when a job was submitted."""
        if not self._timer.isActive() and not self._stopped:
            self._timer.start()

    def post(self, call: Callable[[], None]) -> None:
        """Have something called on this object's thread; may be called in any thread."""
        self._mailbox.put(call)
        if not self._stopped:
            self._letter_came.emit()

    def deliver(self) -> None:
        """Read progress, then messages until the box is empty or the budget is spent."""
        if self._stopped:
            return
        deadline = time.perf_counter() + BUDGET_S
        for report in self._mailbox.take_progress():
            report()
        while (letter := self._mailbox.take()) is not None:
            letter()
            if time.perf_counter() >= deadline:
                break
        more = self._after_delivery()
        # In this order: the worker falls idle only after its last message is in the box.
        if not more and not self._worker.busy and self._mailbox.empty:
            self._timer.stop()
        else:
            self.wake()

    @property
    def active(self) -> bool:
        """Whether there may be something to read."""
        return self._timer.isActive()

    def stop(self) -> None:
        """Deliver nothing any more."""
        self._stopped = True
        self._mailbox.bell = None
        self._timer.stop()

    def _ring(self) -> None:
        """Ask for a delivery at once; called in a worker's thread."""
        # Qt may have deleted the pump with its window, which the worker cannot know.
        with contextlib.suppress(RuntimeError):
            self._rang.emit()
