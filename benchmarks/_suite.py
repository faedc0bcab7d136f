"""What the entries of ``benchmarks/run.py`` are made of.

An entry is a function that measures and returns a :class:`Found`:

    @entry("writing", "Writing a mask of 512 x 512 x 300")
    def writing(scale: Scale) -> Found: ...

Each entry runs in a process of its own, so that its memory and its threads are its own, and
what it lacks (a package, a screen) ends no other entry: it says so by :class:`Skipped`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from _measure import Timing

Scale = Literal["quick", "full"]
"""How much is measured: a look in passing, or figures to be shown."""


class Skipped(Exception):  # noqa: N818 - it is no error
    """Why an entry cannot be measured here."""


@dataclass(frozen=True)
class Figure:
    """Something measured.

    Parameters
    ----------
    name : str
        What, within its entry.
    unit : str
        Of all values.
    median, q1, q3 : float
        Over the calls.
    calls : int
        How many.
    cpu : float, optional
        Median of processor time, in the same unit.
    note : str
        What a reader must know beside it.
    """

    name: str
    unit: str
    median: float
    q1: float
    q3: float
    calls: int
    cpu: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Ratio:
    """How many times ours is better than a reference, measured in alternation.

    Parameters
    ----------
    name : str
        What against what.
    median, q1, q3 : float
        Of the ratios round by round, or the single value three times.
    goal : float, optional
        What it should reach.
    limit : float, optional
        For a ratio that should stay below a bound instead, that bound.
    note : str
        What a reader must know beside it.
    """

    name: str
    median: float
    q1: float
    q3: float
    goal: float | None = None
    limit: float | None = None
    note: str = ""


@dataclass
class Found:
    """What an entry found; it grows while it is measured."""

    figures: list[Figure] = field(default_factory=list)
    ratios: list[Ratio] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def time(
        self, name: str, timing: Timing, *, per: float = 1.0, unit: str = "ms", note: str = ""
    ) -> None:
        """Add a timing; ``per`` things were done in each call."""
        scale = {"ms": 1000.0, "s": 1.0}[unit] / per
        low, median, high = (scale * s for s in timing.quartiles())
        cpu = None
        if timing.cpu_seconds:
            cpu = _rounded(scale * Timing(timing.cpu_seconds).quartiles()[1])
        calls = len(timing.seconds)
        values = map(_rounded, (median, low, high))
        self.figures.append(Figure(name, unit, *values, calls, cpu, note))

    def value(self, name: str, value: float, unit: str, note: str = "") -> None:
        """Add a single value."""
        value = _rounded(value)
        self.figures.append(Figure(name, unit, value, value, value, 1, None, note))

    def ratio(
        self,
        name: str,
        ours: Timing,
        reference: Timing,
        goal: float | None = None,
        note: str = "",
    ) -> None:
        """Add how many times as fast ours is as a reference timed in turns with it."""
        low, median, high = map(_rounded, ours.times_as_fast_as(reference))
        self.ratios.append(Ratio(name, median, low, high, goal, None, note))

    def as_dict(self) -> dict[str, Any]:
        """Plain content for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Entry:
    """One line of the list.

    Parameters
    ----------
    name : str
        By which it is chosen.
    title : str
        What it measures.
    run : callable
        Measures it.
    """

    name: str
    title: str
    run: Callable[[Scale], Found]


ENTRIES: dict[str, Entry] = {}


def entry(
    name: str, title: str
) -> Callable[[Callable[[Scale], Found]], Callable[[Scale], Found]]:
    """Put a function into the list."""

    def register(run: Callable[[Scale], Found]) -> Callable[[Scale], Found]:
        ENTRIES[name] = Entry(name, title, run)
        return run

    return register


def _rounded(value: float) -> float:
    """To four significant digits."""
    return float(f"{value:.4g}")
