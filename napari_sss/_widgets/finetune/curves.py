"""From a training's events to curves that can be drawn; no Qt."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

MOST_POINTS = 400
"""Of a drawn curve: more than there are pixels for."""


@dataclass(frozen=True)
class Curve:
    """A line of a chart.

    Parameters
    ----------
    name : str
        In the chart's legend.
    xs, ys : tuple of float
        Steps and values.
    colour : int
        0 is the text's own; classes count from 1, in the masks' colours.
    """

    name: str
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    colour: int = 0


@dataclass(frozen=True)
class Chart:
    """A chart.

    Parameters
    ----------
    title : str
        Above it.
    curves : tuple of Curve
        Its lines.
    low, high : float, optional
        Ends of its axis; by default what the values need.
    logarithmic : bool
        Of its axis.
    empty : str
        What is said before the first value.
    """

    title: str
    curves: tuple[Curve, ...] = ()
    low: float | None = None
    high: float | None = None
    logarithmic: bool = False
    empty: str = "after the first steps"


class History:
    """Collects a run's events."""

    def __init__(self) -> None:
        self._steps: dict[str, tuple[list[float], list[float]]] = {}
        self._dice: dict[str, tuple[list[float], list[float]]] = {}
        self._confident: dict[str, tuple[list[float], list[float]]] = {}
        self.step = 0
        self.best_dice: float | None = None
        self.validates_on = ""
        self.warnings: list[str] = []

    def clear(self) -> None:
        """Forget everything: the events come again."""
        self.__init__()  # type: ignore[misc]

    def add(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Take in new events."""
        for event in events:
            step = float(event.get("step", 0))
            self.step = max(self.step, int(step))
            kind = event.get("event")
            if kind == "step":
                for name, value in event.items():
                    _append(self._steps, name, step, value)
            elif kind == "validation":
                self._add_validation(event, step)
            elif kind == "warning":
                self.warnings.append(str(event.get("message", "")))

    def _add_validation(self, event: Mapping[str, Any], step: float) -> None:
        self.validates_on = str(event.get("on", ""))
        dice = event.get("dice")
        if isinstance(dice, int | float):
            self.best_dice = max(dice, self.best_dice or 0.0)
        for name, value in dict(event.get("classes") or {}).items():
            _append(self._dice, name, step, value)
        for name, value in dict(event.get("confident_share") or {}).items():
            if name != "background":
                _append(self._confident, name, step, value)

    def charts(self) -> tuple[Chart, ...]:
        """Losses, Dice, confident share and learning rate, as they are now."""
        names = [
            ("labelled", "labels", 1),
            ("unlabelled", "unlabelled", 2),
            ("loss", "all", 0),
        ]
        losses = [
            _curve(self._steps, key, title, colour)
            for key, title, colour in names
            if key in self._steps
        ]
        if len(losses) > 1:
            losses = losses[:-1]  # what it sums up
        on = "learned cases" if self.validates_on == "training" else "choosing cases"
        return (
            Chart("Loss", tuple(losses), logarithmic=True),
            Chart(
                f"Dice, {on}" if self.validates_on else "Dice",
                _by_class(self._dice),
                0.0,
                1.0,
                empty="after the first validation",
            ),
            Chart(
                "Sure pixels",
                _by_class(self._confident),
                0.0,
                1.0,
                empty="after the first validation",
            ),
            Chart(
                "Learning rate",
                (_curve(self._steps, "learning_rate", "", 0),)
                if "learning_rate" in self._steps
                else (),
                low=0.0,
            ),
        )


def _append(
    into: dict[str, tuple[list[float], list[float]]], name: str, step: float, value: Any
) -> None:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        xs, ys = into.setdefault(name, ([], []))
        xs.append(step)
        ys.append(float(value))


def _by_class(found: Mapping[str, tuple[list[float], list[float]]]) -> tuple[Curve, ...]:
    return tuple(_curve(found, name, name, place) for place, name in enumerate(found, start=1))


def _curve(
    found: Mapping[str, tuple[list[float], list[float]]], key: str, name: str, colour: int
) -> Curve:
    xs, ys = found[key]
    return Curve(name, *thinned(xs, ys, MOST_POINTS), colour)


def thinned(
    xs: list[float], ys: list[float], most: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """At most so many points; each is the mean of its stretch, the last value stays."""
    count = len(xs)
    if count <= most:
        return tuple(xs), tuple(ys)
    edges = [round(k * (count - 1) / (most - 1)) for k in range(most)]
    stretches = list(itertools.pairwise(edges))
    return (
        (*(math.fsum(xs[a:b]) / (b - a) for a, b in stretches), xs[-1]),
        (*(math.fsum(ys[a:b]) / (b - a) for a, b in stretches), ys[-1]),
    )
