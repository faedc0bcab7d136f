"""The panel's threads: one for the model, one for the case at work, one for the disk.

All leave their messages in one mailbox, in order. Who has a quick act to do never waits
behind a model that segments, nor behind forty scans that are being added.
"""

from __future__ import annotations

from collections.abc import Callable

from napari_sss._widgets.worker import Job, Mailbox, Worker
from napari_sss.engine.jobs import JobControl


class WakingWorker(Worker):
    """A worker that says when it was given something to do.

    Parameters
    ----------
    mailbox : Mailbox
        Where the jobs' messages are left.
    wake : callable
        Called with each job, on the thread that submits it.
    """

    def __init__(self, mailbox: Mailbox, wake: Callable[[], None]) -> None:
        super().__init__(mailbox)
        self._wake = wake

    def submit(self, job: Job) -> JobControl:
        """Queue a job; see :meth:`Worker.submit`."""
        control = super().submit(job)
        self._wake()
        return control


class Crew:
    """The panel's workers.

    Parameters
    ----------
    mailbox : Mailbox
        Where all of them leave their messages.
    wake : callable
        Called whenever one of them is given something to do.

    Attributes
    ----------
    model : Worker
        Owns the model; busy while it segments.
    case : Worker
        Short acts on the case at work, in their order.
    count : Worker
        Counts the voxels of the case at work.
    disk : Worker
        Long work with files, of all tabs.
    """

    def __init__(self, mailbox: Mailbox, wake: Callable[[], None]) -> None:
        self.model = WakingWorker(mailbox, wake)
        self.case = WakingWorker(mailbox, wake)
        self.count = WakingWorker(mailbox, wake)
        self.disk = WakingWorker(mailbox, wake)

    @property
    def busy(self) -> bool:
        """Whether anything runs or waits."""
        return self.model.busy or self.case.busy or self.count.busy or self.disk.busy

    def close(self) -> None:
        """Cancel what the model and the disk do, and wait for them; the case comes last."""
        self.model.close()
        self.count.close()
        self.disk.close()
