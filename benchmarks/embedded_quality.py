"""How good a model's masks are on real scans, beside methods that cost nothing.

Prompts are made from the labels: (a) a box, (b) one click in the middle, (c) that click and
up to four corrections where the mask is wrong, (d) a box on the best slice, propagated
through the volume. In the same run, from the same box: the inscribed ellipse, Otsu's
threshold with the largest component filled, and a random walker.

    python benchmarks/embedded_quality.py                      # the shared test volumes
    python benchmarks/embedded_quality.py --images DIR --labels DIR [--classes 1=spleen,...]

A label file has its image's name. The same seed gives the same numbers.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.segmentation import random_walker

from napari_sss.engine.inference.crops import CropFrame, mask_box
from napari_sss.engine.inference.decoding import DecodedSlice, decode_prompt
from napari_sss.engine.inference.segment import Stacks, segment_object
from napari_sss.engine.inference.slices import SliceStack
from napari_sss.engine.models.loading import load_model
from napari_sss.engine.models.sam2_model import Sam2Model
from napari_sss.engine.prompts.types import Box, ObjectPrompts, Point, SlicePrompt
from napari_sss.engine.volumes.intensity import window_for
from napari_sss.engine.volumes.reading import read_volume
from napari_sss.engine.volumes.volume import Volume
from napari_sss.engine.volumes.writing import read_labels

SMALLEST_AREA = 20  # voxels on a slice that is tested
CORRECTIONS = 4
ACDC = {1: "right ventricle", 2: "myocardium", 3: "left ventricle"}
CT = {1: "spleen", 2: "right kidney", 3: "left kidney", 5: "liver", 21: "bladder"}
ACDC_SPACING = (8.0, 1.5, 1.5)  # nominal; the files' headers say 1, 1, 1


@dataclass(frozen=True)
class Case:
    """One labelled volume."""

    name: str
    volume: Volume
    labels: np.ndarray
    classes: dict[int, str]


def dice(mask: np.ndarray, truth: np.ndarray) -> float:
    """Dice of two bool arrays; 1 where both are empty."""
    total = np.count_nonzero(mask) + np.count_nonzero(truth)
    return 1.0 if total == 0 else 2.0 * np.count_nonzero(mask & truth) / total


def shared_cases(data: Path, split: str, limit: int) -> Iterator[Case]:
    """The CT and ``limit`` evenly spread ACDC volumes of a list."""
    names = json.loads((data / "acdc" / "split.json").read_text())[split]
    for name in names[:: max(1, len(names) // limit)][:limit]:
        volume = read_volume(data / "acdc/images" / f"{name}.nii.gz")
        labels = read_labels(data / "acdc/labels" / f"{name}.nii.gz", volume.grid)
        grid = replace(volume.grid, spacing=ACDC_SPACING)
        yield Case(name, replace(volume, grid=grid, modality="MR"), labels, ACDC)
    if split == "train":
        return
    volume = read_volume(data / "ct/example_ct.nii.gz")
    labels = read_labels(data / "ct/example_seg_fast_force_split.nii.gz", volume.grid)
    yield Case("example_ct", volume, labels, CT)


def folder_cases(images: Path, labels: Path, classes: dict[int, str]) -> Iterator[Case]:
    """Every image of a folder that has a label of its name."""
    for path in sorted(images.iterdir()):
        truth = labels / path.name
        if truth.exists():
            volume = read_volume(path)
            array = read_labels(truth, volume.grid)
            present = {int(v): str(v) for v in np.unique(array) if v}
            yield Case(path.name, volume, array, classes or present)


def test_slices(truth: np.ndarray) -> list[int]:
    """The slice with the largest area and those at a third and two thirds of the extent."""
    areas = truth.sum(axis=(1, 2))
    present = np.flatnonzero(areas >= SMALLEST_AREA)
    if present.size == 0:
        return []
    chosen = {int(areas.argmax())}
    chosen |= {int(present[int(k * (present.size - 1))]) for k in (1 / 3, 2 / 3)}
    return sorted(chosen)


def middle(region: np.ndarray) -> Point:
    """The place in a region that is farthest from its rim."""
    depth = ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return Point(float(x), float(y))


def inscribed_ellipse(box: Box, shape: tuple[int, int]) -> np.ndarray:
    """The ellipse that touches the box's four sides."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    centre_x, centre_y = box.centre
    return ((x - centre_x) / (box.width / 2)) ** 2 + (
        (y - centre_y) / (box.height / 2)
    ) ** 2 <= 1


def otsu_in_box(grey: np.ndarray, box: Box, shape: tuple[int, int]) -> np.ndarray:
    """Otsu's threshold in the box, its middle's side, the largest component, filled."""
    inside = (slice(int(box.y0), int(box.y1)), slice(int(box.x0), int(box.x1)))
    patch = grey[inside]
    result = np.zeros(shape, dtype=bool)
    if np.ptp(patch) == 0:
        result[inside] = True
        return result
    bright = patch > threshold_otsu(patch)
    centre = bright[patch.shape[0] // 4 : -(patch.shape[0] // 4) or None]
    centre = centre[:, patch.shape[1] // 4 : -(patch.shape[1] // 4) or None]
    chosen = bright if centre.mean() >= 0.5 else ~bright
    labels, count = ndimage.label(chosen)
    if count:
        sizes = np.bincount(labels.ravel())[1:]
        result[inside] = ndimage.binary_fill_holes(labels == 1 + int(sizes.argmax()))
    return result


def walker_in_box(grey: np.ndarray, box: Box, shape: tuple[int, int]) -> np.ndarray:
    """A random walker from the box's core (inside) and a rim around it (outside)."""
    frame = CropFrame.around(box, (1.0, 1.0), context=1.3)
    (y0, y1), (x0, x1) = (
        (max(frame.row, 0), min(frame.row + frame.rows, shape[0])),
        (max(frame.column, 0), min(frame.column + frame.columns, shape[1])),
    )
    seeds = np.full(shape, 2, dtype=np.int32)
    seeds[int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)] = 0
    core = inscribed_ellipse(
        Box(
            box.x0 + 0.3 * box.width, box.y0 + 0.3 * box.height,
            box.x1 - 0.3 * box.width, box.y1 - 0.3 * box.height,
        ), shape,
    )  # fmt: skip
    core[int(box.centre[1]), int(box.centre[0])] = True
    seeds[core] = 1
    patch = (slice(y0, y1), slice(x0, x1))
    result = np.zeros(shape, dtype=bool)
    if not (seeds[patch] == 2).any() or not (seeds[patch] == 0).any():
        result[patch] = seeds[patch] != 2
        return result
    walked = random_walker(grey[patch], seeds[patch], beta=300, mode="cg_j")
    result[patch] = walked == 1
    return result


FREE: dict[str, Callable[[np.ndarray, Box, tuple[int, int]], np.ndarray]] = {
    "ellipse": lambda grey, box, shape: inscribed_ellipse(box, shape),
    "otsu": otsu_in_box,
    "walker": walker_in_box,
}


def full_mask(decoded: DecodedSlice, shape: tuple[int, int]) -> np.ndarray:
    """The answer on its whole slice."""
    mask = np.zeros(shape, dtype=bool)
    row, column = decoded.answer.offset
    patch = decoded.answer.mask
    mask[row : row + patch.shape[0], column : column + patch.shape[1]] = patch
    return mask


def click_and_correct(stack: SliceStack, index: int, truth: np.ndarray) -> list[float]:
    """Dice after one click, and after each correction that follows."""
    points = (middle(truth),)
    decoded = decode_prompt(stack, SlicePrompt(index, points=points))
    scores = [dice(full_mask(decoded, truth.shape), truth)]
    for _ in range(CORRECTIONS):
        mask = full_mask(decoded, truth.shape)
        missing, surplus = _largest(truth & ~mask), _largest(mask & ~truth)
        if not missing.any() and not surplus.any():
            break
        positive = missing.sum() >= surplus.sum()
        points += (replace(middle(missing if positive else surplus), positive=bool(positive)),)
        decoded = decode_prompt(
            stack, SlicePrompt(index, points=points), decoded.frame, decoded.decoded.logits
        )
        scores.append(dice(full_mask(decoded, truth.shape), truth))
    return scores


def _largest(region: np.ndarray) -> np.ndarray:
    labels, count = ndimage.label(region)
    if not count:
        return region
    return labels == 1 + int(np.bincount(labels.ravel())[1:].argmax())


def score_case(
    case: Case, model: Sam2Model, propagate: bool, free: bool
) -> Iterable[tuple[str, str, float]]:
    """``(structure, method, Dice)`` for everything measured on one volume."""
    stacks = Stacks(case.volume, window_for(case.volume), model)
    for value, structure in case.classes.items():
        truth = case.labels == value
        for index in test_slices(truth):
            yield from _score_slice(stacks, index, truth[index], structure, free)
        if propagate and truth.any():
            best = int(truth.sum(axis=(1, 2)).argmax())
            prompt = SlicePrompt(best, box=mask_box(truth[best]))
            found = segment_object(stacks, ObjectPrompts(1, structure, (prompt,)))
            yield structure, "propagated", dice(found.region.to_array(truth.shape), truth)


def _score_slice(
    stacks: Stacks, index: int, truth: np.ndarray, structure: str, free: bool
) -> Iterable[tuple[str, str, float]]:
    from napari_sss.engine.prompts.types import Plane

    stack = stacks.of(Plane.AXIAL)
    box = mask_box(truth)
    assert box is not None
    decoded = decode_prompt(stack, SlicePrompt(index, box=box))
    yield structure, "box", dice(full_mask(decoded, truth.shape), truth)
    scores = click_and_correct(stack, index, truth)
    yield structure, "click", scores[0]
    yield structure, "click + 4", scores[-1]
    if free:
        grey = stack.grey(index)
        for name, method in FREE.items():
            yield structure, name, dice(method(grey, box, truth.shape), truth)


def main() -> int:
    """Run, print the table, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    default = os.environ.get("NAPARI_SSS_TEST_DATA", "../shared/data")
    parser.add_argument("--data", type=Path, default=Path(default))
    parser.add_argument("--split", default="val", choices=["train", "val"])
    parser.add_argument("--cases", type=int, default=20, help="ACDC volumes at most")
    parser.add_argument("--images", type=Path)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--classes", default="", help="value=name, separated by commas")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--no-propagate", action="store_true")
    parser.add_argument("--no-free", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if args.images:
        named = dict(p.split("=") for p in args.classes.split(",") if p)
        cases = folder_cases(args.images, args.labels, {int(k): v for k, v in named.items()})
    else:
        cases = shared_cases(args.data, args.split, args.cases)
    model = load_model(args.model, image_size=args.image_size)
    began = time.perf_counter()
    scores: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for case in cases:
        for structure, method, value in score_case(
            case, model, not args.no_propagate, not args.no_free
        ):
            scores[structure][method].append(value)
    table = {
        s: {m: {"mean": float(np.mean(v)), "n": len(v)} for m, v in by_method.items()}
        for s, by_method in scores.items()
    }
    _print(table, sys.stdout.write)
    sys.stdout.write(f"{time.perf_counter() - began:.0f} s\n")
    if args.json:
        args.json.write_text(json.dumps({"model": model.sha256, "scores": table}, indent=1))
    return 0


def _print(
    table: dict[str, dict[str, dict[str, float]]], write: Callable[[str], object]
) -> None:
    methods = ["ellipse", "otsu", "walker", "box", "click", "click + 4", "propagated"]
    write(f"{'structure':16s}" + "".join(f"{m:>12s}" for m in methods) + "\n")
    for structure, row in table.items():
        cells = (f"{row[m]['mean']:12.3f}" if m in row else f"{'':12s}" for m in methods)
        write(f"{structure:16s}" + "".join(cells) + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
