"""The tab's own threads: one for quick reading, one that compares scans behind it.

Long work, such as adding a folder, goes to the panel's disk worker; the list and its pictures
never wait for that.
"""

from __future__ import annotations

from qtpy.QtCore import QObject

from napari_sss._widgets.crew import WakingWorker
from napari_sss._widgets.pump import MailPump
from napari_sss._widgets.worker import Mailbox


class Background(QObject):
    """Two workers with one mailbox, which is read on the thread of ``parent``.

    Attributes
    ----------
    quick : Worker
        Reads the database, fetches pictures, finds a scan.
    checker : Worker
        Looks whether scans are where they were, and what they were.
    """

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        mailbox = Mailbox()
        self.quick = WakingWorker(mailbox, lambda: self._pump.wake())
        self.checker = WakingWorker(mailbox, lambda: self._pump.wake())
        self._pump = MailPump(mailbox, self, lambda: False, self)
        workers = (self.quick, self.checker)
        self.destroyed.connect(lambda: [worker.close() for worker in workers])

    @property
    def busy(self) -> bool:
        """Whether something is read or compared."""
        return self.quick.busy or self.checker.busy

    def close(self) -> None:
        """Stop, and wait for it."""
        self._pump.stop()
        self.quick.close()
        self.checker.close()
