"""``napari-sss info``: what a file is, before anything is done with it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sss.engine.cli.arguments import (
    add_image_arguments,
    add_json_argument,
    read_image,
)
from napari_sss.engine.cli.exit_codes import ExitCode
from napari_sss.engine.cli.output import say, say_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sss.engine.cli.arguments import Subparsers
    from napari_sss.engine.volumes.grid import Grid
    from napari_sss.engine.volumes.volume import Volume

_PERCENTILES = (1, 25, 50, 75, 99)
_SAMPLE = 5_000_000  # voxels; percentiles of more say the same and take seconds


def add_parser(subparsers: Subparsers) -> None:
    """Declare the command's arguments."""
    parser = subparsers.add_parser(
        "info",
        help="geometry, modality, series and intensities of a scan",
        description="Say what a scan is: geometry, modality, DICOM series, intensities.",
    )
    add_image_arguments(parser)
    add_json_argument(parser, "print the description")


def run(args: argparse.Namespace) -> int:
    """Describe the scan, or list the series where a folder holds several."""
    series = _series_to_choose_from(args)
    if series:
        content: dict[str, Any] = {"path": str(args.image), "series": series}
    else:
        content = {"path": str(args.image), **describe(read_image(args))}
    if args.json:
        say_json(content)
    else:
        say(_as_text(content))
    return ExitCode.OK


def describe(volume: Volume) -> dict[str, Any]:
    """What there is to say of a volume, as plain content for JSON."""
    grid = volume.grid
    return {
        "modality": volume.modality,
        "series_uid": volume.source.series_uid,
        "frame": volume.source.frame,
        "shape_zyx": list(grid.shape),
        "dtype": str(volume.array.dtype),
        "spacing_zyx_mm": list(grid.spacing),
        "spacing_known": volume.spacing_known,
        "extent_zyx_mm": [n * s for n, s in zip(grid.shape, grid.spacing, strict=True)],
        "origin_xyz_lps_mm": list(grid.origin),
        "direction": list(grid.direction),
        "axes_zyx": _axes_towards(grid),
        "oblique": grid.is_oblique,
        "intensity": _intensities(volume.array),
        "notes": list(volume.notes),
    }


def _series_to_choose_from(args: argparse.Namespace) -> list[dict[str, Any]]:
    """The series of a DICOM folder that holds several, unless one was chosen."""
    from dataclasses import asdict

    from napari_sss.engine.volumes.reading import list_series

    if args.series is not None or not Path(args.image).is_dir():
        return []
    found = list_series(args.image)
    return [asdict(series) for series in found] if len(found) > 1 else []


def _axes_towards(grid: Grid) -> str:
    """Where the indices Z, Y, X grow towards, one letter each, the nearest of R L A P S I."""
    steps = grid.affine[:3, :3]
    letters = ""
    for axis in range(3):
        world = int(abs(steps[:, axis]).argmax())
        letters += ("LPS" if steps[world, axis] > 0 else "RAI")[world]
    return letters


def _intensities(array: NDArray[Any]) -> dict[str, float]:
    import numpy as np

    step = max(1, round((array.size / _SAMPLE) ** (1 / 3)))
    sample = np.asarray(array[::step, ::step, ::step], dtype=np.float64)
    summary = {
        "min": float(array.min()),
        "max": float(array.max()),
        "mean": float(array.mean(dtype=np.float64)),
    }
    for percent, value in zip(_PERCENTILES, np.percentile(sample, _PERCENTILES), strict=True):
        summary[f"p{percent}"] = float(value)
    return summary


def _as_text(content: dict[str, Any]) -> str:
    if "series" in content:
        lines = [f"{content['path']} holds several series; choose one with --series:"]
        lines += [
            f"  {s['uid']}  {s['modality'] or '?'}, {s['slices']} slices, {s['description']}"
            for s in content["series"]
        ]
        return "\n".join(lines)
    unit = " HU" if content["modality"] == "CT" else ""
    known = "" if content["spacing_known"] else "  (assumed: the file gives none)"
    oblique = ", oblique" if content["oblique"] else ""
    figures = content["intensity"]
    lines = [
        f"file       {content['path']}",
        f"modality   {content['modality']}",
        f"size       {_by(content['shape_zyx'])} voxels (Z, Y, X), {content['dtype']}",
        f"spacing    {_by(content['spacing_zyx_mm'])} mm{known}",
        f"extent     {_by(content['extent_zyx_mm'])} mm",
        f"origin     {_listed(content['origin_xyz_lps_mm'])} mm (x, y, z; LPS)",
        f"axes       Z, Y, X grow towards {', '.join(content['axes_zyx'])}{oblique}",
        f"direction  {_listed(content['direction'])}",
        f"intensity  {figures['min']:g} to {figures['max']:g}{unit}, mean "
        f"{figures['mean']:.4g}",
        "           "
        + ", ".join(f"{percent} %: {figures[f'p{percent}']:.4g}" for percent in _PERCENTILES),
    ]
    if content["series_uid"]:
        lines.append(f"series     {content['series_uid']}")
    if content["frame"] is not None:
        lines.append(f"frame      {content['frame']}")
    lines += [f"note       {note}" for note in content["notes"]]
    return "\n".join(lines)


def _by(values: list[float]) -> str:
    return " x ".join(f"{value:.6g}" for value in values)


def _listed(values: list[float]) -> str:
    return ", ".join(f"{value:.6g}" for value in values)
