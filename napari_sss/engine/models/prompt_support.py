"""Which kinds of prompts a model takes, and what becomes of them.

Nothing here imports torch. SAM-2's prompt encoder takes points, boxes and masks; the other
kinds are put to it in these: a scribble as points spread along it, a lasso as the mask of
what it encloses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePath

from napari_sss.engine.models.registry import model_names


class PromptKind(Enum):
    """A way to say which object is meant."""

    POINT = "point"
    BOX = "box"
    SCRIBBLE = "scribble"
    LASSO = "lasso"
    MASK = "mask"


@dataclass(frozen=True)
class Support:
    """Whether a model takes a kind of prompt.

    Parameters
    ----------
    how : str
        What becomes of the prompt, in a sentence.
    why_not : str
        Why the model cannot use it, with the remedy; "" when it can.
    """

    how: str
    why_not: str = ""


_SAM2 = {
    PromptKind.POINT: Support("Taken as it is."),
    PromptKind.BOX: Support("Taken as it is."),
    PromptKind.SCRIBBLE: Support("Put to the model as eight points spread along it."),
    PromptKind.LASSO: Support("Put to the model as the mask of what it encloses."),
    PromptKind.MASK: Support("Taken as it is."),
}

_BOXES_ONLY = (
    "MedSAM2 was trained with boxes and masks alone; {kind}s mislead it. Draw a box, or choose "
    "another model."
)
_OF_MEDSAM2 = {
    **_SAM2,
    **{
        kind: Support("", _BOXES_ONLY.format(kind=kind.value))
        for kind in (PromptKind.POINT, PromptKind.SCRIBBLE)
    },
}


def prompt_support(model: str) -> Mapping[PromptKind, Support]:
    """Return what a model does with each kind of prompt.

    Parameters
    ----------
    model : str
        A name of the registry, or the path of a checkpoint.
    """
    if model not in model_names() and "medsam2" in PurePath(model).name.lower():
        return _OF_MEDSAM2
    return _SAM2
