"""A volume as the stack of grey slices that the model sees, in one of the three planes."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from napari_sss.engine.errors import PromptError
from napari_sss.engine.inference.crops import CropFrame
from napari_sss.engine.models.interrupting import interruptible
from napari_sss.engine.models.memory import carry_on, move_model, run_with_fallback
from napari_sss.engine.models.sam2_model import Features, Sam2Model
from napari_sss.engine.prompts.types import Plane
from napari_sss.engine.volumes.intensity import IntensityWindow
from napari_sss.engine.volumes.volume import Volume

if TYPE_CHECKING:
    from napari_sss.engine.inference.feature_entry import CacheEntry

logger = logging.getLogger(__name__)

FEATURE_BYTES = 512 * 2**20
"""How much the kept features may take: a thousand crops of 192 pixels, thirty of 1024."""

ENCODED_TOGETHER = 8  # on a GPU; a CPU gains nothing, and would be slower to cancel

UNSAVED_BYTES = 64 * 2**20
"""How much may wait to be written to disk: writing waits until nobody waits for an answer."""

Crop = tuple[int, CropFrame]
Output = TypeVar("Output")


class SliceStack:
    """Slices of a volume along one axis, windowed, with the features of their crops.

    Parameters
    ----------
    volume : Volume
        The scan.
    window : IntensityWindow
        Decided once for the whole volume.
    model : Sam2Model
        Encodes the crops.
    plane : Plane
        The plane of the slices.
    labels : mapping, optional
        Label arrays (Z, Y, X) on the volume's grid, by the path of their file: the masks
        that prompts name.
    store : CacheEntry, optional
        Where features are kept from one session to the next.

    Attributes
    ----------
    tell : callable
        Takes what the user should know, for instance that memory ran out; by default the
        log alone.
    """

    def __init__(
        self,
        volume: Volume,
        window: IntensityWindow,
        model: Sam2Model,
        plane: Plane = Plane.AXIAL,
        labels: Mapping[Path, NDArray[Any]] | None = None,
        store: CacheEntry | None = None,
    ) -> None:
        self.volume = volume
        self.window = window
        self.model = model
        self.plane = plane
        self.tell: Callable[[str], None] = lambda text: None
        self._labels = labels if labels is not None else {}
        self._store = store
        self._unsaved: OrderedDict[Crop, Features] = OrderedDict()
        self._features: OrderedDict[tuple[Crop, int, torch.device], Features] = OrderedDict()
        self._batch = 1 if model.device.type == "cpu" else ENCODED_TOGETHER

    def __len__(self) -> int:
        return int(self.volume.grid.shape[self.plane.axis])

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a slice."""
        shape = self.volume.grid.shape
        return shape[self.plane.row_axis], shape[self.plane.column_axis]

    @property
    def spacing(self) -> tuple[float, float]:
        """Millimetres between rows and between columns."""
        spacing = self.volume.grid.spacing
        return spacing[self.plane.row_axis], spacing[self.plane.column_axis]

    @property
    def thickness(self) -> float:
        """Millimetres between slices."""
        return self.volume.grid.spacing[self.plane.axis]

    @property
    def encoded_together(self) -> int:
        """How many crops are best asked for at once."""
        return self._batch

    def grey(self, index: int) -> NDArray[np.float32]:
        """Slice ``index`` (rows, columns), 0 to 1."""
        return self.window.apply(np.take(self.volume.array, index, axis=self.plane.axis))

    def labelled(self, path: Path, index: int) -> NDArray[np.bool_]:
        """The mask (rows, columns) that a label file gives for slice ``index``.

        Raises
        ------
        PromptError
            Where the file was not read beforehand, or has nothing on this slice.
        """
        if path not in self._labels:
            raise PromptError(
                f"The mask {path} of the prompt on slice {index} was not read.",
                "Pass its labels to the slices.",
                path,
            )
        mask = np.take(self._labels[path], index, axis=self.plane.axis) != 0
        if not mask.any():
            raise PromptError(
                f"The mask {path} is empty on {self.plane.name.lower()} slice {index}.",
                "Name a slice on which it has labels.",
                path,
            )
        return mask

    def features(self, index: int, frame: CropFrame) -> Features:
        """Features of one crop, from the cache where it was encoded before."""
        return self.features_of([(index, frame)], keep=True)

    def features_of(
        self,
        crops: Sequence[Crop],
        check: Callable[[], None] = lambda: None,
        *,
        keep: bool = False,
    ) -> Features:
        """Features of several crops as one batch; what is new is encoded first.

        Where memory runs out smaller batches are tried, then the whole model moves to the
        CPU.

        Parameters
        ----------
        crops : sequence of (int, CropFrame)
            Slice index and frame of each.
        check : callable
            Called before each batch and between the encoder's blocks; may raise to cancel,
            and may itself ask for features.
        keep : bool
            Whether the crops will be wanted again, in this session or a later one.

        Raises
        ------
        DeviceError
            Where not even the CPU's memory suffices for one crop.
        """
        known = {crop: self._known(crop) for crop in dict.fromkeys(crops)}
        missing = [crop for crop, features in known.items() if features is None]
        found = {crop: features for crop, features in known.items() if features is not None}
        if missing:
            device = self.model.device
            encoded = run_with_fallback(
                partial(self._encoded, check),
                missing,
                batch=self._batch,
                device=device,
                move=partial(move_model, self.model),
            )
            for message in encoded.messages:
                self.tell(message)
            self._batch = encoded.batch if self.model.device.type != "cpu" else 1
            if self.model.device != device:
                # What was encoded before the move lies on the device that is full.
                self._features.clear()
                return self.features_of(crops, check, keep=keep)
            new = dict(zip(missing, encoded.outputs, strict=True))
            found |= new
            if keep:
                self._save_later(new)
        for crop, features in found.items():
            self._features[self._key(crop)] = features
        self._forget(list(found))
        wanted = [found[crop] for crop in crops]
        return wanted[0] if len(wanted) == 1 else Features.stack(wanted)

    def is_ready(self, index: int, frame: CropFrame) -> bool:
        """Whether a crop was encoded before, in this session or an earlier one."""
        return self.is_at_hand(index, frame) or self._is_stored(index, frame)

    def is_at_hand(self, index: int, frame: CropFrame) -> bool:
        """Whether a crop's features are in memory."""
        return self._key((index, frame)) in self._features

    @property
    def room(self) -> float:
        """How many crops can be at hand at once; infinite as long as none was encoded."""
        newest = next(reversed(self._features.values()), None)
        return float("inf") if newest is None else FEATURE_BYTES / newest.nbytes

    @property
    def is_stored_on_disk(self) -> bool:
        """Whether what leaves memory can be had again without encoding it."""
        return self._store is not None and self._store.works

    def keep_in(self, store: CacheEntry) -> None:
        """Keep features in this store from now on, those at hand included."""
        self._store = store
        self._save_later({crop: f for (crop, _, _), f in self._features.items()})

    def save(self) -> bool:
        """Write one crop that waits for it to disk; return whether there are more."""
        if self._unsaved:
            (index, frame), features = self._unsaved.popitem(last=False)
            if self._store is not None:
                self._store.put(self.plane, index, frame, len(self), features)
        return bool(self._unsaved)

    def carry_on(self, work: Callable[[], Output]) -> Output:
        """Do something with the model; where its device's memory runs out, on the CPU.

        Raises
        ------
        DeviceError
            Where the CPU's memory does not suffice either.
        """
        return carry_on(self.model, work, self.tell)

    def _known(self, crop: Crop) -> Features | None:
        """A crop's features from memory or from disk."""
        features = self._features.get(self._key(crop))
        if features is None and self._store is not None:
            features = self._store.get(self.plane, *crop, self.model.device)
        return features

    def _is_stored(self, index: int, frame: CropFrame) -> bool:
        return self._store is not None and self._store.has(self.plane, index, frame)

    def _save_later(self, crops: Mapping[Crop, Features]) -> None:
        """Let crops wait to be written, or write the oldest where too many wait."""
        if not self.is_stored_on_disk:
            return
        self._unsaved.update(crops)
        while sum(features.nbytes for features in self._unsaved.values()) > UNSAVED_BYTES:
            self.save()

    def _key(self, crop: Crop) -> tuple[Crop, int, torch.device]:
        return crop, self.model.image_size, self.model.device

    def _encoded(
        self, check: Callable[[], None], crops: Sequence[Crop], device: torch.device
    ) -> list[Features]:
        """Features of some crops, each in memory of its own.

        The context is entered here because the device and its precision may change between
        two batches.
        """
        check()
        side = self.model.image_size
        images = torch.stack([frame.cut(self.grey(index), side) for index, frame in crops])
        with self.model.inference(), interruptible(self.model.net, check):
            together = self.model.encode(images)
        if len(crops) == 1:
            return [together]
        # A view would keep the whole batch alive after the others are gone.
        return [together[row : row + 1].copied() for row in range(len(crops))]

    def _forget(self, crops: Sequence[Crop]) -> None:
        """Drop the features that were not used for longest; those just used stay."""
        for crop in crops:
            self._features.move_to_end(self._key(crop))
        size = sum(features.nbytes for features in self._features.values())
        while size > FEATURE_BYTES and len(self._features) > len(crops):
            _, dropped = self._features.popitem(last=False)
            size -= dropped.nbytes
