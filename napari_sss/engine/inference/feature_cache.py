"""Encoded slices on disk, so that a volume that was open before starts warm.

One folder per entry: what was encoded (the volume's content), by what (the model, its input
size and precision) and how (the intensity window). In it one zarr array per plane and crop,
a chunk per slice. The features are kept bit for bit as the encoder gave them, so that a
mask does not depend on whether its slice was encoded now or last week.

Nothing here is precious: what is damaged or foreign is removed and encoded again. Several
processes may use one folder: a chunk appears whole or not at all and carries its own
checksum, and only who holds the lock makes room.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from napari_sss.engine.inference.feature_entry import CARD, CacheEntry, remove_tree
from napari_sss.engine.models.sam2_model import Sam2Model
from napari_sss.engine.volumes.intensity import IntensityWindow
from napari_sss.engine.volumes.volume import Volume

logger = logging.getLogger(__name__)

FORMAT = 1
CACHE_VARIABLE = "NAPARI_SSS_FEATURE_CACHE"
LIMIT_VARIABLE = "NAPARI_SSS_FEATURE_CACHE_GB"
DEFAULT_LIMIT_GB = 4.0
LOCK = "room.lock"
LOCK_S = 10.0  # the lock is held for moments only
KEY = re.compile("[0-9a-f]{32}")


def default_folder() -> Path:
    """The folder of the user's cache, or ``$NAPARI_SSS_FEATURE_CACHE``."""
    from platformdirs import user_cache_path

    given = os.environ.get(CACHE_VARIABLE)
    return Path(given) if given else user_cache_path("napari-sss", appauthor=False) / "features"


def default_limit() -> int:
    """Bytes that the cache may take: ``$NAPARI_SSS_FEATURE_CACHE_GB``, or 4 GB."""
    given = os.environ.get(LIMIT_VARIABLE, "")
    try:
        gigabytes = float(given) if given else DEFAULT_LIMIT_GB
    except ValueError:
        logger.warning("%s is %r, which is no number: taking 4.", LIMIT_VARIABLE, given)
        gigabytes = DEFAULT_LIMIT_GB
    return int(max(gigabytes, 0.0) * 1e9)


def content_hash(volume: Volume, check: Callable[[], None] = lambda: None) -> str:
    """SHA-256 of a volume's intensities and spacing: what its encoded slices depend on.

    Parameters
    ----------
    volume : Volume
        The scan.
    check : callable
        Called for each slice; may raise to cancel.
    """
    grid = volume.grid
    digest = hashlib.sha256(
        repr((volume.array.dtype.str, grid.shape, grid.spacing)).encode("utf-8")
    )
    for section in volume.array:
        check()
        digest.update(np.ascontiguousarray(section).data)
    return digest.hexdigest()


class FeatureCache:
    """The folder with all entries.

    Parameters
    ----------
    folder : Path, optional
        By default :func:`default_folder`.
    limit : int, optional
        Bytes that it may take; the entries that were not used for longest leave first. By
        default :func:`default_limit`.
    """

    def __init__(self, folder: Path | None = None, limit: int | None = None) -> None:
        self.folder = default_folder() if folder is None else folder
        self.limit = default_limit() if limit is None else limit

    def entry(self, content: str, model: Sam2Model, window: IntensityWindow) -> CacheEntry:
        """What is kept of one volume, seen by one model in one window.

        Parameters
        ----------
        content : str
            From :func:`content_hash`.
        model : Sam2Model
            Known by its weights' hash, input size and precision.
        window : IntensityWindow
            Its limits count, its name does not.
        """
        identity = {
            "format": FORMAT,
            "volume": content,
            "model": model.sha256,
            "image_size": model.image_size,
            "precision": str(model.precision).removeprefix("torch."),
            "window": [window.low, window.high],
        }
        key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]
        self.make_room(keep=key)
        return CacheEntry(self, self.folder / key, identity)

    def make_room(self, keep: str = "") -> None:
        """Remove what is foreign, then the oldest entries until the limit is kept.

        Parameters
        ----------
        keep : str
            An entry in use, which leaves only if it is too large by itself.
        """
        try:
            with self.lock(wait=0):
                self._remove_oldest(keep)
        except Timeout:
            logger.debug("Another process makes room in %s.", self.folder)
        except OSError as error:
            logger.warning("Cannot look after the feature cache %s: %s", self.folder, error)

    def lock(self, wait: float = LOCK_S) -> FileLock:
        """The lock under which entries are made and removed; waits so many seconds for it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self.folder / LOCK, timeout=wait)

    def _remove_oldest(self, keep: str) -> None:
        entries: list[tuple[float, int, Path]] = []
        for path in self.folder.iterdir():
            if KEY.fullmatch(path.name) is None:
                continue  # whatever lies here besides is none of ours
            if not (path / CARD).is_file():
                remove_tree(path, "it is no entry of the feature cache")
                continue
            entries.append(((path / CARD).stat().st_mtime, _size(path), path))
        total = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries, key=lambda e: (e[2].name == keep, e[0])):
            if total <= self.limit:
                break
            remove_tree(path, "the feature cache is larger than its limit")
            total -= size


def _size(folder: Path) -> int:
    """Bytes of all files in a folder; those that vanish meanwhile count as nothing."""
    total = 0
    for root, _, files in os.walk(folder):
        for name in files:
            try:
                total += (Path(root) / name).stat().st_size
            except OSError:
                continue
    return total
