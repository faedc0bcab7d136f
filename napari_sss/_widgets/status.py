"""What the panel shows, as frozen snapshots: the controller makes them, the views draw them."""

from __future__ import annotations

from collections.abc import Callable
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


@dataclass(frozen=True)
class Question:
    """Something the person may decide otherwise; nothing waits for the answer.

    Parameters
    ----------
    text : str
        What was done, and what could be done instead.
    offer : str
        What the button says.
    take : callable
        Does the other thing.
    """

    text: str
    offer: str
    take: Callable[[], None]


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
    """How far an object is.

    ::

        WAITING --mask--> SUGGESTED --any act of a person--> EDITED --accept--> ACCEPTED
        any --accept--> ACCEPTED --reopen--> the former one
        any --reject--> REJECTED           WAITING --cancelled before a mask--> EMPTY
    """

    WAITING = "being made"
    SUGGESTED = "suggested"
    EDITED = "edited"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    EMPTY = "no mask"


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
        Where it is best seen, on the scan's own array: its first prompt's slice.
    first, last : int, optional
        Slices that its mask spans, as the slider counts them; None while there is no mask.
    ml : float, optional
        Volume in millilitres; None while it is being made.
    confidence : float, optional
        0 to 1.
    state : ObjectState
        How far it is.
    colour : str
        Of its class, ``"#rrggbb"``.
    class_id : int
        Of its class; 0 where it is not known.
    flags : tuple of str
        Doubts that a person wants to be remembered.
    weakest : (Plane, int), optional
        The slice of which the model is least sure, on the scan's own array.
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
    colour: str = "#999999"
    class_id: int = 0
    flags: tuple[str, ...] = ()
    weakest: tuple[Plane, int] | None = None

    @property
    def is_locked(self) -> bool:
        """Whether it is accepted, so that nothing changes it unasked."""
        return self.state is ObjectState.ACCEPTED

    @property
    def doubt(self) -> float:
        """How much it should be looked at next: flags first, then low confidence; 0 to 2."""
        if self.is_locked or self.state is ObjectState.REJECTED:
            return 0.0
        unsure = 0.5 if self.confidence is None else 1.0 - self.confidence
        return (1.0 if self.flags else 0.0) + unsure


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
    why_no_act : str
        The same of acts on objects.
    read_only : str
        Why nothing can be changed at all; "" where it can.
    undo, redo : str, optional
        What would be undone and redone next, in the user's words.
    """

    state: PanelState = PanelState.NO_SCAN
    model: ModelStatus = field(default_factory=ModelStatus)
    progress: Progress | None = None
    why_not: str = ""
    why_no_export: str = ""
    why_no_act: str = ""
    read_only: str = ""
    undo: str | None = None
    redo: str | None = None

    @property
    def busy(self) -> bool:
        """Whether a job of the person's runs."""
        return self.state in (PanelState.RUNNING, PanelState.CANCELLING)
