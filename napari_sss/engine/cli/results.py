"""What a segmenting command leaves behind: masks, sidecar, report, picture, table."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sss.engine.cli.output import finite, say, say_json, tell
from napari_sss.engine.errors import InputError, WriteError

if TYPE_CHECKING:
    from napari_sss.engine.inference.result import Segmentation
    from napari_sss.engine.reports.sidecar import ModelIdentity
    from napari_sss.engine.reports.table import ObjectRow, Truth
    from napari_sss.engine.volumes.intensity import IntensityWindow
    from napari_sss.engine.volumes.volume import Volume


@dataclass(frozen=True)
class Outputs:
    """Which files are wanted.

    Parameters
    ----------
    mask : Path
        The mask of class ids; its sidecar lies beside it.
    instances, report, picture, prompts : Path, optional
        The mask of object ids, the report, the picture and the prompts that were made.
    """

    mask: Path
    instances: Path | None = None
    report: Path | None = None
    picture: Path | None = None
    prompts: Path | None = None

    @classmethod
    def of(cls, args: argparse.Namespace) -> Outputs:
        """What the arguments ask for."""
        prompts = getattr(args, "prompts_out", None)
        return cls(args.output, args.instances, args.report, args.picture, prompts)

    def all(self) -> tuple[Path, ...]:
        """Every file that is wanted."""
        wanted = (self.mask, self.instances, self.report, self.picture, self.prompts)
        return tuple(path for path in wanted if path is not None)

    def check(self, *inputs: Path) -> None:
        """Refuse what could not be written, before the work and not after it.

        Parameters
        ----------
        *inputs : Path
            Files that are read and must not be written over.

        Raises
        ------
        InputError
            An extension is not known, or a name is used twice.
        WriteError
            A folder is missing or cannot be written.
        """
        from napari_sss.engine.volumes.writing import WRITE_SUFFIXES

        suffixes: tuple[tuple[Path | None, tuple[str, ...]], ...] = (
            (self.mask, WRITE_SUFFIXES),
            (self.instances, WRITE_SUFFIXES),
            (self.report, (".json",)),
            (self.picture, (".png",)),
            (self.prompts, (".json",)),
        )
        taken = [path.resolve() for path in inputs]
        for path, allowed in suffixes:
            if path is None:
                continue
            if not path.name.lower().endswith(allowed):
                raise InputError(
                    f"{path} has not the extension of what is to be written there.",
                    f"Let the name end in {' or '.join(allowed)}.",
                    path,
                )
            if path.resolve() in taken:
                raise InputError(
                    f"{path} is named twice, or is what is read.",
                    "Give each file a name of its own.",
                    path,
                )
            taken.append(path.resolve())
            _check_folder(path)


@dataclass(frozen=True)
class Results:
    """A finished segmentation with all that is told about it.

    Parameters
    ----------
    volume : Volume
        The scan.
    segmentation : Segmentation
        Its objects.
    model : ModelIdentity
        The weights that were used.
    window : IntensityWindow
        What the model saw.
    settings : mapping
        The options of the run.
    seconds : mapping
        Wall-clock time of each part.
    truth : Truth, optional
        For scores.
    """

    volume: Volume
    segmentation: Segmentation
    model: ModelIdentity
    window: IntensityWindow
    settings: Mapping[str, Any]
    seconds: Mapping[str, float] = field(default_factory=dict)
    truth: Truth | None = None

    def rows(self) -> tuple[ObjectRow, ...]:
        """The table."""
        from napari_sss.engine.reports.table import object_rows

        return object_rows(self.volume, self.segmentation, self.truth)

    def sidecar(self) -> dict[str, Any]:
        """How the mask was made."""
        from napari_sss.engine.reports.sidecar import provenance

        content = provenance(
            self.volume,
            self.segmentation,
            model=self.model,
            window=self.window,
            settings=self.settings,
        )
        return finite(content)

    def report(self) -> dict[str, Any]:
        """The sidecar's content with the table and the times."""
        return finite(
            {
                **self.sidecar(),
                "format": "napari-sss report",
                "table": [row.to_json() for row in self.rows()],
                "seconds": {stage: round(time, 2) for stage, time in self.seconds.items()},
            }
        )


def write_results(results: Results, outputs: Outputs) -> None:
    """Write every file that is wanted, each as a whole or not at all.

    Raises
    ------
    WriteError
        A file cannot be written; what was there before is untouched.
    """
    from napari_sss.engine.volumes.writing import sidecar_path, write_json, write_labels

    segmentation, grid = results.segmentation, results.segmentation.grid
    write_labels(segmentation.class_mask(), grid, outputs.mask)
    beside = sidecar_path(outputs.mask)
    # A report of that name is the sidecar too: it says everything that the sidecar says.
    if outputs.report is None or outputs.report.resolve() != beside.resolve():
        write_json(results.sidecar(), beside)
    if outputs.report is not None:
        write_json(results.report(), outputs.report)
    if outputs.instances is not None:
        write_labels(segmentation.instance_mask(), grid, outputs.instances)
    if outputs.prompts is not None:
        _write_prompts(results, outputs.prompts)
    if outputs.picture is not None:
        _write_picture(results, outputs.picture)


def tell_results(results: Results, outputs: Outputs, *, as_json: bool) -> None:
    """Print the table, or the whole report as JSON; say on stderr where the files are."""
    if as_json:
        say_json(results.report())
    else:
        from napari_sss.engine.reports.table import as_text

        say(as_text(results.rows(), "HU" if results.volume.modality == "CT" else ""))
    written = (
        outputs.mask,
        outputs.instances,
        outputs.report,
        outputs.picture,
        outputs.prompts,
    )
    tell(f"Wrote {', '.join(str(path) for path in written if path is not None)}.")


def _write_prompts(results: Results, path: Path) -> None:
    from napari_sss.engine.prompts.promptfile import write_prompts
    from napari_sss.engine.prompts.types import PromptSet

    objects = sorted((s.prompts for s in results.segmentation.objects), key=lambda o: o.id)
    write_prompts(PromptSet(tuple(objects), results.volume.source.frame), path)


def _write_picture(results: Results, path: Path) -> None:
    from napari_sss.engine.reports.picture import segmentation_picture
    from napari_sss.engine.volumes.writing import replacing

    png = segmentation_picture(
        results.volume,
        results.segmentation,
        results.window,
        truth=None if results.truth is None else results.truth.labels,
    )
    with replacing(path, ".png") as beside:
        beside.write_bytes(png)


def _check_folder(path: Path) -> None:
    folder = path.absolute().parent
    if not folder.is_dir():
        raise WriteError(
            f"{path} cannot be written: the folder {folder} does not exist.",
            "Make the folder first, or choose another one.",
            path,
        )
    if not os.access(folder, os.W_OK):
        raise WriteError(
            f"{path} cannot be written: you may not write in {folder}.",
            "Choose another folder, or change its permissions.",
            path,
        )
