"""What is known about a case besides its voxels: objects, slices, who made what.

Records are frozen. An action replaces a record by another one (or by none), so that every
change has its inverse. They lie in tables:

=========  ===============================  ==================================================
table      key                              record
=========  ===============================  ==================================================
OBJECT     object id                        :class:`ObjectRecord`
PROMPT     :class:`SectionKey`              :class:`~..prompts.types.SlicePrompt`: all prompts
                                            of the object on that slice
SECTION    :class:`SectionKey`              :class:`SectionRecord`: an object on one slice
SLICE      :class:`SliceKey`                :class:`SliceRecord`: a slice as a whole
RUN        its :attr:`RunRecord.key`        :class:`RunRecord`: how a model was used
CASE       0                                :class:`CaseRecord`
CLASS      class id                         :class:`ClassRecord`: of the project, not a case
=========  ===============================  ==================================================
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any

from napari_sss.engine.prompts.types import Plane, SlicePrompt


class Table(Enum):
    """Where a record belongs."""

    OBJECT = "object"
    PROMPT = "prompt"
    SECTION = "section"
    SLICE = "slice"
    RUN = "run"
    CASE = "case"
    CLASS = "class"


class Review(Enum):
    """What a person has decided.

    ::

        OPEN --accept--> ACCEPTED --reopen--> OPEN
        OPEN --reject--> REJECTED --reopen--> OPEN

    What is accepted is locked, and is what fine-tuning learns from.
    """

    OPEN = "open"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


class Flag(Enum):
    """A doubt that a person wants to be remembered."""

    UNCLEAR_BOUNDARY = "unclear boundary"
    UNCERTAIN_CLASS = "uncertain class"


class Maker(Enum):
    """Who gave an object its voxels on a slice, last."""

    AUTO = "auto"
    PROMPTED = "prompted"
    PAINTED = "painted"
    IMPORTED = "imported"


class Progress(Enum):
    """How far the work on a case is, as its annotation tells."""

    NEW = "new"
    SUGGESTED = "suggested"
    IN_WORK = "in work"


class CaseStatus(Enum):
    """What the case list shows.

    ::

        NEW --auto-prompt--> SUGGESTED --any act of a person--> IN_WORK
        IN_WORK --park--> PARKED --open--> IN_WORK
        any --accept--> ACCEPTED --reopen--> IN_WORK

    Undo takes a case back along these arrows too.
    """

    NEW = "new"
    SUGGESTED = "suggested"
    IN_WORK = "in work"
    PARKED = "parked"
    ACCEPTED = "accepted"


@dataclass(frozen=True)
class SliceKey:
    """A slice of the case."""

    plane: Plane
    index: int


@dataclass(frozen=True)
class SectionKey:
    """An object on a slice."""

    object_id: int
    plane: Plane
    index: int

    @property
    def slice_key(self) -> SliceKey:
        """The slice it lies on."""
        return SliceKey(self.plane, self.index)


@dataclass(frozen=True)
class ClassRecord:
    """A class of the project.

    Parameters
    ----------
    id : int
        1 to 254, its value in exported masks; never given to another class.
    name : str
        For instance ``"kidney"``.
    colour : str
        ``"#rrggbb"``.
    key : str
        Keyboard key that selects it, or empty.
    merged_into : int, optional
        The class that its objects count as since this one was removed.
    removed : bool
        It is offered no more; objects that come back by undo still know it.
    """

    id: int
    name: str
    colour: str
    key: str = ""
    merged_into: int | None = None
    removed: bool = False


@dataclass(frozen=True)
class ObjectRecord:
    """An object of a case.

    Parameters
    ----------
    id : int
        Its value in the label array.
    class_id : int
        Its class.
    plane : Plane
        The plane that it was made in, along which its sections count.
    review : Review
        ACCEPTED: locked.
    flags : frozenset of Flag
        Doubts.
    confidence : float, optional
        0 to 1, where a model or a candidate source made it.
    by_person : bool
        A person made it, prompted it or gave it its class: no new search may replace it.
    """

    id: int
    class_id: int
    plane: Plane = Plane.AXIAL
    review: Review = Review.OPEN
    flags: frozenset[Flag] = frozenset()
    confidence: float | None = None
    by_person: bool = False


@dataclass(frozen=True)
class SectionRecord:
    """An object on one slice of its plane.

    Parameters
    ----------
    maker : Maker
        Who made it last.
    run : str, optional
        Key of the :class:`RunRecord` that it came from.
    confidence : float, optional
        The model's estimate, 0 to 1.
    edited : bool
        Its voxels are not the model's answer alone: painted, operated on, or cut by a
        neighbour. A replay takes them from storage.
    review : Review
        ACCEPTED: an anchor for propagation, not to be changed.
    flags : frozenset of Flag
        Doubts.
    """

    maker: Maker
    run: str | None = None
    confidence: float | None = None
    edited: bool = False
    review: Review = Review.OPEN
    flags: frozenset[Flag] = frozenset()


@dataclass(frozen=True)
class SliceRecord:
    """A slice as a whole; ACCEPTED: every voxel of it is right, the background's too."""

    review: Review = Review.OPEN
    flags: frozenset[Flag] = frozenset()


@dataclass(frozen=True)
class CaseRecord:
    """The case as a whole; ACCEPTED: every voxel of it is right."""

    progress: Progress = Progress.NEW
    review: Review = Review.OPEN
    flags: frozenset[Flag] = frozenset()

    def status(self, parked: bool) -> CaseStatus:
        """What the case list shows."""
        if self.review is Review.ACCEPTED:
            return CaseStatus.ACCEPTED
        return CaseStatus.PARKED if parked else CaseStatus(self.progress.value)


@dataclass(frozen=True)
class RunRecord:
    """How a model was used.

    Parameters
    ----------
    model, sha256 : str
        Its name and the SHA-256 of its weights.
    image_size : int
        Side of the square it saw, pixels.
    window : mapping
        The intensity window, as ``IntensityWindow.to_dict`` gives it.
    settings : mapping
        Further options, plain JSON content. ``"propagate"`` says whether prompts were
        followed through the stack; ``"repeatable": false`` that an answer followed from
        earlier answers too, so that its prompts alone do not give it again.
    """

    model: str
    sha256: str
    image_size: int
    window: Mapping[str, Any]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("window", "settings"):
            object.__setattr__(self, name, dict(getattr(self, name)))

    @property
    def key(self) -> str:
        """The same for equal runs."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


Key = int | str | SectionKey | SliceKey
Record = (
    ObjectRecord
    | SlicePrompt
    | SectionRecord
    | SliceRecord
    | RunRecord
    | CaseRecord
    | ClassRecord
)
