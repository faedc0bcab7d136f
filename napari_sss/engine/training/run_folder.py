"""A run's folder: what was asked for, on what, where, and the models that came of it.

``config.json``, ``data.json`` and ``environment.json`` say what the run is;
``events.jsonl`` and ``tensorboard/`` what happened; ``checkpoint.safetensors`` is the state
to resume from; ``model.*`` with ``semantic.safetensors`` the best model by validation (the
last one where nothing was validated on), and ``last/`` the last.
"""

from __future__ import annotations

import json
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from napari_sss._version import __version__
from napari_sss.engine.errors import ConfigError
from napari_sss.engine.training.checkpoint import CHECKPOINT_NAME
from napari_sss.engine.training.config import TrainConfig
from napari_sss.engine.training.data.cases import Case, CaseLists
from napari_sss.engine.volumes.writing import write_json

CONFIG_NAME, DATA_NAME, ENVIRONMENT_NAME = "config.json", "data.json", "environment.json"

# What may differ when a training is resumed: none of these changes its numbers on a CPU.
_FREE = frozenset(
    {
        "device",
        "minutes",
        "cache_mb",
        "feature_cache_mb",
        "checkpoint_every",
        "log_every",
        "tensorboard",
        "micro_batch",
    }
)
_PACKAGES = ("torch", "sam2", "numpy", "scipy", "lightning-fabric", "monai", "SimpleITK")


def begin(folder: Path, config: TrainConfig, cases: CaseLists, *, resume: bool) -> None:
    """Write what the run is, or check that it is the one to be resumed.

    Raises
    ------
    ConfigError
        The folder holds another run, or a resumed one has other settings or data.
    WriteError
        The folder cannot be written.
    """
    if resume:
        _check_same(folder, config, cases)
        return
    if (folder / CHECKPOINT_NAME).exists():
        raise ConfigError(
            f"{folder} holds a training already.",
            "Resume it with --resume, or choose another folder.",
            folder,
        )
    from napari_sss.engine.models.files import writing

    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_json(config.model_dump(mode="json"), folder / CONFIG_NAME)
    write_json(cases.fingerprints(), folder / DATA_NAME)
    write_json(environment(), folder / ENVIRONMENT_NAME)


def environment() -> dict[str, Any]:
    """Versions and machine, for the record."""
    versions = {"napari-sss": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {"versions": versions, "system": platform.platform(), "machine": platform.machine()}


def stored_config(folder: Path) -> dict[str, Any]:
    """The settings that a run was begun with.

    Raises
    ------
    ConfigError
        The folder holds no run.
    """
    path = folder / CONFIG_NAME
    if not path.is_file():
        raise ConfigError(
            f"{folder} holds no training to resume.", "Start without --resume.", folder
        )
    return dict(json.loads(path.read_text(encoding="utf-8")))


def stored_cases(folder: Path) -> CaseLists:
    """The cases that a run was begun with.

    Raises
    ------
    ConfigError
        The folder holds no run.
    """
    path = folder / DATA_NAME
    if not path.is_file():
        raise ConfigError(
            f"{folder} holds no training to resume.", "Start without --resume.", folder
        )
    known = json.loads(path.read_text(encoding="utf-8"))
    roles = ("labelled", "unlabelled", "validation")
    return CaseLists(*(tuple(map(Case.of_fingerprint, known[role])) for role in roles))


def _check_same(folder: Path, config: TrainConfig, cases: CaseLists) -> None:
    before, now = stored_config(folder), config.model_dump(mode="json")
    # A setting that a newer program has added was, in effect, at its default before.
    newer = {k: f.default for k, f in TrainConfig.model_fields.items() if k not in before}
    before = newer | before
    changed = sorted(k for k in now if k not in _FREE and now[k] != before.get(k))
    if changed:
        raise ConfigError(
            f"The training in {folder} was begun with other settings: {', '.join(changed)}.",
            "Resume with the same settings, or start in another folder.",
            folder,
        )
    known = json.loads((folder / DATA_NAME).read_text(encoding="utf-8"))
    if known != json.loads(json.dumps(cases.fingerprints())):
        raise ConfigError(
            f"The volumes are no longer those that the training in {folder} was begun with.",
            "Restore them, or start in another folder.",
            folder,
        )
