"""Pictures of a training as it goes: a few unlabelled slices, and what is made of them.

Each is a row of three squares: the image, the pseudo-label where the teacher is sure, and
what the student predicts.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.errors import InputError, WriteError
from napari_sss.engine.inference.looking import look
from napari_sss.engine.inference.semantic import semantic_squares
from napari_sss.engine.inference.squares import SliceGeometry
from napari_sss.engine.models.sss.focus import Window
from napari_sss.engine.models.sss.segmenter import Segmenter
from napari_sss.engine.reports.colours import colour_of
from napari_sss.engine.runs.files import PICTURES, read_json
from napari_sss.engine.training.assembly import Assembled
from napari_sss.engine.training.data.preparing import read_case_volume
from napari_sss.engine.volumes.atomic import replacing, write_json
from napari_sss.engine.volumes.intensity import IntensityWindow, window_for
from napari_sss.engine.volumes.volume import Volume

log = logging.getLogger(__name__)

INDEX_NAME = "index.json"
KEPT = 12  # of the newest times; a long training would fill the disk
OPACITY = 0.45
GAP = 4


@dataclass(frozen=True)
class Drawn:
    """A slice that is drawn again and again.

    Parameters
    ----------
    case : str
        Its case.
    index : int
        Which slice, in canonical order.
    volume : Volume
        It alone.
    intensities : IntensityWindow
        Decided on the whole volume, as in training.
    """

    case: str
    index: int
    volume: Volume
    intensities: IntensityWindow


class Pictures:
    """Draws the same few slices again and again, as the model itself looks at them.

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
        """Draw what the networks make of the slices now; without room they are left out."""
        if not self._slices:
            return
        try:
            rows = [self._row(step, place, one) for place, one in enumerate(self._slices)]
            self._remember(step, rows)
        except (WriteError, OSError) as error:
            log.warning("The pictures of step %d were not kept: %s", step, error)

    def _row(self, step: int, place: int, one: Drawn) -> dict[str, Any]:
        strategy = self._parts.strategy
        teacher = strategy.inference_model()
        others = [n for n in strategy.networks.values() if n is not teacher]
        seen = look(teacher, self._seeing(one, teacher), self._parts.whereabouts.focus)
        taught = seen.squares[0].numpy()
        learned = semantic_squares(others[0], seen.grey)[0].numpy() if others else taught
        sure = taught.max(axis=0) >= strategy.config.threshold
        pseudo = np.where(sure, taught.argmax(axis=0), 0)
        name = f"{step:07d}_{place}.png"
        image = side_by_side(seen.grey[0].astype(np.float32), pseudo, learned.argmax(axis=0))
        with replacing(self._folder / name, ".png", make_folder=True) as beside:
            beside.write_bytes(png(image))
        return {
            "file": name,
            "case": one.case,
            "slice": one.index,
            "confident": round(float(sure.mean()), 4),
        }

    def _seeing(self, one: Drawn, network: Segmenter) -> Callable[[Window], NDArray[Any]]:
        """From a window to its square of the slice."""
        grid = one.volume.grid
        if self._parts.preparation.spacing is not None:
            grid = replace(grid, spacing=self._parts.preparation.spacing)
        whole = SliceGeometry.of(grid, network.sam2.image_size)
        return lambda part: whole.through(part).squares(one.volume, one.intensities)

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


def chosen_slices(parts: Assembled, count: int) -> list[Drawn]:
    """The middle slices of different cases, spread over the pool.

    Where there is no pool, of labelled cases. What cannot be read is left out.
    """
    store, pool = parts.strategy.tools.store, parts.sampler.pool
    numbers = list(pool) or sorted({number for number, _ in parts.sampler.survey.slices})
    found = []
    for place in _spread(len(numbers), count):
        case = store.cases[numbers[place]]
        try:
            volume = read_case_volume(case)
        except InputError as error:
            log.warning("%s is not drawn: %s", case.name, error)
            continue
        index = volume.grid.viewed(volume.grid.canonical_view()).shape[0] // 2
        intensities = window_for(volume, parts.preparation.window)
        found.append(Drawn(case.name, index, one_slice(volume, index), intensities))
    return found


def one_slice(volume: Volume, index: int) -> Volume:
    """A slice of a volume, in canonical order, as a volume of its own."""
    seen = volume.viewed(volume.grid.canonical_view())
    grid = replace(seen.grid, shape=(1, *seen.grid.shape[1:]))
    return replace(seen, array=seen.array[index : index + 1].copy(), grid=grid)


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
