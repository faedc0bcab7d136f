"""Where the classes lie in each volume, as far as that is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_sss.engine.models.sss.focus import Focus, Window
from napari_sss.engine.training.data.sampling import SliceBatch


class Whereabouts:
    """The regions of the volumes: of labelled ones from the labels, of others once found.

    Parameters
    ----------
    focus : Focus, optional
        None where whole slices are looked at, and nothing needs to be found.
    labelled : mapping, optional
        Case number to region, of those that the labels tell.
    fixed : bool
        Nothing but the labels is believed, as cached features need it.
    """

    def __init__(
        self,
        focus: Focus | None,
        labelled: Mapping[int, Window] | None = None,
        *,
        fixed: bool = False,
    ) -> None:
        self.focus = focus
        self.labelled = dict(labelled or {})
        self.fixed = fixed
        self._found: dict[int, Window | None] = {}
        self._when: dict[int, int] = {}

    def of(self, number: int) -> Window | None:
        """A volume's region; None where it is not known."""
        return self.labelled.get(number, self._found.get(number))

    def due(self, batch: SliceBatch, step: int, age: int) -> list[int]:
        """The batch's volumes to be looked at: never yet, or ``age`` steps ago."""
        if self.focus is None or self.fixed:
            return []
        numbers = dict.fromkeys(number for number, _ in batch.slices)
        return [
            n
            for n in numbers
            if n not in self.labelled and (n not in self._when or step - self._when[n] >= age)
        ]

    def found(self, number: int, region: Window | None, step: int) -> None:
        """Keep what a look at a volume found; nothing found leaves what was known."""
        self._when[number] = step
        if region is not None and not self.fixed:
            self._found[number] = region

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {
            str(number): [step, *_as_list(self._found.get(number))]
            for number, step in self._when.items()
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state` gave."""
        self._when = {int(number): int(kept[0]) for number, kept in state.items()}
        self._found = {int(n): Window(*kept[1:]) for n, kept in state.items() if kept[1:]}


def _as_list(region: Window | None) -> list[float]:
    return [] if region is None else [region.y, region.x, region.side]
