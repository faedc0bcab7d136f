"""Settings that belong to a project: ``settings.json`` in its folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_sss.engine.errors import ConfigError
from napari_sss.engine.project.guard import Overwrite, OverwritePolicy
from napari_sss.engine.volumes.atomic import write_json

SETTINGS_NAME = "settings.json"


class ProjectSettings(BaseModel):
    """How work in a project is done; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    overwrite_others: Overwrite = Field(
        Overwrite.OVERWRITE, description="voxels of other objects that are not accepted"
    )
    overwrite_accepted: Overwrite = Field(
        Overwrite.KEEP, description="voxels of accepted objects and slices"
    )
    model: str = Field("embedded", description="the model that is used")
    window: str | None = Field(None, description="the intensity window; None: by modality")
    viewer: dict[str, Any] = Field(
        default_factory=dict, description="what the viewer wants to find again"
    )

    @property
    def policy(self) -> OverwritePolicy:
        """What a change may take."""
        return OverwritePolicy(self.overwrite_others, self.overwrite_accepted)


def read_settings(folder: Path) -> ProjectSettings:
    """A project's settings; the defaults where none were saved.

    Raises
    ------
    ConfigError
        If the file is damaged or holds unknown settings.
    """
    path = folder / SETTINGS_NAME
    if not path.exists():
        return ProjectSettings()
    try:
        return ProjectSettings.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError) as error:
        raise ConfigError(
            f"The settings {path} cannot be used: {error}.",
            "Correct the file, or remove it for the defaults. The annotations are not in it.",
            path,
        ) from error


def write_settings(settings: ProjectSettings, folder: Path) -> None:
    """Save a project's settings, as a whole or not at all.

    Raises
    ------
    WriteError
        If they cannot be written.
    """
    write_json(settings.model_dump(mode="json"), folder / SETTINGS_NAME)
