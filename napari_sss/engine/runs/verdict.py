"""The gate's judgement: figures in, advice out, nothing decided.

Both models predict the same held-out cases, so their scores are compared case by case.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

BETTER = 0.01
"""Difference of Dice below which two models count as equal."""

WORSE_CLASS = 0.02
"""Loss of Dice in one class that is warned of, whatever the mean says."""

HARDLY = 0.3
"""Dice below which a class counts as not found."""

CaseDice = Mapping[str, Mapping[str, float | None]]
"""Dice by case and class; None where neither truth nor prediction shows the class."""


class Verdict(StrEnum):
    """What the figures advise."""

    ADOPT = "adopt"
    KEEP = "keep"
    LOOK = "look"


@dataclass(frozen=True)
class Line:
    """One class, or the mean, on the held-out cases.

    Parameters
    ----------
    name : str
        The class.
    cases : int
        That show it.
    new, old : float, optional
        Mean Dice; None where there is none.
    new_sd, old_sd : float, optional
        Spread over the cases.
    gain, gain_sd : float, optional
        Mean and spread of the differences, case by case.
    """

    name: str
    cases: int
    new: float | None
    old: float | None
    new_sd: float | None = None
    old_sd: float | None = None
    gain: float | None = None
    gain_sd: float | None = None


@dataclass(frozen=True)
class Judgement:
    """What the gate found.

    Parameters
    ----------
    verdict : Verdict
        What it advises.
    reason : str
        Why, in a sentence or two.
    mean : Line
        Over the classes.
    classes : tuple of Line
        Each class.
    warnings : tuple of str
        Where the new model is worse.
    interval : (float, float), optional
        95 % interval of the mean difference (Student's t over the cases).
    """

    verdict: Verdict
    reason: str
    mean: Line
    classes: tuple[Line, ...] = ()
    warnings: tuple[str, ...] = ()
    interval: tuple[float, float] | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain content for a file."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Judgement:
        """Take back what :meth:`as_json` gave."""
        interval = content.get("interval")
        return cls(
            Verdict(content["verdict"]),
            content["reason"],
            Line(**content["mean"]),
            tuple(Line(**line) for line in content["classes"]),
            tuple(content["warnings"]),
            None if interval is None else (interval[0], interval[1]),
        )


@dataclass(frozen=True)
class _Paired:
    """Means over classes for the cases that both models have."""

    new: list[float] = field(default_factory=list)
    old: list[float] = field(default_factory=list)

    @property
    def gains(self) -> list[float]:
        return [n - o for n, o in zip(self.new, self.old, strict=True)]


def judged(classes: Sequence[str], new: CaseDice, old: CaseDice | None) -> Judgement:
    """Compare two models.

    Parameters
    ----------
    classes : sequence of str
        What is learned.
    new, old : mapping
        Their Dice; ``old`` is None where the current model cannot name classes.
    """
    lines = tuple(_line(name, new, old) for name in classes)
    mean, paired = _mean_line(classes, new, old)
    if not new:
        return Judgement(
            Verdict.LOOK,
            "No case is held out yet, so there are no figures. Look at what the model makes "
            "of a few cases before you adopt it.",
            mean,
            lines,
        )
    if old is None:
        return _alone(lines, mean, len(new))
    warnings = _warnings(lines, mean)
    interval = _interval(paired.gains)
    verdict, reason = _weighed(paired.gains, warnings, interval)
    return Judgement(verdict, reason, mean, lines, warnings, interval)


def _alone(lines: tuple[Line, ...], mean: Line, cases: int) -> Judgement:
    """The judgement on a new model where the one in use cannot name classes."""
    warnings = tuple(
        f"{line.name} is hardly found: Dice {line.new:.2f}."
        for line in lines
        if line.new is not None and line.new < HARDLY
    )
    told = f"a Dice of {_shown(mean.new)} on {_cases(cases)} it never saw"
    if mean.new is None or mean.new < HARDLY:
        return Judgement(
            Verdict.KEEP,
            f"The new model hardly finds these classes by itself yet: {told}. Train longer, or "
            "accept more cases.",
            mean,
            lines,
            warnings,
        )
    return Judgement(
        Verdict.LOOK if warnings else Verdict.ADOPT,
        f"The model in use cannot find these classes by itself; the new one can, with {told}.",
        mean,
        lines,
        warnings,
    )


def _weighed(
    gains: Sequence[float], warnings: Sequence[str], interval: tuple[float, float] | None
) -> tuple[Verdict, str]:
    if not gains:
        return Verdict.LOOK, "No held-out case shows a class. Look at a few cases."
    gain = _average(gains)
    better = sum(g > 0 for g in gains)
    told = f"The new model is {'better' if gain >= 0 else 'worse'} by {abs(gain):.3f} Dice"
    told += f" on average, better in {better} of {_cases(len(gains))}"
    if interval is not None:
        told += f" (95 % interval {interval[0]:+.3f} to {interval[1]:+.3f})"
    told += "."
    if gain <= -BETTER:
        return Verdict.KEEP, told + " Keep the one in use."
    if gain >= BETTER and not warnings and better >= 2 * len(gains) / 3:
        note = " One case is little to go by." if len(gains) == 1 else ""
        return Verdict.ADOPT, told + note
    if abs(gain) < BETTER:
        return Verdict.LOOK, told + " That is no difference to speak of."
    return Verdict.LOOK, told + " The cases disagree: look where the models differ."


def _warnings(lines: Sequence[Line], mean: Line) -> tuple[str, ...]:
    found = []
    if mean.gain is not None and mean.gain < 0:
        found.append(f"On average the new model is worse by {-mean.gain:.3f} Dice.")
    for line in lines:
        if line.gain is not None and line.gain <= -WORSE_CLASS:
            found.append(f"{line.name} becomes worse by {-line.gain:.3f} Dice.")
    return tuple(found)


def _line(name: str, new: CaseDice, old: CaseDice | None) -> Line:
    paired, alone = _Paired(), []
    for case, found in new.items():
        value = found.get(name)
        before = None if old is None else old.get(case, {}).get(name)
        # Where neither truth nor one model shows the class, that model is right.
        if value is None and before is None:
            continue
        alone.append(1.0 if value is None else value)
        if old is not None:
            paired.new.append(alone[-1])
            paired.old.append(1.0 if before is None else before)
    return _as_line(name, paired, alone, old is not None)


def _mean_line(
    classes: Sequence[str], new: CaseDice, old: CaseDice | None
) -> tuple[Line, _Paired]:
    """The mean over the classes of each case, then over the cases."""
    paired, alone = _Paired(), []
    for case, found in new.items():
        here, before = [], []
        for name in classes:
            value = found.get(name)
            other = None if old is None else old.get(case, {}).get(name)
            if value is None and other is None:
                continue
            here.append(1.0 if value is None else value)
            before.append(1.0 if other is None else other)
        if here:
            alone.append(_average(here))
            if old is not None:
                paired.new.append(alone[-1])
                paired.old.append(_average(before))
    return _as_line("mean", paired, alone, old is not None), paired


def _as_line(name: str, paired: _Paired, alone: Sequence[float], compared: bool) -> Line:
    if not compared:
        value = _average(alone) if alone else None
        return Line(name, len(alone), value, None, _sd(alone))
    if not paired.new:
        return Line(name, 0, None, None)
    gains = paired.gains
    return Line(
        name,
        len(paired.new),
        _average(paired.new),
        _average(paired.old),
        _sd(paired.new),
        _sd(paired.old),
        _average(gains),
        _sd(gains),
    )


def _interval(gains: Sequence[float]) -> tuple[float, float] | None:
    sd = _sd(gains)
    if sd is None or len(gains) < 3:
        return None
    from scipy import stats

    half = float(stats.t.ppf(0.975, len(gains) - 1)) * sd / math.sqrt(len(gains))
    mean = _average(gains)
    return mean - half, mean + half


def _average(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _sd(values: Sequence[float]) -> float | None:
    """Sample standard deviation; None for fewer than two values."""
    if len(values) < 2:
        return None
    mean = _average(values)
    return math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _cases(count: int) -> str:
    return f"{count} case{'s' if count != 1 else ''}"
