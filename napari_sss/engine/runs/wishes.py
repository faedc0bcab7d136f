"""What is wanted of a run: written by who watches, read by the run at step boundaries."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from napari_sss.engine.runs.files import CONTROL_NAME, GIVE_WAY_NAME, read_json
from napari_sss.engine.volumes.atomic import write_json


class Wish(StrEnum):
    """What a run is to do.

    ``PAUSE`` saves everything and ends the process; ``FINISH`` ends the training as if its
    time were up and keeps the model; ``DISCARD`` ends it and removes its folder.
    """

    RUN = "run"
    PAUSE = "pause"
    FINISH = "finish"
    DISCARD = "discard"


def wish_for(folder: Path, wish: Wish) -> None:
    """Say what a run is to do.

    Raises
    ------
    WriteError
        The run's folder cannot be written.
    """
    write_json({"wish": wish.value}, folder / CONTROL_NAME)


def wish_of(folder: Path) -> Wish:
    """What a run is to do; to go on, where nothing readable is said."""
    content = read_json(folder / CONTROL_NAME) or {}
    try:
        return Wish(content.get("wish", "run"))
    except ValueError:
        return Wish.RUN


class GiveWaySign:
    """The viewer's side of giving way: it raises the sign while somebody waits for it.

    Parameters
    ----------
    folder : Path
        The run's.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / GIVE_WAY_NAME
        self._count = 0

    def raise_it(self) -> None:
        """Ask the run to wait; to be repeated every few seconds while it should go on waiting.

        Raises
        ------
        WriteError
            The run's folder cannot be written.
        """
        self._count += 1
        write_json({"count": self._count}, self._path)

    def lower(self) -> None:
        """Let the run go on."""
        self._path.unlink(missing_ok=True)


def give_way_count(folder: Path) -> int | None:
    """What the sign shows; None where it is down."""
    content = read_json(folder / GIVE_WAY_NAME)
    return None if content is None else int(content.get("count", 0))
