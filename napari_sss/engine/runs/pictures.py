"""Pictures of a training as it goes: a few unlabelled slices, and what is made of them.

Each is a row of three squares: the image, the pseudo-label where the teacher is sure, and
what the student predicts.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.errors import WriteError
from napari_sss.engine.inference.semantic import semantic_squares
from napari_sss.engine.reports.colours import colour_of
from napari_sss.engine.runs.files import PICTURES, read_json
from napari_sss.engine.training.assembly import Assembled
from napari_sss.engine.volumes.atomic import replacing, write_json

log = logging.getLogger(__name__)

INDEX_NAME = "index.json"
KEPT = 12  # of the newest times; a long training would fill the disk
OPACITY = 0.45
GAP = 4


class Pictures:
    """Draws the same few slices again and again.

    Parameters
    ----------
    folder : Path
        The run's.
    parts : Assembled
        The training's.
    count : int
        Slices; 0 draws nothing.
    """

    def __init__(self, folder: Path, parts: Assembled, count: int) -> None:
        self._folder = folder / PICTURES
        self._parts = parts
        self._slices = chosen_slices(parts, count)

    def draw(self, step: int) -> None:
        """Draw what the networks make of the slices now; a training never fails by it."""
        if not self._slices:
            return
        try:
            rows = [self._row(step, place, *where) for place, where in enumerate(self._slices)]
            self._remember(step, rows)
        except (WriteError, OSError) as error:
            log.warning("The pictures of step %d were not kept: %s", step, error)

    def _row(self, step: int, place: int, number: int, index: int) -> dict[str, Any]:
        strategy = self._parts.strategy
        store = strategy.tools.store
        grey = store[number].grey[index : index + 1]
        teacher = strategy.inference_model()
        others = [n for n in strategy.networks.values() if n is not teacher]
        student = others[0] if others else teacher
        taught = semantic_squares(teacher, grey)[0].numpy()
        learned = semantic_squares(student, grey)[0].numpy() if others else taught
        sure = taught.max(axis=0) >= strategy.config.threshold
        pseudo = np.where(sure, taught.argmax(axis=0), 0)
        name = f"{step:07d}_{place}.png"
        image = side_by_side(grey[0].astype(np.float32), pseudo, learned.argmax(axis=0))
        with replacing(self._folder / name, ".png", make_folder=True) as beside:
            beside.write_bytes(png(image))
        case = store.cases[number]
        return {
            "file": name,
            "case": case.name,
            "slice": index,
            "confident": round(float(sure.mean()), 4),
        }

    def _remember(self, step: int, rows: list[dict[str, Any]]) -> None:
        path = self._folder / INDEX_NAME
        times = list((read_json(path) or {}).get("times", []))
        times = [time for time in times if time["step"] < step]
        times.append({"step": step, "slices": rows})
        gone, times = times[:-KEPT], times[-KEPT:]
        classes = list(self._parts.preparation.classes)
        write_json({"classes": classes, "times": times}, path)
        for time in gone:
            for row in time["slices"]:
                (self._folder / row["file"]).unlink(missing_ok=True)


def chosen_slices(parts: Assembled, count: int) -> list[tuple[int, int]]:
    """Case numbers and slices: of different cases spread over the pool, near their middles.

    Where there is no pool, labelled slices.
    """
    if count < 1:
        return []
    store, pool = parts.strategy.tools.store, parts.sampler.pool
    if not pool:
        listed = parts.sampler.survey.slices
        return [listed[place] for place in _spread(len(listed), count)]
    found = []
    for place in _spread(len(pool), count):
        prepared = store.get(pool[place])
        if prepared is not None:
            found.append((pool[place], len(prepared.grey) // 2))
    return found


def _spread(size: int, count: int) -> list[int]:
    """At most ``count`` places spread evenly over ``size``."""
    count = min(size, count)
    return [int((k + 0.5) * size / count) for k in range(count)]


def side_by_side(
    grey: NDArray[np.float32], pseudo: NDArray[Any], predicted: NDArray[Any]
) -> NDArray[np.uint8]:
    """The three squares (S, 3 S + 2 gaps, 3), RGB.

    Parameters
    ----------
    grey : (S, S) array
        0 to 1.
    pseudo, predicted : (S, S) integer arrays
        Classes; 0 shows the image alone.
    """
    plain = np.repeat(grey.clip(0, 1)[..., None], 3, axis=2)
    gap = np.zeros((len(grey), GAP, 3), dtype=np.float32)
    parts = [plain, gap, _overlaid(plain, pseudo), gap, _overlaid(plain, predicted)]
    return np.round(255 * np.concatenate(parts, axis=1)).astype(np.uint8)


def _overlaid(plain: NDArray[np.float32], classes: NDArray[Any]) -> NDArray[np.float32]:
    shown = plain.copy()
    for place in np.unique(classes[classes > 0]):
        inside = classes == place
        colour = np.array(colour_of(int(place)), dtype=np.float32)
        shown[inside] = (1 - OPACITY) * shown[inside] + OPACITY * colour
    return shown


def png(image: NDArray[np.uint8]) -> bytes:
    """An image (rows, columns, 3) as PNG."""
    from matplotlib.image import imsave

    stream = BytesIO()
    imsave(stream, image, format="png")
    return stream.getvalue()


def read_times(folder: Path) -> Sequence[dict[str, Any]]:
    """The times at which a run was drawn, oldest first; see ``index.json``."""
    try:
        return tuple((read_json(folder / PICTURES / INDEX_NAME) or {}).get("times", ()))
    except (TypeError, json.JSONDecodeError):
        return ()
