"""From the model that a project uses to the work that is done with it. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_sss.engine.background.job import PoolJob
from napari_sss.engine.models.registry import entry, model_names
from napari_sss.engine.modelstore.card import NETWORK_CARD, StoredModel
from napari_sss.engine.modelstore.provenance import network_card
from napari_sss.engine.modelstore.store import RUNS, ModelStore


def pool_job(
    project: Path,
    model: str | None = None,
    *,
    rank: bool = True,
    prelabel: bool = True,
    preset: str | None = None,
    device: str | None = None,
) -> PoolJob:
    """The work on a project's pool with one of its models, or another one.

    Parameters
    ----------
    project : Path
        The project's folder.
    model : str, optional
        Name or id of one of its models, a registry's name, or a path; by default the one
        that the project uses.
    rank, prelabel, preset, device
        See :class:`~napari_sss.engine.background.job.PoolJob`.

    Raises
    ------
    ModelError
        There is no such model.
    """
    store = ModelStore(project)
    name = store.active if model is None else model
    common: dict[str, Any] = {"rank": rank, "prelabel": prelabel, "device": device}
    if name in model_names():
        return PoolJob(model=name, model_name=entry(name).title, preset=preset, **common)
    path = Path(name).expanduser()
    if not path.exists():
        return _of_stored(store.named(name), project, common)
    knows = path.is_dir() and (path / NETWORK_CARD).is_file() and _knows_classes(path)
    return PoolJob(
        model=str(path.absolute()),
        model_name=path.name,
        trained=knows,
        preset=None if knows else preset,
        **common,
    )


def _of_stored(model: StoredModel, project: Path, common: dict[str, Any]) -> PoolJob:
    run = None if model.card.run is None else project / RUNS / model.card.run
    return PoolJob(
        model=str(model.folder.absolute()),
        model_name=model.name,
        trained=True,
        run=str(run.absolute()) if run is not None and run.is_dir() else None,
        **common,
    )


def _knows_classes(folder: Path) -> bool:
    from napari_sss.engine.errors import ModelError

    try:
        network_card(folder)
    except ModelError:
        return False
    return True
