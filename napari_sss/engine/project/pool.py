"""The pool of cases: adding, listing, finding them again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from napari_sss.engine.errors import Cancelled, InputError
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.project.adding import (
    Added,
    Found,
    describe,
    discover,
    examine,
    unused_name,
)
from napari_sss.engine.project.cases import (
    Case,
    CaseFilter,
    Reading,
    case_names,
    find_case,
    insert_case,
    known_by_content,
    known_by_place,
    place_case,
    select_cases,
)
from napari_sss.engine.project.database import Reader
from napari_sss.engine.project.errors import (
    CaseChangedError,
    CaseMissingError,
    ProjectError,
    ReadOnlyError,
)
from napari_sss.engine.project.fingerprint import fingerprint_of, stamp_of
from napari_sss.engine.project.locating import Trouble, find_below, locate
from napari_sss.engine.project.paths import relative_to
from napari_sss.engine.project.writer import Writer
from napari_sss.engine.volumes.grid import Vector3
from napari_sss.engine.volumes.volume import Volume

EVERYTHING = CaseFilter()


class CasePool:
    """The cases of a project.

    Parameters
    ----------
    folder : Path
        The project's.
    reader : Reader
        Of its database.
    writer : Writer, optional
        None: reading only.
    """

    def __init__(self, folder: Path, reader: Reader, writer: Writer | None) -> None:
        self._folder = folder
        self._reader = reader
        self._writer = writer

    # -- looking ------------------------------------------------------------------------

    def select(self, chosen: CaseFilter = EVERYTHING) -> list[Case]:
        """The cases that a filter lets through, in the order they were added."""
        with self._reader.snapshot() as connection:
            return select_cases(connection, chosen)

    def get(self, case_id: int) -> Case:
        """One case.

        Raises
        ------
        ProjectError
            If there is no such case.
        """
        with self._reader.snapshot() as connection:
            found = find_case(connection, case_id)
        if found is None:
            raise ProjectError(f"There is no case {case_id}.", "Choose another one.")
        return found

    def named(self, name: str) -> Case:
        """The case of this name.

        Raises
        ------
        ProjectError
            If there is none.
        """
        for case in self.select():
            if case.name == name:
                return case
        raise ProjectError(f"There is no case {name!r}.", "Choose another one.")

    def next(self, case_id: int, chosen: CaseFilter = EVERYTHING) -> Case | None:
        """The next case that a filter lets through; None at the end."""
        return next((case for case in self.select(chosen) if case.id > case_id), None)

    def previous(self, case_id: int, chosen: CaseFilter = EVERYTHING) -> Case | None:
        """The case before that a filter lets through; None at the beginning."""
        return next((c for c in reversed(self.select(chosen)) if c.id < case_id), None)

    def thumbnail(self, case_id: int) -> bytes:
        """A PNG of the scan's middle slice."""
        rows = self._reader.rows("SELECT thumbnail FROM scan WHERE id = ?", case_id)
        return bytes(rows[0]["thumbnail"]) if rows else b""

    # -- adding and removing ------------------------------------------------------------

    def add(
        self,
        paths: Iterable[Path | str],
        reading: Reading | None = None,
        control: JobControl | None = None,
        on_added: Callable[[Case], None] = lambda case: None,
    ) -> Added:
        """Add scans: files, folders of files, DICOM folders.

        What cannot be read, or is in the project already, is skipped with its reason. A
        request to stop ends the adding; what was added stays.

        Parameters
        ----------
        paths : iterable of Path
            Files and folders.
        reading : Reading, optional
            How they are to be read.
        control : JobControl, optional
            Told each scan.
        on_added : callable
            Called with each new case as soon as it is stored.

        Raises
        ------
        InputError
            If a path does not exist or holds no scan.
        SaveError
            If the project cannot be written.
        Cancelled
            When asked to.
        """
        self._require_writer()
        control = control or JobControl()
        found: list[Found] = []
        for path in paths:
            found += discover(Path(path), reading or Reading(), control, self._folder)
        added, skipped = [], []
        for number, scan in enumerate(found):
            control.report("adding", number, len(found))
            try:
                added.append(self._add(scan, control))
                on_added(added[-1])
            except Cancelled:
                raise
            except InputError as error:
                skipped.append((scan.path, str(error)))
        control.report("adding", len(found), len(found))
        return Added(tuple(added), tuple(skipped))

    def enter(
        self, volume: Volume, path: Path, name: str, control: JobControl | None = None
    ) -> Case:
        """The case of a scan that is open already; it is added where it is not known yet.

        A scan is known by its content: one that was moved or copied is the same case, and
        its new place is remembered.

        Parameters
        ----------
        volume : Volume
            The scan, as it was read.
        path : Path
            Its file, or the folder of its DICOM series.
        name : str
            What a new case is called.
        control : JobControl, optional
            For cancelling.

        Raises
        ------
        ReadOnlyError
            If it is not known, and the project is only read.
        """
        control = control or JobControl()
        frame, uid = volume.source.frame, volume.source.series_uid
        known = [
            case
            for case in self.select()
            if case.reading.frame == frame
            and case.reading.series_uid in (None, uid)
            and case.grid.shape == volume.grid.shape
        ]
        stamp = stamp_of(path)
        for case in known:
            if case.absolute_path == path.absolute() and case.stamp == stamp:
                return case
        found = Found(path, Reading(series_uid=uid if path.is_dir() else None, frame=frame))
        fresh, picture = describe(volume, found, self._folder, control)
        for case in known:
            if case.fingerprint == fresh.fingerprint:
                self._remember(case, path)
                return self.get(case.id)
        names = {case.name for case in self.select()}
        fresh = replace(fresh, name=unused_name(name or fresh.name, names))
        writer = self._require_writer()
        return self.get(writer.call(partial(insert_case, case=fresh, thumbnail=picture)))

    def give_spacing(self, case_id: int, spacing: Vector3) -> Case:
        """Give a scan the spacing that its file lacks (mm; Z, Y, X).

        Raises
        ------
        ReadOnlyError
            If the project is open for reading only.
        """
        case = self.get(case_id)
        grid = replace(case.grid, spacing=spacing)
        reading = replace(case.reading, spacing=spacing)
        self._require_writer().call(
            lambda c: (
                c.execute(
                    "UPDATE scan SET grid = ?, reading = ? WHERE id = ?",
                    (json.dumps(asdict(grid)), json.dumps(asdict(reading)), case_id),
                )
                and None
            )
        )
        return self.get(case_id)

    def remove(self, case_id: int, *, with_annotation: bool = False) -> None:
        """Take a case out of the project; its scan stays where it is.

        Raises
        ------
        ProjectError
            If it has an annotation, and that was not to go too.
        """
        writer = self._require_writer()
        row = self._reader.rows("SELECT op, name FROM scan WHERE id = ?", case_id)
        if row and row[0]["op"] and not with_annotation:
            raise ProjectError(
                f"{row[0]['name']} has been annotated.",
                "Export the annotation first, and say that it may go.",
            )
        writer.call(lambda c: c.execute("DELETE FROM scan WHERE id = ?", (case_id,)) and None)

    # -- the scan -----------------------------------------------------------------------

    def locate(self, case_id: int, control: JobControl | None = None) -> Path:
        """Where a case's scan is; a new place is remembered.

        Raises
        ------
        CaseMissingError
            If it is not where it was, nor where it was seen from the project's folder.
        CaseChangedError
            If something else is there now.
        """
        case = self.get(case_id)
        path = locate(case, self._folder, control)
        if path != case.absolute_path or stamp_of(path) != case.stamp:
            self._remember(case, path)
        return path

    def read(self, case_id: int, control: JobControl | None = None) -> Volume:
        """Read a case's scan, as it was read when it was added.

        Raises
        ------
        CaseMissingError, CaseChangedError
            See :meth:`locate`.
        VolumeError
            If it cannot be read.
        """
        from napari_sss.engine.volumes.reading import read_volume

        path = self.locate(case_id, control)
        return read_volume(path, **self.get(case_id).reading.arguments())

    def troubles(self, control: JobControl | None = None) -> dict[int, Trouble]:
        """Which scans are not where they were, or not what they were, by case id.

        Contents are compared only where sizes or times of files differ.
        """
        control = control or JobControl()
        found, cases = {}, self.select()
        for number, case in enumerate(cases):
            control.report("checking scans", number, len(cases))
            try:
                self.locate(case.id, control)
            except CaseMissingError:
                found[case.id] = Trouble.MISSING
            except CaseChangedError:
                found[case.id] = Trouble.CHANGED
        return found

    def find_again(self, root: Path | str, control: JobControl | None = None) -> list[Case]:
        """Look in a folder for the scans that are missing; return those that were found."""
        missing = []
        for case in self.select():
            try:
                locate(case, self._folder, control)
            except ProjectError:
                missing.append(case)
        found = find_below(missing, Path(root), control)
        for case in missing:
            if case.id in found:
                self._remember(case, found[case.id])
        return [self.get(case_id) for case_id in found]

    def accept_change(self, case_id: int, path: Path | str | None = None) -> Case:
        """Take a changed scan for the case's, if its voxels lie on the same grid.

        Parameters
        ----------
        case_id : int
            The case.
        path : Path, optional
            Where the scan is; by default where it was.

        Raises
        ------
        ProjectError
            If it lies on another grid: the masks would no longer fit.
        VolumeError
            If it cannot be read.
        """
        from napari_sss.engine.project.thumbnail import thumbnail
        from napari_sss.engine.volumes.reading import read_volume

        case = self.get(case_id)
        place = Path(path) if path is not None else case.absolute_path
        volume = read_volume(place, **case.reading.arguments())
        if volume.grid.distance_to(case.grid) > 1e-3:
            raise ProjectError(
                f"{place} lies on another grid than the scan that was annotated.",
                "Add it as a new case, and import the exported masks there if they fit.",
                place,
            )
        fingerprint = fingerprint_of(place, case.reading)
        self._remember(replace(case, fingerprint=fingerprint), place, thumbnail(volume))
        return self.get(case_id)

    # -- what the viewer keeps ----------------------------------------------------------

    def save_view(self, case_id: int, view: Mapping[str, Any]) -> None:
        """Remember what the viewer shows of a case, plain JSON content."""
        text = json.dumps(dict(view))
        self._require_writer().submit(
            lambda c: c.execute("UPDATE scan SET view = ? WHERE id = ?", (text, case_id))
        )

    # -- inside -------------------------------------------------------------------------

    def _add(self, scan: Found, control: JobControl) -> Case:
        with self._reader.snapshot() as connection:
            known = known_by_place(connection, scan.path.absolute(), scan.reading)
        if known is not None and known.stamp == stamp_of(scan.path):
            raise InputError(f"It is in the project already, as {known.name}.")
        case, picture = examine(scan, self._folder, control)
        with self._reader.snapshot() as connection:
            twin = known_by_content(connection, case.fingerprint, case.reading)
            names = case_names(connection)
        if twin is not None:
            raise InputError(f"It is in the project already, as {twin}.")
        case = replace(case, name=unused_name(case.name, names))
        writer = self._require_writer()
        return self.get(writer.call(partial(insert_case, case=case, thumbnail=picture)))

    def _remember(self, case: Case, path: Path, picture: bytes | None = None) -> None:
        """Note where a scan is, unless the project is only read."""
        if self._writer is None:
            return
        path = path.absolute()
        self._writer.call(
            partial(
                place_case,
                case_id=case.id,
                relative_path=relative_to(path, self._folder),
                absolute_path=path,
                stamp=stamp_of(path),
                fingerprint=case.fingerprint,
                thumbnail=picture,
            )
        )

    def _require_writer(self) -> Writer:
        if self._writer is None:
            raise ReadOnlyError(
                f"The project {self._folder} is open for reading only.",
                "Close it in the other viewer, then open it again.",
                self._folder,
            )
        return self._writer
