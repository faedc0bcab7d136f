"""What the Fine-tune tab shows, as frozen snapshots."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Any

from napari_sss._widgets.finetune.curves import Chart
from napari_sss.engine.runs.estimate import Probe
from napari_sss.engine.runs.overview import Overview
from napari_sss.engine.runs.state import RunPhase, RunState
from napari_sss.engine.runs.verdict import Judgement


class Page(Enum):
    """Which side of the tab is up.

    ::

        EMPTY --a project is open--> SETUP --Start--> RUN --it is done--> GATE
        GATE --Adopt, Keep the old one--> SETUP        RUN --discarded--> SETUP
    """

    EMPTY = auto()
    SETUP = auto()
    RUN = auto()
    GATE = auto()


@dataclass(frozen=True)
class SetupShown:
    """The page on which a run is prepared.

    Parameters
    ----------
    overview : Overview, optional
        None while it is being looked up.
    why_not : str
        Why Start cannot be pressed; "" where it can.
    busy : str
        What is being done before a start.
    looking : bool
        What was accepted is being counted for the first time.
    probe : Probe, optional
        What was measured for the data and settings as they are.
    measuring : bool
        A probe runs.
    starts_from : str
        The model in use, for people.
    """

    overview: Overview | None = None
    why_not: str = ""
    busy: str = ""
    looking: bool = False
    probe: Probe | None = None
    measuring: bool = False
    starts_from: str = ""


@dataclass(frozen=True)
class GateCase:
    """A case that both models have predicted; see ``engine.runs.gate.Looked``."""

    case_id: int
    name: str
    kind: str
    agreement: float | None
    gain: float | None
    new_file: Path
    old_file: Path | None


@dataclass(frozen=True)
class GateShown:
    """What the gate found.

    Parameters
    ----------
    judgement : Judgement
        Figures and advice.
    cases : tuple of GateCase
        Those that differ most first.
    note : str
        Why there is no comparison, or what was left out.
    decision : str
        ``"adopted"``, ``"kept"`` or "" while it is open.
    """

    judgement: Judgement
    cases: tuple[GateCase, ...] = ()
    note: str = ""
    decision: str = ""


@dataclass(frozen=True)
class RunShown:
    """A run as it is.

    Parameters
    ----------
    folder : Path
        Its folder.
    title : str
        Method and budget.
    state : RunState
        How far it is.
    stuck : bool
        Its process does not answer.
    asked : str
        What was asked of it and has not happened yet.
    charts : tuple of Chart
        Its curves.
    step : int
        Steps done.
    warnings : tuple of str
        What the training warned of.
    pictures : tuple of dict
        Times at which it was drawn; see ``engine.runs.pictures``.
    gate : GateShown, optional
        Once it was judged.
    has_model : bool
        It has made a model that could be kept.
    """

    folder: Path
    title: str
    state: RunState
    stuck: bool = False
    asked: str = ""
    charts: tuple[Chart, ...] = ()
    step: int = 0
    warnings: tuple[str, ...] = ()
    pictures: tuple[dict[str, Any], ...] = ()
    gate: GateShown | None = None
    has_model: bool = False

    @property
    def is_active(self) -> bool:
        """Whether its process is at work."""
        return self.state.phase.is_active


@dataclass(frozen=True)
class TabShown:
    """Everything the tab shows."""

    page: Page = Page.EMPTY
    setup: SetupShown = field(default_factory=SetupShown)
    run: RunShown | None = None


PHASES = {
    RunPhase.QUEUED: "Starting",
    RunPhase.PREPARING: "Preparing",
    RunPhase.TRAINING: "Training",
    RunPhase.JUDGING: "Comparing with the model in use",
    RunPhase.DONE: "Done",
    RunPhase.PAUSED: "Paused",
    RunPhase.FAILED: "Stopped",
    RunPhase.DIED: "Stopped",
    RunPhase.DISCARDED: "Discarded",
}
"""What a phase is called."""
