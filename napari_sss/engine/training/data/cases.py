"""Which volumes there are, and which of them are labelled."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_sss.engine.training.errors import DataError
from napari_sss.engine.volumes.reading import can_read

log = logging.getLogger(__name__)

_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".dcm")


@dataclass(frozen=True)
class Case:
    """One volume.

    Parameters
    ----------
    name : str
        The image's name without its extension.
    image : Path
        A file, or the folder of a DICOM series.
    label : Path, optional
        Its labels; None for a volume of the unlabelled pool.
    partial : bool
        Its labels know only a part of it, so that it belongs to the pool too.
    reading : tuple of (str, value)
        How the image is read, as arguments of ``read_volume``.
    """

    name: str
    image: Path
    label: Path | None = None
    partial: bool = False
    reading: tuple[tuple[str, Any], ...] = ()

    def fingerprint(self) -> dict[str, Any]:
        """Name, paths, sizes and times of change: what shows that a case is still the same."""
        files = {"image": self.image, "label": self.label}
        stated: dict[str, Any] = {"name": self.name}
        if self.partial:
            stated["partial"] = True
        if self.reading:
            stated["reading"] = [list(pair) for pair in self.reading]
        for role, path in files.items():
            if path is not None:
                state = path.stat()
                stated[role] = [str(path.resolve()), state.st_size, state.st_mtime_ns]
        return stated

    @classmethod
    def of_fingerprint(cls, stated: Mapping[str, Any]) -> Case:
        """The case that a fingerprint is of."""
        label = stated.get("label")
        return cls(
            stated["name"],
            Path(stated["image"][0]),
            None if label is None else Path(label[0]),
            stated.get("partial", False),
            tuple((name, value) for name, value in stated.get("reading", ())),
        )


@dataclass(frozen=True)
class CaseLists:
    """The cases of a training.

    Parameters
    ----------
    labelled, unlabelled, validation : tuple of Case
        Validation cases are labelled and never trained on.
    """

    labelled: tuple[Case, ...]
    unlabelled: tuple[Case, ...] = ()
    validation: tuple[Case, ...] = ()

    def fingerprints(self) -> dict[str, Any]:
        """All cases as plain content for JSON."""
        return {
            role: [case.fingerprint() for case in getattr(self, role)]
            for role in ("labelled", "unlabelled", "validation")
        }


def case_name(path: Path) -> str:
    """A file's name without the extension of an image format."""
    for suffix in _SUFFIXES:
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return path.name


def find_cases(
    images: Path,
    labels: Path,
    *,
    unlabelled: Path | None = None,
    validation: tuple[Path, Path] | None = None,
    labelled_names: Iterable[str] | None = None,
    train_names: Iterable[str] | None = None,
) -> CaseLists:
    """The cases in folders: ``labels/NAME`` belongs to ``images/NAME``.

    Parameters
    ----------
    images, labels : Path
        Folders. An image without a label belongs to the unlabelled pool.
    unlabelled : Path, optional
        A folder of further images of the pool.
    validation : (Path, Path), optional
        Folders of images and labels to validate on; images without a label are left out.
    labelled_names : iterable of str, optional
        Names, with or without extension: only these are labelled, and every other image is
        pool, whatever labels lie there.
    train_names : iterable of str, optional
        Images of other names are left out altogether.

    Raises
    ------
    DataError
        A folder is missing or empty, a listed name has no image or no label, or no case is
        labelled.
    """
    found = _images(images)
    known = _images(labels)
    for name in sorted(set(known) - set(found)):
        log.warning("The label %s has no image in %s and is not used.", known[name], images)
    if train_names is not None:
        found = _only(found, train_names, images)
    if labelled_names is not None:
        chosen = _only(found, labelled_names, images)
        missing = sorted(set(chosen) - set(known))
        if missing:
            raise DataError(
                f"{missing[0]} is listed as labelled, and {labels} has no label of that name"
                f"{_more(missing)}.",
                "Add the label, or take the name off the list.",
                labels,
            )
        known = {name: known[name] for name in chosen}
    cases = [Case(name, path, known.get(name)) for name, path in found.items()]
    labelled = tuple(case for case in cases if case.label is not None)
    if not labelled:
        raise DataError(
            f"No image in {images} has a label of its name in {labels}.",
            "Name each label file as its image.",
            labels,
        )
    pool = [case for case in cases if case.label is None]
    if unlabelled is not None:
        pool += [Case(name, path) for name, path in _images(unlabelled).items()]
    held = labelled_cases(*validation) if validation is not None else ()
    return CaseLists(labelled, tuple(pool), held)


def scans_in(folder: Path) -> tuple[Case, ...]:
    """Every scan of a folder as an unlabelled case.

    Raises
    ------
    DataError
        The folder is missing or holds none.
    """
    return tuple(Case(name, path) for name, path in _images(folder).items())


def read_names(path: Path) -> list[str]:
    """The names in a list of one name a line; empty lines and ``#`` comments are left out.

    Raises
    ------
    DataError
        The list cannot be read or names nothing.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"The list {path} cannot be read: {error}.", "Check it.", path
        ) from error
    names = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not names:
        raise DataError(f"The list {path} names no case.", "Write one name a line.", path)
    return names


def labelled_cases(images: Path, labels: Path) -> tuple[Case, ...]:
    """The images of a folder that have a label in another; the others are left out.

    Raises
    ------
    DataError
        A folder is missing, or no image has a label.
    """
    found, known = _images(images), _images(labels)
    cases = tuple(Case(n, path, known[n]) for n, path in found.items() if n in known)
    if not cases:
        raise DataError(
            f"No image in {images} has a label of its name in {labels}.",
            "Name each label file as its image.",
            labels,
        )
    return cases


def _images(folder: Path) -> dict[str, Path]:
    """Name to path of every scan in a folder, in the order of their names."""
    if not folder.is_dir():
        raise DataError(f"The folder {folder} does not exist.", "Check the path.", folder)
    paths: Sequence[Path] = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    named: dict[str, Path] = {}
    for path in paths:
        if not can_read(path):
            continue
        name = case_name(path)
        if name in named:
            raise DataError(
                f"{named[name].name} and {path.name} in {folder} have the same name.",
                "Keep one of them.",
                folder,
            )
        named[name] = path
    if not named:
        raise DataError(
            f"The folder {folder} holds no scan.",
            "Give NIfTI, NRRD, MHA or DICOM files, or folders of DICOM series.",
            folder,
        )
    return named


def _only(found: dict[str, Path], names: Iterable[str], folder: Path) -> dict[str, Path]:
    wanted = {case_name(Path(name)) for name in names}
    missing = sorted(wanted - set(found))
    if missing:
        raise DataError(
            f"{missing[0]} is listed, and {folder} has no image of that name{_more(missing)}.",
            "Add the image, or take the name off the list.",
            folder,
        )
    return {name: path for name, path in found.items() if name in wanted}


def _more(names: Sequence[str]) -> str:
    return f" (nor of {len(names) - 1} more)" if len(names) > 1 else ""
