"""Opening volumes and writing masks."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from _measure import measure
from _suite import Found, Scale, entry

from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.volume import Volume

SPACING = (1.0, 0.7, 0.7)


@entry("opening", "Opening a NIfTI volume; SimpleITK and nibabel read the same file")
def opening(scale: Scale) -> Found:
    import SimpleITK as sitk  # noqa: N813 - the name its users know

    from napari_sss.engine.volumes.reading import read_volume
    from napari_sss.engine.volumes.writing import write_volume

    shape = (60, 256, 256) if scale == "quick" else (200, 512, 512)
    found = Found(facts={"shape": shape})
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".nii.gz", ".nii"):
            path = Path(folder) / f"scan{suffix}"
            write_volume(_scan(shape), path)
            readers: dict[str, Callable[[], object]] = {
                "ours": lambda path=path: read_volume(path),
                "SimpleITK": lambda path=path: sitk.GetArrayFromImage(sitk.ReadImage(path)),
            }
            try:
                import nibabel
            except ImportError:
                found.facts["nibabel"] = "not installed"
            else:
                readers["nibabel"] = lambda path=path: np.asarray(nibabel.load(path).dataobj)
            timings = measure(readers, rounds=3 if scale == "quick" else 5, warmup=1)
            for name, timing in timings.items():
                found.time(f"{name}, int16 {suffix}", timing)
                if name != "ours":
                    found.ratio(f"ours against {name}, {suffix}", timings["ours"], timing)
    return found


@entry("writing", "Writing a mask with its grid; SimpleITK writes the same")
def writing(scale: Scale) -> Found:
    import SimpleITK as sitk  # noqa: N813

    from napari_sss.engine.volumes.writing import write_labels

    shape = (60, 256, 256) if scale == "quick" else (300, 512, 512)
    labels = _labels(shape)
    grid = Grid(shape, SPACING)
    found = Found(facts={"shape": shape})
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = Path(folder) / "ours.nii.gz", Path(folder) / "theirs.nii.gz"

        def plain() -> None:
            sitk.WriteImage(sitk.GetImageFromArray(labels), theirs, useCompression=True)

        timings = measure(
            {"ours": lambda: write_labels(labels, grid, ours), "SimpleITK alone": plain},
            rounds=3 if scale == "quick" else 7,
            warmup=1,
        )
    for name, timing in timings.items():
        found.time(name, timing)
    found.ratio("ours against SimpleITK alone", timings["ours"], timings["SimpleITK alone"])
    return found


def _scan(shape: tuple[int, int, int]) -> Volume:
    """Noise over a smooth ground, which compresses about as a CT does."""
    random = np.random.default_rng(0)
    ground = np.linspace(-900, 200, shape[1])[:, None] + np.linspace(0, 100, shape[2])
    array = random.integers(-12, 12, shape, dtype=np.int16)
    array += ground.astype(np.int16)
    return Volume(array, Grid(shape, SPACING), "CT")


def _labels(shape: tuple[int, int, int]) -> np.ndarray:
    """Twenty ellipsoids, each with a label of its own."""
    from pcsw import ellipsoids

    from napari_sss.engine.prompts.components import label_components

    return label_components(ellipsoids(shape, 20), 26).astype(np.uint8)
