"""What was worked out from a network's weights, kept until they change."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import nn

Made = TypeVar("Made")


@dataclass(frozen=True)
class _Kept:
    made: Any
    settings: Hashable
    watched: list[nn.Module]
    state: list[tuple[int, int]]


class Arrangements:
    """Things made of weights, one of each name, and made anew where the weights changed."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}

    def get(
        self,
        name: str,
        modules: Sequence[nn.Module],
        settings: Hashable,
        make: Callable[[], Made],
    ) -> Made:
        """What ``make`` gives, now or earlier.

        Parameters
        ----------
        name : str
            What it is.
        modules : sequence of modules
            Whose weights it is made of.
        settings : hashable
            Whatever else it depends on.
        make : callable
            Makes it.
        """
        kept = self._kept.get(name)
        if (
            kept is None
            or kept.settings != settings
            or kept.state != _state(kept.watched)
        ):  # fmt: skip
            watched = [part for module in modules for part in module.modules()]
            watched = [part for part in watched if part._parameters]
            kept = _Kept(make(), settings, watched, _state(watched))
            self._kept[name] = kept
        return kept.made


def _state(watched: list[nn.Module]) -> list[tuple[int, int]]:
    """Changes whenever a weight is exchanged, or changed in place.

    PyTorch counts changes in place. Walking the modules' own dictionaries takes microseconds,
    ``parameters()`` a hundred of them.
    """
    return [
        (id(parameter), parameter._version)
        for module in watched
        for parameter in module._parameters.values()
        if parameter is not None
    ]
