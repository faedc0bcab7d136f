"""Opening scans in a viewer without making its window wait.

::

    open(paths) -> headers are read -> one scan each: they are read and shown
                                    -> several: a small window asks which

What takes long happens in a thread of its own; layers are added on the viewer's thread.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QWidget

from napari_sss._layers.conversion import layer_data_for, notes_for
from napari_sss._layers.scan_chooser import ScanChooser
from napari_sss.engine.errors import SSSError
from napari_sss.engine.volumes.contents import Content, contents_of
from napari_sss.engine.volumes.volume import Volume

logger = logging.getLogger(__name__)


class ScanOpening(QObject):
    """Opens scans in one viewer.

    Parameters
    ----------
    viewer : napari.Viewer
        Where they are shown.
    window : QWidget
        Its window; nothing is shown any more once that is gone.
    """

    _arrived = Signal(object)

    def __init__(self, viewer: Any, window: QWidget) -> None:
        super().__init__(window)
        self._viewer = viewer
        self._window = window
        self._pending = 0
        self.chooser: ScanChooser | None = None
        self._arrived.connect(self._on_arrived)

    @property
    def busy(self) -> bool:
        """Whether something is being read."""
        return self._pending > 0

    def open(self, paths: Sequence[Path]) -> None:
        """Open what lies at the paths; where one of them holds several scans, ask which."""
        self._tell(f"Opening {', '.join(path.name for path in paths)} …")
        self._in_thread(partial(_look, paths), self._looked)

    def read(self, contents: Sequence[Content]) -> None:
        """Read scans and show them."""
        if contents:
            self._in_thread(partial(_read, contents), self._show)

    def ask(self, contents: Sequence[Content]) -> None:
        """Ask which of several scans to open."""
        if self.chooser is not None:
            self.chooser.reject()
        self.chooser = ScanChooser(contents, self._window)
        self.chooser.chosen.connect(self.read)
        self.chooser.finished.connect(lambda _: setattr(self, "chooser", None))
        self.chooser.show()

    # -- inside -------------------------------------------------------------------------

    def _looked(self, found: list[tuple[Content, ...]]) -> None:
        self.read([contents[0] for contents in found if len(contents) == 1])
        several = [content for contents in found if len(contents) > 1 for content in contents]
        if several:
            self.ask(several)

    def _show(self, volumes: list[Volume]) -> None:
        from napari.layers import Layer
        from napari.utils.notifications import show_warning

        for volume in volumes:
            self._viewer.add_layer(Layer.create(*layer_data_for(volume)))
            for note in notes_for(volume):
                show_warning(f"{volume.source.name}: {note}")

    def _in_thread(self, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        self._pending += 1
        target = partial(_work, work, then, self._arrived.emit)
        threading.Thread(target=target, name="napari-sss-open", daemon=True).start()

    def _on_arrived(self, message: tuple[Callable[[Any], None], Any, Exception | None]) -> None:
        then, result, error = message
        self._pending -= 1
        self._tell("")
        if error is None:
            then(result)
        else:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        from napari.utils.notifications import show_error

        show_error(str(error) if isinstance(error, SSSError) else f"Not opened: {error!r}")

    def _tell(self, text: str) -> None:
        self._viewer.status = text or "Ready"


def opening_of(viewer: Any, window: QWidget | None = None) -> ScanOpening | None:
    """The one who opens scans in a viewer, made when it is first asked for.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    window : QWidget, optional
        Its main window; by default the viewer is asked for it, which plugins may not do.

    Returns
    -------
    ScanOpening or None
        None where the viewer has no window.
    """
    if window is None:
        window = getattr(getattr(viewer, "window", None), "_qt_window", None)
    if window is None:
        return None
    known = window.findChild(ScanOpening)
    return known if known is not None else ScanOpening(viewer, window)


def _look(paths: Sequence[Path]) -> list[tuple[Content, ...]]:
    return [contents_of(path) for path in paths]


def _read(contents: Sequence[Content]) -> list[Volume]:
    from napari_sss.engine.volumes.reading import read_volume

    return [read_volume(c.path, series_uid=c.series_uid, frame=c.frame) for c in contents]


def _work(
    work: Callable[[], Any],
    then: Callable[[Any], None],
    send: Callable[[Any], None],
) -> None:
    """Do the work in its thread and send what came of it, whatever that is."""
    message: tuple[Callable[[Any], None], Any, Exception | None]
    try:
        message = (then, work(), None)
    except Exception as error:
        logger.info("A scan could not be opened", exc_info=True)
        message = (then, None, error)
    try:
        send(message)
    except RuntimeError:
        logger.info("The window was closed before a scan was read")
