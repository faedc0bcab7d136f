"""The lines of the case list: what each says, which are shown, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from napari_sss.engine.project.locating import Trouble
from napari_sss.engine.project.overview import CaseLine
from napari_sss.engine.project.paths import natural
from napari_sss.engine.project.records import CaseStatus, Flag
from napari_sss.engine.volumes.grid import Shape3, Vector3


@dataclass(frozen=True)
class CaseRow:
    """One line of the list.

    Parameters
    ----------
    id : int
        The case's number.
    name : str
        Its name, unique in the project.
    status : CaseStatus
        How far the work is.
    modality : str
        ``"CT"``, ``"MR"`` or ``"unknown"``.
    shape : (int, int, int)
        Voxels along Z, Y, X.
    spacing : (float, float, float)
        Millimetres along Z, Y, X.
    flags : frozenset of Flag
        Doubts on anything in it.
    objects, open_objects : int
        How many there are, and how many nobody has judged.
    confidence : float, optional
        The lowest of the open objects, 0 to 1.
    trouble : Trouble, optional
        What is wrong with its scan.
    path : str
        Where its scan was last seen.
    is_current : bool
        It is the case at work.
    """

    id: int
    name: str
    status: CaseStatus
    modality: str
    shape: Shape3
    spacing: Vector3
    flags: frozenset[Flag] = frozenset()
    objects: int = 0
    open_objects: int = 0
    confidence: float | None = None
    trouble: Trouble | None = None
    path: str = ""
    is_current: bool = False

    @property
    def size(self) -> str:
        """Voxels as they are usually told: columns, rows, slices."""
        return "×".join(str(n) for n in reversed(self.shape))

    @property
    def facts(self) -> str:
        """The second line: status, modality and size, or what is wrong."""
        kind = "" if self.modality == "unknown" else f"{self.modality} · "
        if self.trouble is not None:
            return f"scan {self.trouble.value} · {self.status.value}"
        return f"{self.status.value} · {kind}{self.size}"

    @property
    def tooltip(self) -> str:
        """Everything about it."""
        spacing = " × ".join(f"{s:.3g}" for s in reversed(self.spacing))
        lines = [
            self.name,
            f"{self.status.value}, {self.modality}, {self.size} voxels of {spacing} mm",
            self.path,
        ]
        if self.objects:
            judged = self.objects - self.open_objects
            lines.append(f"{self.objects} objects, {judged} of them accepted or rejected")
        if self.confidence is not None:
            lines.append(
                f"The least sure object that nobody has judged: {self.confidence:.2f} of 1"
            )
        if self.flags:
            lines.append("Flagged: " + ", ".join(sorted(flag.value for flag in self.flags)))
        if self.trouble is not None:
            lines.append(TROUBLE_TIPS[self.trouble])
        return "\n".join(lines)


TROUBLE_TIPS = {
    Trouble.MISSING: "The scan is not where it was. Select it and press Find moved files.",
    Trouble.CHANGED: "The scan's content has changed since it was added. Select it to choose.",
}


def rows_of(
    lines: Iterable[CaseLine],
    troubles: Mapping[int, Trouble],
    current: int | None = None,
) -> list[CaseRow]:
    """The list's lines, from what the project tells."""
    return [
        CaseRow(
            line.case.id,
            line.case.name,
            line.case.status,
            line.case.modality,
            line.case.grid.shape,
            line.case.grid.spacing,
            line.findings.flags,
            line.findings.objects,
            line.findings.open_objects,
            line.findings.confidence,
            troubles.get(line.case.id),
            str(line.case.absolute_path),
            line.case.id == current,
        )
        for line in lines
    ]


@dataclass(frozen=True)
class RowFilter:
    """Which lines are shown.

    Parameters
    ----------
    text : str
        Part of the name, in any case of letters.
    status : CaseStatus, optional
        Only this one.
    flagged : bool
        Only those with a flag.
    troubled : bool
        Only those whose scan is missing or changed.
    """

    text: str = ""
    status: CaseStatus | None = None
    flagged: bool = False
    troubled: bool = False

    def lets_through(self, row: CaseRow) -> bool:
        """Whether a line is shown."""
        return (
            self.text.strip().lower() in row.name.lower()
            and (self.status is None or row.status is self.status)
            and (not self.flagged or bool(row.flags))
            and (not self.troubled or row.trouble is not None)
        )

    @property
    def is_empty(self) -> bool:
        """Whether it lets everything through."""
        return self == RowFilter()


class Order(Enum):
    """In which order the lines are shown."""

    ADDED = "as added"
    NAME = "by name"
    STATUS = "by status"
    DOUBT = "least sure first"
    SIZE = "largest first"
    MODALITY = "by modality"


_STEPS = tuple(CaseStatus)

_KEYS: Mapping[Order, Callable[[CaseRow], Any]] = {
    Order.ADDED: lambda row: row.id,
    Order.NAME: lambda row: natural(row.name),
    Order.STATUS: lambda row: _STEPS.index(row.status),
    Order.DOUBT: lambda row: 2.0 if row.confidence is None else row.confidence,
    Order.SIZE: lambda row: -row.shape[0] * row.shape[1] * row.shape[2],
    Order.MODALITY: lambda row: row.modality,
}


def shown(
    rows: Iterable[CaseRow], chosen: RowFilter = RowFilter(), order: Order = Order.ADDED
) -> list[CaseRow]:
    """The lines that a filter lets through, in an order; equal ones by name."""
    kept = [row for row in rows if chosen.lets_through(row)]
    return sorted(kept, key=lambda row: (_KEYS[order](row), natural(row.name), row.id))


def counted(rows: Iterable[CaseRow], visible: int) -> str:
    """The line below the list, for instance ``"12 of 214 cases · 30 accepted"``."""
    rows = list(rows)
    accepted = sum(row.status is CaseStatus.ACCEPTED for row in rows)
    noun = "case" if len(rows) == 1 else "cases"
    count = f"{visible} of {len(rows)} {noun}" if visible != len(rows) else f"{visible} {noun}"
    return f"{count} · {accepted} accepted"
