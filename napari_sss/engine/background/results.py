"""What was found in a case, in a file of its own until somebody enters it.

The files are named by the scans' content, so that a case that was removed and added again is
not done twice. No pickle is written or read.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_sss.engine.errors import PromptError
from napari_sss.engine.project.cases import Case
from napari_sss.engine.project.records import RunRecord
from napari_sss.engine.prompts.promptfile import prompts_from_dict, prompts_to_dict
from napari_sss.engine.prompts.types import ObjectPrompts, PromptSet
from napari_sss.engine.ranking.examined import case_key
from napari_sss.engine.runs.files import read_json
from napari_sss.engine.volumes.atomic import replacing, write_json
from napari_sss.engine.volumes.region import Region

log = logging.getLogger(__name__)

RESULTS, CURRENT_NAME = "results", "current.json"
FORMAT = 1


@dataclass(frozen=True)
class FoundObject:
    """An object that was found.

    Parameters
    ----------
    prompts : ObjectPrompts
        On the scan's own array; its id counts only within the case.
    region : Region
        Its voxels, on the same.
    confidence : float
        0 to 1.
    """

    prompts: ObjectPrompts
    region: Region
    confidence: float


@dataclass(frozen=True)
class CaseResult:
    """What was found in a case.

    Parameters
    ----------
    objects : tuple of FoundObject
        Perhaps none.
    run : RunRecord
        How the model was used.
    """

    objects: tuple[FoundObject, ...]
    run: RunRecord


class ResultStore:
    """The results of one model used in one way.

    Parameters
    ----------
    folder : Path
        The background work's.
    key : str
        See :func:`result_key`.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.key = key
        self.folder = folder / RESULTS / key

    def has(self, case: Case) -> bool:
        """Whether a case was done."""
        return self._path(case).is_file()

    def put(self, case: Case, result: CaseResult) -> None:
        """Keep what was found in a case.

        Raises
        ------
        WriteError
            It cannot be written.
        """
        run = result.run
        facts: dict[str, Any] = {
            "format": FORMAT,
            "prompts": prompts_to_dict(PromptSet(tuple(o.prompts for o in result.objects))),
            "confidences": [round(o.confidence, 4) for o in result.objects],
            "offsets": [o.region.offset for o in result.objects],
            "run": {
                "model": run.model,
                "sha256": run.sha256,
                "image_size": run.image_size,
                "window": dict(run.window),
                "settings": dict(run.settings),
            },
        }
        masks = {f"mask{k}": o.region.mask for k, o in enumerate(result.objects)}
        with (
            replacing(self._path(case), ".npz", make_folder=True) as beside,
            beside.open("wb") as stream,
        ):
            np.savez_compressed(stream, facts=np.array(json.dumps(facts)), **masks)  # type: ignore[arg-type]

    def get(self, case: Case) -> CaseResult | None:
        """What was found in a case; None where it was not done, or cannot be read."""
        path = self._path(case)
        try:
            with np.load(path, allow_pickle=False) as stored:
                facts = json.loads(str(stored["facts"]))
                if facts["format"] != FORMAT:
                    return None
                prompts = prompts_from_dict(facts["prompts"]).objects
                masks = [stored[f"mask{k}"].astype(bool) for k in range(len(prompts))]
            objects = tuple(
                FoundObject(p, Region(tuple(offset), mask), float(sure))
                for p, offset, mask, sure in zip(
                    prompts, facts["offsets"], masks, facts["confidences"], strict=True
                )
            )
            return CaseResult(objects, RunRecord(**facts["run"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, PromptError, zipfile.BadZipFile) as e:
            log.warning("%s cannot be used (%s): the case is done again.", path, e)
            path.unlink(missing_ok=True)
            return None

    def _path(self, case: Case) -> Path:
        return self.folder / f"{case_key(case)}.npz"


def current_store(folder: Path) -> ResultStore | None:
    """The results that are being made now, or were made last; None where there are none.

    Parameters
    ----------
    folder : Path
        The background work's.
    """
    key = (read_json(folder / RESULTS / CURRENT_NAME) or {}).get("key")
    return ResultStore(folder, key) if isinstance(key, str) and key else None


def make_current(folder: Path, key: str) -> ResultStore:
    """Begin, or go on with, the results of a key; those of others are let go.

    Raises
    ------
    WriteError
        The folder cannot be written.
    """
    place = folder / RESULTS
    place.mkdir(parents=True, exist_ok=True)
    write_json({"key": key}, place / CURRENT_NAME)
    for other in place.iterdir():
        if other.is_dir() and other.name != key:
            shutil.rmtree(other, ignore_errors=True)
    return ResultStore(folder, key)


def result_key(**facts: Any) -> str:
    """The same for the same model, used in the same way."""
    text = json.dumps(facts | {"format": FORMAT}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]
