"""Which model is used, and which were before: ``models/store.json`` of a project.

The file is a log that only grows. What is active follows from it: activating puts a model on
a stack, rolling back takes the topmost one off, and models that are gone are passed over::

    log:    activate A, activate B, roll back, activate C
    stack:  embedded | A | C            active: C, a roll back leads to A
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_sss.engine.errors import ModelError
from napari_sss.engine.models.registry import EMBEDDED
from napari_sss.engine.volumes.atomic import write_json

STORE_NAME = "store.json"
STORE_VERSION = 1


class Adoption(BaseModel):
    """One step of the history.

    Parameters
    ----------
    act : {"activate", "roll back"}
        What was done.
    model : str
        What was active afterwards: an id of the project, or a name of the registry.
    at : str
        When, ISO 8601 in UTC; only for people, for clocks jump.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    act: Literal["activate", "roll back"]
    model: str
    at: str = ""


class StoreState(BaseModel):
    """The file's content."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: int = STORE_VERSION
    highest: int = Field(0, ge=0, description="Number of the newest model there ever was.")
    log: tuple[Adoption, ...] = ()

    def stack(self, exists: Callable[[str], bool]) -> tuple[str, ...]:
        """The models that a roll back leads through, the active one last; never empty.

        Parameters
        ----------
        exists : callable
            Whether a model is still there.
        """
        stack = [EMBEDDED]
        for step in self.log:
            if step.act == "activate":
                stack.append(step.model)
            elif len(stack) > 1:
                stack.pop()
        there = [model for model in stack if model == EMBEDDED or exists(model)]
        return tuple(m for k, m in enumerate(there) if k == 0 or m != there[k - 1])

    def with_step(self, act: Literal["activate", "roll back"], model: str) -> StoreState:
        """The state after another step."""
        step = Adoption(act=act, model=model, at=now())
        return self.model_copy(update={"log": (*self.log, step)})


def now() -> str:
    """The time, ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def read_state(folder: Path) -> StoreState:
    """The state of a folder of models; an empty one where nothing was done yet.

    Raises
    ------
    ModelError
        The file is damaged or of a newer program.
    """
    path = folder / STORE_NAME
    if not path.exists():
        return StoreState()
    try:
        state = StoreState.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise ModelError(
            f"{path}, which tells what model is used, is damaged.",
            "Remove it: the models stay, and the one to use is chosen anew.",
            path,
        ) from error
    if state.version > STORE_VERSION:
        raise ModelError(
            f"{path} was written by a newer napari-sss.", "Update napari-sss.", path
        )
    return state


def write_state(state: StoreState, folder: Path) -> None:
    """Save the state, as a whole or not at all.

    Raises
    ------
    WriteError
        It cannot be written.
    """
    write_json(state.model_dump(mode="json"), folder / STORE_NAME)
