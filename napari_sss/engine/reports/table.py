"""The table of a segmentation: for each object its class, volume, intensity and certainty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.inference.result import Segmentation, SegmentedObject
from napari_sss.engine.volumes.region import Region
from napari_sss.engine.volumes.volume import Volume


@dataclass(frozen=True)
class Truth:
    """A labelling that is known to be right.

    Parameters
    ----------
    labels : (Z, Y, X) integer array
        0 is background.
    names : mapping
        Label to the structure's name; a label without one goes by its number.
    """

    labels: NDArray[Any]
    names: Mapping[int, str]


@dataclass(frozen=True)
class ObjectRow:
    """What the table says about one object.

    Parameters
    ----------
    object_id, class_id : int
        The object's values in the instance mask and in the class mask.
    class_name : str
        The structure.
    slices : int
        Axial slices on which it lies.
    volume_ml : float
        Millilitres of its own mask; where objects overlap, the mask file gives the common
        voxels to the more confident one.
    mean_intensity, sd_intensity : float
        Over its voxels; HU for a CT. NaN for an empty mask.
    confidence : float
        0 to 1.
    origin : {"sam2", "candidate"}
        Which of its two masks was kept.
    candidate_ml, sam2_ml : float, optional
        Millilitres of either mask, where there is one.
    agreement : float, optional
        Dice of the two masks against each other.
    truth : str, optional
        The true structure that it matches best.
    dice, candidate_dice, sam2_dice : float, optional
        Dice of the kept mask and of either mask against that structure, 0 to 1.
    """

    object_id: int
    class_id: int
    class_name: str
    slices: int
    volume_ml: float
    mean_intensity: float
    sd_intensity: float
    confidence: float
    origin: str
    candidate_ml: float | None = None
    sam2_ml: float | None = None
    agreement: float | None = None
    truth: str | None = None
    dice: float | None = None
    candidate_dice: float | None = None
    sam2_dice: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The row as plain content for JSON."""
        return asdict(self)


def object_rows(
    volume: Volume, segmentation: Segmentation, truth: Truth | None = None
) -> tuple[ObjectRow, ...]:
    """Describe every object of a segmentation, in the order of their ids.

    Parameters
    ----------
    volume : Volume
        The scan, on the segmentation's grid.
    segmentation : Segmentation
        The objects.
    truth : Truth, optional
        On the same grid; each object is compared with the structure it overlaps best.
    """
    compared = _Comparison(truth) if truth is not None else None
    ordered = sorted(segmentation.objects, key=lambda segmented: segmented.prompts.id)
    return tuple(_row(volume, segmentation, segmented, compared) for segmented in ordered)


def as_text(rows: Sequence[ObjectRow], unit: str = "HU") -> str:
    """Lay the rows out for a terminal, one line each, with headings.

    Parameters
    ----------
    rows : sequence of ObjectRow
        At least none: an empty table says that nothing was found.
    unit : str
        Of the intensities; empty where the scan has none.
    """
    if not rows:
        return "No objects were found."
    headings = ["id", "class", "ml", f"mean {unit}".strip(), "confidence", "mask"]
    cells = [_common_cells(row) for row in rows]
    if any(row.truth is not None for row in rows):
        headings += ["truth", "Dice", "candidate", "SAM-2"]
        for row, line in zip(rows, cells, strict=True):
            scores = (row.dice, row.candidate_dice, row.sam2_dice)
            line += [row.truth or "-", *(_score(score) for score in scores)]
    return _aligned(headings, cells)


def region_dice(one: Region, other: Region) -> float:
    """Dice of two regions of the same volume, 0 to 1; 1 where both are empty."""
    total = one.voxels + other.voxels
    return 2 * _common_voxels(one, other) / total if total else 1.0


class _Comparison:
    """The truth with what is needed of it again and again."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self._sizes = np.bincount(np.asarray(truth.labels).ravel())

    def best_label(self, region: Region) -> int | None:
        """The label with the best Dice; None where the region touches only background."""
        inside = self._truth.labels[region.slices][region.mask]
        touched = [int(label) for label in np.unique(inside) if label]
        return max(touched, key=lambda label: self.dice(region, label), default=None)

    def dice(self, region: Region, label: int) -> float:
        inside = self._truth.labels[region.slices][region.mask]
        common = int(np.count_nonzero(inside == label))
        return 2 * common / (inside.size + int(self._sizes[label]))

    def name(self, label: int) -> str:
        return self._truth.names.get(label, str(label))


def _row(
    volume: Volume,
    segmentation: Segmentation,
    segmented: SegmentedObject,
    compared: _Comparison | None,
) -> ObjectRow:
    region, candidate, sam2 = segmented.region, segmented.candidate, segmented.sam2
    inside = volume.array[region.slices][region.mask].astype(np.float64)
    voxel_ml = segmentation.grid.voxel_ml
    label = compared.best_label(region) if compared is not None else None
    against_truth: dict[str, Any] = {}
    if compared is not None and label is not None:
        against_truth = {
            "truth": compared.name(label),
            "dice": compared.dice(region, label),
            "candidate_dice": None if candidate is None else compared.dice(candidate, label),
            "sam2_dice": None if sam2 is None else compared.dice(sam2, label),
        }
    agreement = None
    if candidate is not None and sam2 is not None:
        agreement = region_dice(candidate, sam2)
    return ObjectRow(
        object_id=segmented.prompts.id,
        class_id=segmentation.class_ids[segmented.prompts.class_name],
        class_name=segmented.prompts.class_name,
        slices=int(region.mask.any(axis=(1, 2)).sum()),
        volume_ml=region.voxels * voxel_ml,
        mean_intensity=float(inside.mean()) if inside.size else float("nan"),
        sd_intensity=float(inside.std()) if inside.size else float("nan"),
        confidence=float(segmented.confidence),
        origin=segmented.origin,
        candidate_ml=None if candidate is None else candidate.voxels * voxel_ml,
        sam2_ml=None if sam2 is None else sam2.voxels * voxel_ml,
        agreement=agreement,
        **against_truth,
    )


def _common_voxels(one: Region, other: Region) -> int:
    """How many voxels belong to both."""
    starts = np.maximum(one.offset, other.offset)
    stops = np.minimum(
        np.add(one.offset, one.mask.shape), np.add(other.offset, other.mask.shape)
    )
    if np.any(stops <= starts):
        return 0
    parts = [
        region.mask[tuple(slice(a, b) for a, b in zip(starts - o, stops - o, strict=True))]
        for region, o in ((one, np.asarray(one.offset)), (other, np.asarray(other.offset)))
    ]
    return int(np.count_nonzero(parts[0] & parts[1]))


def _common_cells(row: ObjectRow) -> list[str]:
    return [
        str(row.object_id),
        row.class_name,
        f"{row.volume_ml:.1f}",
        f"{row.mean_intensity:.0f}",
        f"{row.confidence:.2f}",
        "SAM-2" if row.origin == "sam2" else row.origin,
    ]


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _aligned(headings: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """Columns of equal width: words to the left, figures to the right."""
    columns = list(zip(headings, *cells, strict=True))
    widths = [max(map(len, column)) for column in columns]
    words = {"class", "mask", "truth"}

    def line(texts: Sequence[str]) -> str:
        return "  ".join(
            text.ljust(width) if heading in words else text.rjust(width)
            for heading, text, width in zip(headings, texts, widths, strict=True)
        ).rstrip()

    rule = "  ".join("-" * width for width in widths)
    return "\n".join([line(headings), rule, *(line(texts) for texts in cells)])
