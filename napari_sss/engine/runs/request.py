"""What was asked of a run, written once when it is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_sss.engine.errors import ConfigError
from napari_sss.engine.runs.files import REQUEST_NAME, read_json
from napari_sss.engine.training.config import TrainConfig, configured
from napari_sss.engine.volumes.atomic import write_json


class RunRequest(BaseModel):
    """What a run is to do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(description="Name of its folder.")
    created: str = Field(description="When, ISO 8601 in UTC.")
    settings: dict[str, Any] = Field(description="The training's, as TrainConfig takes them.")
    current: str = Field(
        "", description="Model it is compared with: a registry's name or a folder; empty: none."
    )
    shares_device: bool = Field(
        True, description="A viewer may compute on the same GPU: give way to it."
    )
    pictures: int = Field(3, ge=0, description="Unlabelled slices that are drawn.")

    @property
    def config(self) -> TrainConfig:
        """The training's configuration."""
        return configured(self.settings)


def write_request(request: RunRequest, folder: Path) -> None:
    """Write a request.

    Raises
    ------
    WriteError
        It cannot be written.
    """
    write_json(request.model_dump(mode="json"), folder / REQUEST_NAME)


def read_request(folder: Path) -> RunRequest:
    """Read a request.

    Raises
    ------
    ConfigError
        The folder is no run's, or the file is damaged.
    """
    path = folder / REQUEST_NAME
    content = read_json(path)
    if content is None:
        raise ConfigError(
            f"{folder} holds no fine-tuning.", "Choose a folder below runs/ of a project.", path
        )
    try:
        return RunRequest.model_validate(content)
    except ValidationError as error:
        raise ConfigError(
            f"{path} cannot be used: {error.errors()[0]['msg']}.", "Start a new one.", path
        ) from error
