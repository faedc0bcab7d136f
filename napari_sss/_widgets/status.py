"""What the panel shows, as frozen snapshots: the controller makes them, the views draw them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

from napari_sss.engine.jobs import Progress
from napari_sss.engine.prompts.types import Plane


class PanelState(Enum):
    """What the panel is doing.

    ::

        NO_SCAN <--> READY --> RUNNING --> READY
                                  |          ^
                                  +-> CANCELLING
    """

    NO_SCAN = auto()
    READY = auto()
    RUNNING = auto()
    CANCELLING = auto()


class Severity(Enum):
    """How a notice is shown."""

    INFO = auto()
    WARNING = auto()
    ERROR = auto()


@dataclass(frozen=True)
class Notice:
    """Something the person should know now."""

    severity: Severity
    text: str


class ModelPhase(Enum):
    """Whether the chosen model can be used."""

    NOT_LOADED = auto()
    LOADING = auto()
    LOADED = auto()
    FAILED = auto()


@dataclass(frozen=True)
class ModelStatus:
    """The chosen model, and where it computes.

    Parameters
    ----------
    name : str
        As the registry knows it, or a path.
    phase : ModelPhase
        Whether it can be used.
    note : str
        The device, or what went wrong.
    trained : Path, optional
        The folder of the trained model whose SAM-2 this is and whose classes Auto-prompt can
        look for; None where it knows no classes.
    """

    name: str = ""
    phase: ModelPhase = ModelPhase.NOT_LOADED
    note: str = ""
    trained: Path | None = None


class ObjectState(Enum):
    """How far an object is."""

    WAITING = "waiting"
    DONE = "done"
    EDITED = "edited"
    STOPPED = "stopped"


@dataclass(frozen=True)
class ObjectRow:
    """One line of the objects table.

    Parameters
    ----------
    id : int
        The object's value in the masks layer.
    class_name : str
        Its structure.
    plane, best_index : Plane, int
        Where it is best seen: its first prompt's slice.
    first, last : int, optional
        Slices that its mask spans, along axis 0; None while there is no mask.
    ml : float, optional
        Volume in millilitres.
    confidence : float, optional
        0 to 1.
    state : ObjectState
        How far it is.
    """

    id: int
    class_name: str
    plane: Plane
    best_index: int
    first: int | None = None
    last: int | None = None
    ml: float | None = None
    confidence: float | None = None
    state: ObjectState = ObjectState.WAITING


@dataclass(frozen=True)
class PanelStatus:
    """Everything the panel shows except the objects.

    Parameters
    ----------
    state : PanelState
        What is going on.
    model : ModelStatus
        The chosen model.
    progress : Progress, optional
        Of the running job, once it has reported.
    why_not : str
        Why Auto-prompt cannot be pressed and what to do about it; "" when it can.
    why_no_export : str
        The same of Export.
    """

    state: PanelState = PanelState.NO_SCAN
    model: ModelStatus = field(default_factory=ModelStatus)
    progress: Progress | None = None
    why_not: str = ""
    why_no_export: str = ""

    @property
    def busy(self) -> bool:
        """Whether a job of the person's runs."""
        return self.state in (PanelState.RUNNING, PanelState.CANCELLING)
