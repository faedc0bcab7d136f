"""Encoding slices before they are asked for: the one in view first, then outwards.

It is done in small steps, by whoever has nothing better to do, and a step may be broken off
at any moment.
"""

from __future__ import annotations

from collections.abc import Iterator

from napari_sss.engine.inference.crops import CropFrame
from napari_sss.engine.inference.slices import SliceStack
from napari_sss.engine.jobs import JobControl

STAGE = "slices ready"
NEAR = 4  # slices to either side on which the object in hand will be looked at next
SHARE_OF_MEMORY = 0.75  # of the features kept in memory; the rest is for crops of objects


class EncodeAhead:
    """Knows which crops of a stack to encode next, and how many slices are ready.

    Parameters
    ----------
    stack : SliceStack
        The slices.
    """

    def __init__(self, stack: SliceStack) -> None:
        self._stack = stack
        self._whole = CropFrame.whole(stack.shape, stack.spacing)
        self._index = len(stack) // 2
        self._focus: CropFrame | None = None

    def look_at(self, index: int) -> None:
        """Take note of the slice in view: what comes next is ordered around it."""
        self._index = min(max(index, 0), len(self._stack) - 1)

    def focus(self, frame: CropFrame) -> None:
        """Take note of the crop of the object in hand: its neighbours are encoded too."""
        self._focus = None if frame == self._whole else frame

    @property
    def ready(self) -> int:
        """How many slices are encoded."""
        return sum(self._stack.is_ready(k, self._whole) for k in range(len(self._stack)))

    def step(self, control: JobControl) -> bool:
        """Encode the next crop, or write one to disk; return whether there is more to do.

        Parameters
        ----------
        control : JobControl
            Told how many slices are ready; a request to cancel breaks the step off.
        """
        stack = self._stack
        wanted = []
        for crop in self._wishes():
            wanted.append(crop)
            if len(wanted) == stack.encoded_together:
                break
        if wanted:
            stack.features_of(wanted, control.check, keep=True)
        unsaved = stack.save()
        control.report(STAGE, self.ready, len(stack))
        return bool(wanted) or unsaved

    def _wishes(self) -> Iterator[tuple[int, CropFrame]]:
        """What is not at hand, and of what is far not even on disk, by urgency."""
        stack = self._stack
        at_hand = SHARE_OF_MEMORY * stack.room / 2
        for index in outwards(self._index, len(stack)):
            distance = abs(index - self._index)
            if distance < at_hand:
                if not stack.is_at_hand(index, self._whole):
                    yield index, self._whole
            elif not stack.is_stored_on_disk:
                return  # it would only push out what is nearer
            elif not stack.is_ready(index, self._whole):
                yield index, self._whole
            focus = self._focus
            if focus and distance <= NEAR and not stack.is_at_hand(index, focus):
                yield index, focus


def outwards(start: int, count: int) -> Iterator[int]:
    """``start``, then its neighbours on both sides by turns, to both ends of ``count``."""
    yield start
    for distance in range(1, count):
        for index in (start + distance, start - distance):
            if 0 <= index < count:
                yield index
