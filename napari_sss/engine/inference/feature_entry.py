"""One volume's encoded slices on disk: a folder with a card and a zarr array per crop."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from filelock import Timeout

from napari_sss.engine.inference.crops import CropFrame
from napari_sss.engine.inference.feature_layout import Layout
from napari_sss.engine.models.sam2_model import Features
from napari_sss.engine.prompts.types import Plane

if TYPE_CHECKING:
    from napari_sss.engine.inference.feature_cache import FeatureCache

logger = logging.getLogger(__name__)

CARD = "entry.json"
ROOM_EVERY = 256 * 2**20  # bytes written between two looks at the limit


class CacheEntry:
    """The encoded slices of one volume; used in one thread.

    Where the disk fails (full, read-only, gone) it says so once in the log and keeps
    nothing more: encoding goes on without it.

    Parameters
    ----------
    cache : FeatureCache
        The folder it lies in.
    folder : Path
        Its own folder.
    identity : dict
        What it holds; written beside the features.
    """

    def __init__(self, cache: FeatureCache, folder: Path, identity: dict[str, Any]) -> None:
        self._cache = cache
        self._folder = folder
        self._identity = identity
        self._arrays: dict[tuple[Plane, CropFrame], tuple[Any, Layout] | None] = {}
        self._known: dict[tuple[Plane, CropFrame], set[int]] = {}
        self._written = 0
        self._works = bool(identity["model"]) and cache.limit > 0
        if self._works:
            self._works = self._open()

    @property
    def works(self) -> bool:
        """Whether anything is kept at all."""
        return self._works

    def has(self, plane: Plane, index: int, frame: CropFrame) -> bool:
        """Whether a crop's features are kept, as far as is known without reading them."""
        return index in self._indices(plane, frame)

    def get(
        self, plane: Plane, index: int, frame: CropFrame, device: torch.device
    ) -> Features | None:
        """A crop's features, or None where they are not kept or are damaged."""
        if not self.has(plane, index, frame):
            return None
        opened = self._array(plane, frame)
        features = None
        if opened is not None:
            array, layout = opened
            try:
                features = layout.unpack(np.asarray(array[index]), device)
            except (OSError, ValueError, IndexError) as error:
                logger.info("Slice %d of %s cannot be read: %s", index, self._folder, error)
        if features is None:
            logger.info(
                "Slice %d of %s is damaged or gone; it is encoded again.", index, self._folder
            )
            self._indices(plane, frame).discard(index)
        return features

    def put(
        self, plane: Plane, index: int, frame: CropFrame, count: int, features: Features
    ) -> None:
        """Keep a crop's features.

        Parameters
        ----------
        plane, index, frame
            Which crop.
        count : int
            Slices of the volume in this plane.
        features : Features
            A batch of one.
        """
        if not self._works or self.has(plane, index, frame):
            return
        layout = Layout.of(features)
        try:
            array, known = self._array(plane, frame) or self._created(
                plane, frame, count, layout
            )
            if known != layout or array.shape[0] != count:
                return
            packed = layout.pack(features)
            array[index] = packed
        except (OSError, Timeout) as error:
            logger.warning("The feature cache %s takes no more: %s", self._folder, error)
            self._works = False
            return
        self._indices(plane, frame).add(index)
        self._written += packed.nbytes
        if self._written > ROOM_EVERY:
            self._written = 0
            self._cache.make_room(keep=self._folder.name)

    def _open(self) -> bool:
        """Make the folder, or take note that it was used; whether that is possible."""
        try:
            with self._cache.lock():
                if self._folder.is_dir() and not self._is_mine():
                    remove_tree(self._folder, "its card does not fit what it should hold")
                self._folder.mkdir(parents=True, exist_ok=True)
                card = self._folder / CARD
                card.write_text(json.dumps(self._identity, indent=1), encoding="utf-8")
        except (OSError, Timeout) as error:
            logger.warning("The feature cache %s cannot be used: %s", self._folder, error)
            return False
        return True

    def _is_mine(self) -> bool:
        try:
            found = json.loads((self._folder / CARD).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return bool(found == self._identity)

    def _path(self, plane: Plane, frame: CropFrame) -> Path:
        place = f"{frame.row}_{frame.column}_{frame.rows}_{frame.columns}"
        return self._folder / f"{plane.name.lower()}_{place}"

    def _array(self, plane: Plane, frame: CropFrame) -> tuple[Any, Layout] | None:
        """The array of a crop as it lies on disk; None where there is none."""
        key = (plane, frame)
        if self._arrays.get(key) is None and self._works:
            self._arrays[key] = _opened(self._path(plane, frame))
        return self._arrays.get(key)

    def _created(
        self, plane: Plane, frame: CropFrame, count: int, layout: Layout
    ) -> tuple[Any, Layout]:
        """Make the array of a crop, unless another process has just made it."""
        import zarr

        path, length = self._path(plane, frame), layout.length
        with self._cache.lock():
            opened = _opened(path)
            if opened is None:
                array = zarr.create_array(
                    path,
                    shape=(count, length),
                    chunks=(1, length),
                    dtype="uint8",
                    compressors=None,  # features hardly shrink, and reading must be quick
                    fill_value=0,
                    attributes={"levels": layout.to_json()},
                )
                opened = (array, layout)
        self._arrays[plane, frame] = opened
        return opened

    def _indices(self, plane: Plane, frame: CropFrame) -> set[int]:
        """The slices of a crop that are kept, listed from the disk once."""
        key = (plane, frame)
        if key not in self._known:
            chunks = self._path(plane, frame) / "c"
            try:
                names = [p.name for p in chunks.iterdir()] if self._works else []
            except OSError:
                names = []
            self._known[key] = {int(name) for name in names if name.isdigit()}
        return self._known[key]


def _opened(path: Path) -> tuple[Any, Layout] | None:
    """An array on disk; what cannot be understood is removed."""
    import zarr

    if not path.is_dir():
        return None
    try:
        array = zarr.open_array(path, mode="r+")
        layout = Layout.from_json(array.attrs["levels"])
        if array.shape[1] != layout.length:
            raise ValueError("its length does not fit its levels")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        remove_tree(path, f"it cannot be understood ({error})")
        return None
    return array, layout


def remove_tree(path: Path, reason: str) -> None:
    """Remove a folder or file, and say why in the log."""
    logger.info("Removing %s: %s.", path, reason)
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
