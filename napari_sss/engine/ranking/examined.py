"""What was measured of one case, and keeping it: ``PROJECT/ranking/KEY/CASE.npz``."""

from __future__ import annotations

import hashlib
import json
import logging
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.project.cases import Case
from napari_sss.engine.prompts.types import Plane
from napari_sss.engine.volumes.atomic import replacing
from napari_sss.engine.volumes.grid import Grid

log = logging.getLogger(__name__)

RANKING = "ranking"
FORMAT = 1

How = Literal["pair", "views", "none"]
"""What was compared: two networks of one training, views of each slice, or nothing."""


@dataclass(frozen=True)
class Examined:
    """What a model sees in a case, slice by slice along the canonical first axis.

    Parameters
    ----------
    embedding : (Z, C) float32 array
        The encoder's features of each slice, mean and spread over the slice.
    found : (Z, K) int array
        Pixels that the model gives to each class.
    claimed, disputed : (Z,) int arrays
        Pixels that any opinion gives to a class, and those of them on which opinions differ.
    classes : tuple of str
        The K classes; none where the model knows none.
    how : {"pair", "views", "none"}
        What the opinions are.
    """

    embedding: NDArray[np.float32]
    found: NDArray[np.int64]
    claimed: NDArray[np.int64]
    disputed: NDArray[np.int64]
    classes: tuple[str, ...] = ()
    how: How = "none"

    @property
    def slices(self) -> int:
        """How many there are."""
        return len(self.embedding)

    @property
    def disagreement(self) -> float:
        """Share of what any opinion finds on which they differ, 0 to 1.

        Where hardly anything is found a few pixels would make a large share, so what is
        claimed counts as 20 pixels a slice at least.
        """
        if self.how == "none":
            return 0.0
        floor = _LEAST_CLAIMED * self.slices
        return float(self.disputed.sum() / max(self.claimed.sum(), floor))

    def shows(self) -> frozenset[str]:
        """The classes that were found on more than a speck."""
        largest = self.found.max(axis=0, initial=0)
        return frozenset(
            name
            for name, pixels in zip(self.classes, largest, strict=True)
            if pixels >= _LEAST_CLAIMED
        )


_LEAST_CLAIMED = 20  # pixels of the square slices


def place_of(grid: Grid, index: int) -> tuple[Plane, int]:
    """The plane and slice index, in the scan's own array, of a canonical slice."""
    view = grid.canonical_view()
    axis = view.order[0]
    return Plane(axis), grid.shape[axis] - 1 - index if view.flips[0] else index


class ExaminedCache:
    """What was measured before, by model and case.

    Parameters
    ----------
    project : Path
        The project's folder.
    key : str
        Tells the model, and how it looks, from others.
    """

    def __init__(self, project: Path, key: str) -> None:
        self.folder = project / RANKING / key

    def get(self, case: Case) -> Examined | None:
        """What is kept of a case; None where nothing is, or it cannot be read."""
        path = self._path(case)
        try:
            with np.load(path, allow_pickle=False) as stored:
                facts = json.loads(str(stored["facts"]))
                if facts["format"] != FORMAT:
                    return None
                arrays = {name: stored[name] for name in _ARRAYS}
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            log.warning("%s cannot be used (%s): it is measured again.", path, error)
            return None
        return Examined(**arrays, classes=tuple(facts["classes"]), how=facts["how"])

    def put(self, case: Case, examined: Examined) -> None:
        """Keep what was measured of a case.

        Raises
        ------
        WriteError
            It cannot be written; what was kept before is untouched.
        """
        facts = {"format": FORMAT, "classes": examined.classes, "how": examined.how}
        arrays = {name: getattr(examined, name) for name in _ARRAYS}
        with (
            replacing(self._path(case), ".npz", make_folder=True) as beside,
            beside.open("wb") as stream,
        ):
            np.savez_compressed(stream, facts=np.array(json.dumps(facts)), **arrays)

    def _path(self, case: Case) -> Path:
        return self.folder / f"{case_key(case)}.npz"


_ARRAYS = ("embedding", "found", "claimed", "disputed")


def case_key(case: Case) -> str:
    """The same for the same voxels: of the scan's content and how it is read."""
    reading: dict[str, Any] = asdict(case.reading)
    text = json.dumps([case.fingerprint, reading], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
