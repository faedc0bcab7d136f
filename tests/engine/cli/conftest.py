"""A small scan on disk, a tiny model on disk, and calling the program as a shell would."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from napari_sss.engine.cli import main


@dataclass(frozen=True)
class Ran:
    """What a call of the program left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Stdout, which must be one JSON document and nothing else."""
        return json.loads(self.out)


@pytest.fixture
def napari_sss(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run a command in this process."""

    def run(*arguments: object) -> Ran:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A CT of 6 x 40 x 48 voxels, 5 x 2 x 2 mm, oblique, with a bright block in air."""
    array = np.full((6, 40, 48), -1000, dtype=np.int16)
    array[:, 4:36, 4:44] = 40
    array[2:5, 10:22, 12:28] = 300
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((2.0, 2.0, 5.0))
    image.SetOrigin((10.0, -20.0, 30.0))
    c, s = np.cos(np.deg2rad(10)), np.sin(np.deg2rad(10))
    image.SetDirection((c, -s, 0, s, c, 0, 0, 0, 1))
    path = tmp_path / "scan.nii.gz"
    sitk.WriteImage(image, str(path))
    return path


@pytest.fixture(scope="session")
def tiny_checkpoint(tiny_model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as files, weights with their card."""
    from napari_sss.engine.models.checkpoint import write_checkpoint

    path = tmp_path_factory.mktemp("tiny") / "tiny.safetensors"
    write_checkpoint(path, tiny_model.net, {"architecture": tiny_model.architecture})
    return path


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    """A prompt file for the block of the scan, and for the body around it."""
    content = {
        "version": 1,
        "objects": [
            {"id": 4, "class": "block", "prompts": [{"z": 3, "box": [12, 10, 28, 22]}]},
            {"id": 9, "class": "body", "prompts": [{"z": 3, "points": [[6, 30, 1]]}]},
        ],
    }
    path = tmp_path / "prompts.json"
    path.write_text(json.dumps(content))
    return path
