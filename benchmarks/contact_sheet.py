"""Generated slices next to real ones, with the labels' outlines, in one PNG.

Run from the repository's root::

    python benchmarks/contact_sheet.py --out sheet.png --scenes 12 --kind heart

The first rows show generated scenes, each slice plain and outlined; the last rows real
slices of the same look-alike kind where the data folder is there (ACDC's training list
alone, and the example CT and MR). Both go through the same window.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from matplotlib import colormaps, image
from skimage.segmentation import find_boundaries
from skimage.transform import resize

from napari_sss.engine.pretraining.scenes import SceneConfig, SceneGenerator, SceneWeights

Tile = tuple[np.ndarray, np.ndarray]
KINDS = tuple(SceneWeights.model_fields)
CT_WINDOW = (-160.0, 240.0)


def generated_tiles(args: argparse.Namespace) -> Iterator[Tile]:
    """Grey (Y, X) in [0, 1] and labels of a slice in the middle third of each scene."""
    weights = SceneWeights()
    if args.kind:
        weights = SceneWeights(**{name: float(name == args.kind) for name in KINDS})
    generator = SceneGenerator(args.seed, SceneConfig(weights=weights))
    for index in range(args.first, args.first + args.scenes):
        scene = generator.scene(index)
        slices = scene.image.shape[0]
        plane = slices // 3 + index % max(1, slices // 3)
        grey = to_grey(scene.image.numpy(), scene.modality)[plane]
        yield grey, scene.labels[plane].numpy()


def real_tiles(folder: Path, count: int, seed: int) -> Iterator[Tile]:
    """Slices of ACDC's training list and of the example CT and MR, by turns."""
    import SimpleITK

    def read(path: Path) -> np.ndarray:
        return SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))

    rng = np.random.default_rng(seed)
    cases = json.loads((folder / "acdc" / "split.json").read_text())["train"]
    ct = read(folder / "ct" / "example_ct.nii.gz")[:, ::-1]
    ct_labels = read(folder / "ct" / "example_seg_fast_force_split.nii.gz")[:, ::-1]
    mr = read(folder / "ct" / "example_mr_sm.nii.gz")[:, ::-1]
    mr_labels = read(folder / "ct" / "example_seg_mr.nii.gz")[:, ::-1]
    for index in range(count):
        if index % 4 < 2:
            case = str(rng.choice(cases))
            volume = read(folder / "acdc" / "images" / f"{case}.nii.gz")
            labels = read(folder / "acdc" / "labels" / f"{case}.nii.gz")
            modality = "MR"
        elif index % 4 == 2:
            volume, labels, modality = ct, ct_labels, "CT"
        else:
            volume, labels, modality = mr, mr_labels, "MR"
        plane = int(rng.integers(len(volume) // 5, len(volume) * 4 // 5 + 1))
        if labels.shape != volume.shape:
            labels = np.zeros_like(volume)
        yield to_grey(volume, modality)[plane], labels[plane]


def to_grey(volume: np.ndarray, modality: str) -> np.ndarray:
    """CT in the soft-tissue window, MR from 0 to its 99.5th percentile; [0, 1]."""
    low, high = CT_WINDOW if modality == "CT" else (0.0, float(np.percentile(volume, 99.5)))
    return np.clip((volume.astype(np.float32) - low) / max(high - low, 1e-6), 0, 1)


def draw(tile: Tile, size: int, zoom: bool) -> np.ndarray:
    """The plain and the outlined slice side by side, uint8 (size, 2 * size, 3)."""
    grey, labels = tile
    if zoom:
        grey, labels = crop_around_an_object(grey, labels)
    height, width = grey.shape
    scale = size / max(height, width)
    shape = (max(1, round(height * scale)), max(1, round(width * scale)))
    grey = resize(grey, shape, order=1)
    labels = resize(labels, shape, order=0, preserve_range=True, anti_aliasing=False)
    colours = colormaps["tab20"]((labels.astype(int) * 7) % 20)[..., :3]
    plain = np.repeat(grey[..., None], 3, axis=2)
    border = find_boundaries(labels, mode="inner") & (labels > 0)
    outlined = np.where(border[..., None], colours, plain)
    pair = np.zeros((size, 2 * size, 3), dtype=np.uint8)
    pair[: shape[0], : shape[1]] = np.rint(plain * 255)
    pair[: shape[0], size : size + shape[1]] = np.rint(outlined * 255)
    return pair


def crop_around_an_object(grey: np.ndarray, labels: np.ndarray) -> Tile:
    """What a model sees: a square 1.6 times the box of an object of 80 pixels or more."""
    sizes = np.bincount(labels.astype(int).ravel())
    sizes[0] = 0
    large = np.flatnonzero(sizes >= 80)
    if len(large) == 0:
        return grey, labels
    # The sizes themselves choose, so that the same slice always shows the same object.
    rows, columns = np.nonzero(labels == large[int(sizes.sum()) % len(large)])
    half = math.ceil(0.8 * max(np.ptp(rows), np.ptp(columns), 12))
    y = (int(rows.min()) + int(rows.max())) // 2
    x = (int(columns.min()) + int(columns.max())) // 2
    box = (slice(max(0, y - half), y + half), slice(max(0, x - half), x + half))
    return grey[box], labels[box]


def mosaic(tiles: list[np.ndarray], columns: int) -> np.ndarray:
    """The tiles row by row, black where the last row is not full."""
    blank = np.zeros_like(tiles[0])
    padded = tiles + [blank] * (-len(tiles) % columns)
    rows = [np.hstack(padded[i : i + columns]) for i in range(0, len(padded), columns)]
    return np.vstack(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("contact_sheet.png"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="index of the first scene")
    parser.add_argument("--scenes", type=int, default=12)
    parser.add_argument("--real", type=int, default=4, help="number of real slices")
    parser.add_argument("--kind", choices=KINDS, help="scenes of this kind alone")
    parser.add_argument("--columns", type=int, default=4, help="slices in a row")
    parser.add_argument("--size", type=int, default=192, help="pixels of a slice")
    parser.add_argument("--zoom", action="store_true", help="crops around one object each")
    default = os.environ.get("NAPARI_SSS_TEST_DATA", "../shared/data")
    parser.add_argument("--data", type=Path, default=Path(default))
    args = parser.parse_args()
    torch.set_num_threads(1)
    tiles = [draw(tile, args.size, args.zoom) for tile in generated_tiles(args)]
    if args.real and (args.data / "acdc").is_dir():
        real = real_tiles(args.data, args.real, args.seed)
        tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % args.columns)
        tiles += [draw(tile, args.size, args.zoom) for tile in real]
    image.imsave(args.out, mosaic(tiles, args.columns))
    print(f"Wrote {args.out}: {args.scenes} generated slices, then the real ones.")


if __name__ == "__main__":
    main()
