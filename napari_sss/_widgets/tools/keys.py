"""The one table of keys: what is bound, shown in tooltips and listed in the help.

Our keys work while one of our layers is selected (the scan, the prompt layers, the masks)
and no text is being typed; there they win over napari's own, for instance P, B, S and L,
which elsewhere stay napari's. Function keys, which napari does not use, work always.

Where others have habits ours are theirs: P, B, S, L, T and M are those of nnInteractive,
N and T those of micro-sam, A those of SAM4IS, Ctrl+Z everybody's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from napari_sss._widgets.choices import AUTO_KEY, PLANE_KEYS
from napari_sss.engine.prompts.types import Plane


class Action(Enum):
    """What a key does."""

    POINT = auto()
    BOX = auto()
    SCRIBBLE = auto()
    LASSO = auto()
    BRUSH = auto()
    EDIT = auto()
    LOOK = auto()
    SIGN = auto()
    NEW_OBJECT = auto()
    RUN = auto()
    PROPAGATE = auto()
    AUTO_PROMPT = auto()
    STOP = auto()
    ACCEPT_OBJECT = auto()
    ACCEPT_SLICE = auto()
    REJECT_OBJECT = auto()
    NEXT_OBJECT = auto()
    PREVIOUS_OBJECT = auto()
    NEXT_SUGGESTION = auto()
    NEXT_CASE = auto()
    PREVIOUS_CASE = auto()
    UNDO = auto()
    REDO = auto()
    AXIAL = auto()
    CORONAL = auto()
    SAGITTAL = auto()
    CLASS_1 = auto()
    CLASS_2 = auto()
    CLASS_3 = auto()
    CLASS_4 = auto()
    CLASS_5 = auto()
    CLASS_6 = auto()
    CLASS_7 = auto()
    CLASS_8 = auto()
    CLASS_9 = auto()
    HELP = auto()


class Group(Enum):
    """A heading of the help."""

    TOOLS = "Tools"
    MODEL = "Model"
    REVIEW = "Review"
    VIEW = "View"
    MOUSE = "Mouse, and keys of napari"


CLASSES = tuple(a for a in Action if a.name.startswith("CLASS_"))
"""The actions that choose the first to the ninth class."""

LAYERS, ALWAYS = False, True


@dataclass(frozen=True)
class Key:
    """One line of the table.

    Parameters
    ----------
    action : Action
        What it does.
    keys : tuple of str
        The keys, as Qt writes them.
    says : str
        What it does, in a few words.
    group : Group
        Its heading.
    always : bool
        Whether it works on every layer; else on ours alone.
    """

    action: Action
    keys: tuple[str, ...]
    says: str
    group: Group
    always: bool = LAYERS


def _class_key(action: Action) -> Key:
    number = action.name.removeprefix("CLASS_")
    return Key(action, (number,), f"Class {number}", Group.TOOLS)


KEYS: tuple[Key, ...] = (
    Key(Action.POINT, ("P",), "Point", Group.TOOLS),
    Key(Action.BOX, ("B",), "Box", Group.TOOLS),
    Key(Action.SCRIBBLE, ("S",), "Scribble", Group.TOOLS),
    Key(Action.LASSO, ("L",), "Lasso", Group.TOOLS),
    Key(Action.BRUSH, ("D",), "Brush: draw on the mask", Group.TOOLS),
    Key(Action.EDIT, ("E",), "Edit: select and move prompts", Group.TOOLS),
    Key(Action.LOOK, ("H",), "Hand: move the view", Group.TOOLS),
    Key(Action.SIGN, ("T",), "Turn the sign: + belongs, − does not", Group.TOOLS),
    Key(Action.NEW_OBJECT, ("M",), "The next prompt begins a new object", Group.TOOLS),
    *(_class_key(action) for action in CLASSES),
    Key(Action.RUN, ("R",), "Run on the prompted slices", Group.MODEL),
    Key(Action.PROPAGATE, ("Shift+R",), "Propagate through the stack", Group.MODEL),
    Key(Action.AUTO_PROMPT, (AUTO_KEY,), "Auto-prompt", Group.MODEL, ALWAYS),
    Key(Action.STOP, ("Esc",), "Stop what runs, else lay the tool down", Group.MODEL),
    Key(Action.ACCEPT_OBJECT, ("A",), "Accept the object", Group.REVIEW),
    Key(Action.ACCEPT_SLICE, ("Shift+A",), "Accept the object on this slice", Group.REVIEW),
    Key(Action.REJECT_OBJECT, ("X",), "Reject the object", Group.REVIEW),
    Key(Action.NEXT_OBJECT, ("N",), "Next object", Group.REVIEW),
    Key(Action.PREVIOUS_OBJECT, ("Shift+N",), "Previous object", Group.REVIEW),
    Key(Action.NEXT_SUGGESTION, ("J",), "Jump to the next suggestion", Group.REVIEW),
    Key(Action.NEXT_CASE, ("Ctrl+PgDown",), "Next case", Group.REVIEW, ALWAYS),
    Key(Action.PREVIOUS_CASE, ("Ctrl+PgUp",), "Previous case", Group.REVIEW, ALWAYS),
    Key(Action.UNDO, ("Ctrl+Z",), "Undo", Group.REVIEW),
    Key(Action.REDO, ("Ctrl+Shift+Z",), "Redo", Group.REVIEW),
    Key(Action.AXIAL, (PLANE_KEYS[Plane.AXIAL],), "Axial plane", Group.VIEW, ALWAYS),
    Key(Action.CORONAL, (PLANE_KEYS[Plane.CORONAL],), "Coronal plane", Group.VIEW, ALWAYS),
    Key(Action.SAGITTAL, (PLANE_KEYS[Plane.SAGITTAL],), "Sagittal plane", Group.VIEW, ALWAYS),
    Key(Action.HELP, ("F1", "?"), "Show or hide this list", Group.VIEW, ALWAYS),
)

PLANE_ACTIONS = {
    Action.AXIAL: Plane.AXIAL,
    Action.CORONAL: Plane.CORONAL,
    Action.SAGITTAL: Plane.SAGITTAL,
}

BESIDE: tuple[tuple[str, str], ...] = (
    ("Right button", "draws with the other sign"),
    ("Ctrl + drag", "with Box: one more box of this object"),
    ("Delete", "removes the selected prompts"),
    ("Space", "held: the hand, whatever the tool"),
    ("Wheel", "zooms"),
    ("Ctrl + Wheel", "next or previous slice"),
    ("← →", "previous, next slice"),
    ("[ ]", "smaller, larger brush"),
    ("V", "hides or shows the layer"),
)
"""What is not ours but belongs to the work: gestures, and keys that napari has anyway."""

_BY_ACTION = {key.action: key for key in KEYS}


def key_of(action: Action) -> str:
    """Return the first key of an action as Qt writes it."""
    return _BY_ACTION[action].keys[0]


def with_key(text: str, action: Action) -> str:
    """Return a tooltip with the key behind it: ``Draw a box (B)``."""
    return f"{text.rstrip('.')} ({key_of(action)})."
