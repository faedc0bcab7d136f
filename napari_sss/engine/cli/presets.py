"""``napari-sss presets``: the tissues to look for and the windows to look through."""

from __future__ import annotations

import argparse
import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING

from napari_sss.engine.cli.arguments import add_json_argument
from napari_sss.engine.cli.exit_codes import ExitCode
from napari_sss.engine.cli.output import say, say_json

if TYPE_CHECKING:
    from napari_sss.engine.cli.arguments import Subparsers
    from napari_sss.engine.prompts.presets import TissuePreset
    from napari_sss.engine.volumes.intensity import WindowPreset

_WIDTH = 92


def add_parser(subparsers: Subparsers) -> None:
    """Declare the command's arguments."""
    parser = subparsers.add_parser(
        "presets",
        help="tissue presets and intensity windows, with their sources",
        description="List the tissue presets (--preset) and the windows (--window).",
    )
    add_json_argument(parser, "print the lists")


def run(args: argparse.Namespace) -> int:
    """List the presets."""
    from napari_sss.engine.prompts.presets import TISSUE_PRESETS
    from napari_sss.engine.volumes.intensity import PERCENTILES, PRESETS

    if args.json:
        say_json(
            {
                "tissues": [p.model_dump(mode="json") for p in TISSUE_PRESETS.values()],
                "windows": [asdict(window) for window in PRESETS.values()],
            }
        )
        return ExitCode.OK
    say("Tissues, for --preset:")
    for preset in TISSUE_PRESETS.values():
        say(_tissue(preset))
    say("\nWindows, for --window (centre and width in HU):")
    for window in PRESETS.values():
        say(_window(window))
    say(f"  {PERCENTILES:16} from the scan's own intensities; the way for MR")
    return ExitCode.OK


def _tissue(preset: TissuePreset) -> str:
    unit = "HU" if preset.modality == "CT" else "% (percentiles)"
    head = f"  {preset.name:16} {preset.modality}, {_range(preset.intensity_range)} {unit}"
    return "\n".join([f"{head}; class '{preset.class_name}'", _indented(preset.reference)])


def _window(window: WindowPreset) -> str:
    return f"  {window.name:16} {window.centre:g}, {window.width:g}: {window.shows}"


def _range(limits: tuple[float | None, float | None]) -> str:
    low, high = limits
    if low is None:
        return f"up to {high:g}"
    return f"from {low:g}" if high is None else f"{low:g} to {high:g}"


def _indented(text: str) -> str:
    return textwrap.fill(text, _WIDTH, initial_indent=" " * 19, subsequent_indent=" " * 19)
