"""The run's own handle: it hears wishes at step boundaries, and gives way to the viewer."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from napari_sss.engine.errors import Cancelled
from napari_sss.engine.jobs import JobControl, Progress
from napari_sss.engine.runs.wishes import Wish, give_way_count, wish_of

LOOK_SECONDS = 0.2
"""Between two looks at the wishes: a step may take a hundredth of that."""

GIVE_WAY_SECONDS = 10.0
"""A sign that nobody has renewed for so long was left behind by a viewer that is gone."""


class RunControl(JobControl):
    """What a run's work calls at its step boundaries.

    A pause, a discard and the system's request to end raise
    :class:`~napari_sss.engine.errors.Cancelled`; :attr:`wish` says which it was. The wish to
    finish raises nothing while training, which asks for it by :meth:`finish_early`.

    Parameters
    ----------
    folder : Path
        The run's.
    on_progress : callable, optional
        Called with a :class:`~napari_sss.engine.jobs.Progress`.
    shares_device : bool
        The viewer computes on the same device: then the run waits, between two steps, as long
        as the viewer asks it to.
    on_waiting : callable
        Told when it begins to wait, and when it goes on.
    """

    def __init__(
        self,
        folder: Path,
        on_progress: Callable[[Progress], None] | None = None,
        *,
        shares_device: bool = False,
        on_waiting: Callable[[bool], None] = lambda waits: None,
    ) -> None:
        super().__init__(on_progress)
        self.wish = Wish.RUN
        self.shares_device = shares_device
        self.on_step: Callable[[], None] | None = None
        self._folder = folder
        self._on_waiting = on_waiting
        self._looked = float("-inf")
        self._ended_by_system = False
        self._ignored: int | None = None

    def end_by_system(self) -> None:
        """The system is shutting down: save and end, as for a pause. For a signal's handler."""
        self._ended_by_system = True

    def finish_early(self) -> bool:
        """Whether the training is to end now and keep what it has."""
        self._look()
        return self.wish is Wish.FINISH

    def check(self) -> None:
        """Honour what is wanted; wait where the viewer needs the device.

        Raises
        ------
        Cancelled
            The run is to be paused or discarded.
        """
        self._look()
        if self.on_step is not None:
            self.on_step()
        if self.shares_device:
            self._give_way()
        if self._ended_by_system and self.wish in (Wish.RUN, Wish.FINISH):
            self.wish = Wish.PAUSE
        if self.cancelled or self.wish in (Wish.PAUSE, Wish.DISCARD):
            raise Cancelled

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            self.wish = wish_of(self._folder)

    def _give_way(self) -> None:
        """Wait while the sign is up and renewed."""
        count = give_way_count(self._folder)
        if count is None or count == self._ignored:
            return
        self._on_waiting(True)
        seen, since = count, time.monotonic()
        while count is not None and self.wish is Wish.RUN and not self._ended_by_system:
            if time.monotonic() - since > GIVE_WAY_SECONDS:
                self._ignored = count
                break
            time.sleep(LOOK_SECONDS / 4)
            self._look()
            count = give_way_count(self._folder)
            if count != seen and count is not None:
                seen, since = count, time.monotonic()
        self._on_waiting(False)
