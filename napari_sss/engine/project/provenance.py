"""How a case's masks were made, as plain content: enough to trust them and to make them again.

Who made what, on which slice, with which prompts and which model; voxels that no model will
give again (painted, operated on, cut by a neighbour) are stored as such. Unless it is asked
for, no name, no path and no patient: a scan is known by the SHA-256 of its content.
"""

from __future__ import annotations

import base64
import hashlib
import platform
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from napari_sss.engine.project.cases import Case
from napari_sss.engine.project.diff import LabelDiff
from napari_sss.engine.project.errors import ProjectError
from napari_sss.engine.project.guard import cut_for, slice_indices
from napari_sss.engine.project.masks import class_names, class_of
from napari_sss.engine.project.record_codec import encode_key
from napari_sss.engine.project.records import (
    ObjectRecord,
    Review,
    SectionKey,
    SectionRecord,
    Table,
)
from napari_sss.engine.project.state import AnnotationState
from napari_sss.engine.project.voxels import fill
from napari_sss.engine.prompts.promptfile import prompts_from_dict, prompts_to_dict
from napari_sss.engine.prompts.types import ObjectPrompts, PromptSet
from napari_sss.engine.volumes.grid import Shape3
from napari_sss.engine.volumes.region import Region

FORMAT = "napari-sss annotation"
VERSION = 1

_PACKAGES = ("napari-sss", "torch", "sam2", "numpy", "scipy", "scikit-image", "SimpleITK")


def provenance(
    case: Case,
    state: AnnotationState,
    seconds: Mapping[str, float],
    *,
    identify: bool = False,
    only: Collection[int] | None = None,
) -> dict[str, Any]:
    """The content of an annotation's sidecar.

    Parameters
    ----------
    case : Case
        The scan; of it only content and geometry are told.
    state : AnnotationState
        Its annotation.
    seconds : mapping
        Time spent, as ``Project.seconds_spent`` gives it.
    identify : bool
        Also tell the case's name, where its scan lies, and the patient's id where known.
    only : collection of int, optional
        Ids of the objects that the mask holds, where it does not hold all.
    """
    grid = case.grid
    exported = sorted(state.objects if only is None else set(only) & set(state.objects))
    return {
        "format": FORMAT,
        "version": VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "source": {
            "sha256": case.fingerprint,
            "frame": case.reading.frame,
            "modality": case.modality,
            **(_identity(case) if identify else {}),
        },
        "grid": {
            "shape_zyx": list(grid.shape),
            "spacing_zyx_mm": list(grid.spacing),
            "origin_xyz_lps_mm": list(grid.origin),
            "direction": list(grid.direction),
        },
        "classes": class_names(state.classes),
        "case": {
            "status": state.case.status(parked=False).value,
            "flags": sorted(flag.value for flag in state.case.flags),
            "seconds": round(sum(seconds.values()), 1),
        },
        "slices": [
            {
                "plane": key.plane.name.lower(),
                "index": key.index,
                "review": record.review.value,
                "flags": sorted(flag.value for flag in record.flags),
            }
            for key, record in state.slices.items()
        ],
        "objects": [
            _object(state, record, seconds) for _, record in sorted(state.objects.items())
        ],
        "runs": {key: asdict(run) for key, run in state.runs.items()},
        "prompts": _prompts(case, state),
        "stored": base64.b64encode(_stored(state).to_bytes()).decode("ascii"),
        "labels_sha256": labels_sha256(state.labels),
        "exported": exported,
        "software": _software(),
        "notice": "Made with a research tool. Not for clinical use.",
    }


@dataclass(frozen=True)
class Replay:
    """What a sidecar says about making its masks again.

    Parameters
    ----------
    prompts : PromptSet
        All prompts of the annotation.
    runs : mapping
        How models were used, by key.
    run_of : mapping
        By object id the key of the run to repeat for it; objects that are stored wholly
        have none.
    fingerprint : str
        SHA-256 of the scan.
    shape : (int, int, int)
        Of the scan.
    classes : mapping
        Value in a mask by class name.
    objects : mapping
        Class name and confidence by object id.
    exported : tuple of int
        Ids of the objects that the mask holds; the annotation may hold more.
    """

    prompts: PromptSet
    runs: Mapping[str, Mapping[str, Any]]
    run_of: Mapping[int, str]
    fingerprint: str
    shape: Shape3
    classes: Mapping[str, int]
    objects: Mapping[int, tuple[str, float | None]]
    exported: tuple[int, ...]
    _content: Mapping[str, Any]

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Replay:
        """Read a sidecar's content.

        Raises
        ------
        ProjectError
            If it is no annotation's sidecar, or of a newer version.
        """
        if content.get("format") != FORMAT or content.get("version") != VERSION:
            raise ProjectError(
                "This is not the sidecar of an annotation that can be replayed.",
                f'Give a JSON file that says "format": "{FORMAT}", version {VERSION}.',
            )
        try:
            z, y, x = content["grid"]["shape_zyx"]
            return cls(
                prompts_from_dict(content["prompts"]),
                content["runs"],
                _runs_to_repeat(content),
                content["source"]["sha256"],
                (z, y, x),
                content["classes"],
                {o["id"]: (o["class"], o["confidence"]) for o in content["objects"]},
                tuple(content.get("exported", [o["id"] for o in content["objects"]])),
                content,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ProjectError(
                f"The sidecar is damaged ({error}).", "Export the mask again."
            ) from error

    def prompts_of(self, run: str) -> PromptSet:
        """What to give to the model that was used in this way."""
        chosen = (o for o in self.prompts.objects if self.run_of.get(o.id) == run)
        return replace(self.prompts, objects=tuple(chosen))

    def labels(self, made: Mapping[int, Region]) -> Any:
        """The object ids (Z, Y, X) of the annotation.

        Parameters
        ----------
        made : mapping
            What the model gave for each object's prompts.
        """
        state = AnnotationState(self.shape)
        for entry in self._content["objects"]:
            region = made.get(entry["id"])
            if region is not None and region.mask.size:
                kept = _without(region, entry)
                fill(state, kept, entry["id"]).apply(state.labels)
        stored = LabelDiff.from_bytes(base64.b64decode(self._content["stored"]))
        flat = state.labels.reshape(-1)
        flat[stored.indices()] = np.repeat(stored.after, stored.lengths)
        return state.labels

    def is_same(self, labels: Any) -> bool:
        """Whether these object ids (Z, Y, X) are those of the annotation, voxel by voxel."""
        return labels_sha256(labels) == self._content["labels_sha256"]


def labels_sha256(labels: Any) -> str:
    """SHA-256 of an array of object ids, as little-endian 16-bit numbers in C order."""
    return hashlib.sha256(np.ascontiguousarray(labels, dtype="<u2").data).hexdigest()


def _identity(case: Case) -> dict[str, Any]:
    return {
        "name": case.name,
        "path": str(case.absolute_path),
        "series_uid": case.reading.series_uid,
        "patient": case.patient,
    }


def _object(
    state: AnnotationState, record: ObjectRecord, seconds: Mapping[str, float]
) -> dict[str, Any]:
    sections = sorted(state.sections_of(record.id), key=lambda item: item[0].index)
    run = run_to_repeat(state, record.id)
    spent = sum(s for key, s in seconds.items() if key.startswith(f"{record.id}/"))
    return {
        "id": record.id,
        "class": class_of(state, record).name,
        "plane": record.plane.name.lower(),
        "review": record.review.value,
        "accepted": _is_accepted(state, record),
        "flags": sorted(flag.value for flag in record.flags),
        "confidence": record.confidence,
        "seconds": round(spent, 1),
        "run": run,
        "sections": [_section(state, record, *item, seconds, run) for item in sections],
    }


def _section(
    state: AnnotationState,
    owner: ObjectRecord,
    key: SectionKey,
    made: SectionRecord,
    seconds: Mapping[str, float],
    run: str | None,
) -> dict[str, Any]:
    whole_slice = state.slices.get(key.slice_key)
    accepted = (
        _is_accepted(state, owner)
        or made.review is Review.ACCEPTED
        or (whole_slice is not None and whole_slice.review is Review.ACCEPTED)
    )
    return {
        "index": key.index,
        "plane": key.plane.name.lower(),
        "made_by": made.maker.value,
        "run": made.run,
        "confidence": made.confidence,
        "stored": _is_stored(made, run),
        "accepted": accepted,
        "flags": sorted(flag.value for flag in made.flags),
        "seconds": round(seconds.get(encode_key(Table.SECTION, key), 0.0), 1),
    }


def run_to_repeat(state: AnnotationState, object_id: int) -> str | None:
    """The run whose answers a replay asks of the model again for an object, or None.

    It is the one that made most of the object's slices and can be repeated from its prompts
    alone. An answer that also followed from earlier answers cannot: its run says
    ``"repeatable": false`` among its settings, and its voxels are stored.
    """
    if not any(key.object_id == object_id for key in state.prompts):
        return None
    counts: dict[str, int] = {}
    for _, made in state.sections_of(object_id):
        run = state.runs.get(made.run) if made.run is not None else None
        if run is not None and not made.edited and run.settings.get("repeatable", True):
            counts[run.key] = counts.get(run.key, 0) + 1
    return max(sorted(counts), key=lambda key: counts[key], default=None)


def _is_stored(made: SectionRecord, run: str | None) -> bool:
    """Whether a replay takes the section from storage rather than from the model."""
    return made.edited or run is None or made.run != run


def _runs_to_repeat(content: Mapping[str, Any]) -> dict[int, str]:
    """The run of each object; older sidecars had one run for all."""
    only = next(iter(content["runs"]), None)
    runs = {o["id"]: o.get("run", only) for o in content["objects"]}
    return {object_id: run for object_id, run in runs.items() if run is not None}


def _is_accepted(state: AnnotationState, record: ObjectRecord) -> bool:
    if record.review is Review.REJECTED:
        return False
    return Review.ACCEPTED in (record.review, state.case.review)


def _prompts(case: Case, state: AnnotationState) -> dict[str, Any]:
    """The prompts as a prompt file holds them; masks are stored voxels instead."""
    objects = []
    for object_id, record in sorted(state.objects.items()):
        given = [replace(p, mask=None) for p in state.prompts_of(object_id)]
        drawn = tuple(p for p in given if p.box or p.points or p.strokes or p.polygons)
        if drawn:
            name = class_of(state, record).name
            objects.append(ObjectPrompts(object_id, name, drawn, record.confidence))
    return prompts_to_dict(PromptSet(tuple(objects), case.reading.frame))


def _stored(state: AnnotationState) -> LabelDiff:
    """Voxels of all sections that a model alone will not give again."""
    parts = []
    for object_id, record in state.objects.items():
        axis = record.plane.axis
        run = run_to_repeat(state, object_id)
        kept = [k.index for k, made in state.sections_of(object_id) if _is_stored(made, run)]
        region = state.region(object_id)
        if not region.mask.size or not (kept or run is None):
            continue
        diff = cut_for(_from_nothing(state, region, object_id), state.shape, {axis})
        if run is not None:
            diff = diff.only(np.isin(slice_indices(diff, state.shape, axis), kept))
        parts.append(diff)
    return LabelDiff.chain(parts)


def _from_nothing(state: AnnotationState, region: Region, value: int) -> LabelDiff:
    zeros = np.zeros(region.mask.shape, dtype=np.uint16)
    filled = np.where(region.mask, np.uint16(value), zeros)
    return LabelDiff.between(zeros, filled, region.offset, state.shape)


def _without(region: Region, entry: Mapping[str, Any]) -> Region:
    """A model's answer without the sections that are stored."""
    from napari_sss.engine.prompts.types import Plane

    axis = Plane[entry["plane"].upper()].axis
    mask = region.mask.copy()
    planes = np.moveaxis(mask, axis, 0)
    for section in entry["sections"]:
        place = section["index"] - region.offset[axis]
        if section["stored"] and 0 <= place < len(planes):
            planes[place] = False
    return Region(region.offset, mask)


def _software() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
