"""What leaves a project and what enters it: masks, datasets, label files. No Qt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from napari_sss._widgets.cases.catalogue import Catalogue
from napari_sss._widgets.cases.rows import CaseRow
from napari_sss._widgets.cases.tasks import Post, Tasks
from napari_sss._widgets.project_room import ProjectRoom
from napari_sss._widgets.status import Severity
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.project.importing import Each, LabelValue
from napari_sss.engine.project.project import Project
from napari_sss.engine.project.records import CaseStatus


class Form(Enum):
    """What a mask is exported as."""

    MASK = "mask"
    OBJECTS = "objects"
    DICOM_SEG = "dicom-seg"
    NNUNET = "nnunet"


@dataclass(frozen=True)
class ExportOptions:
    """How masks are exported.

    Parameters
    ----------
    accepted_only : bool
        Leave out objects that are not accepted.
    identify : bool
        Tell name, path and patient in the sidecars, and name files by their cases.
    """

    accepted_only: bool = False
    identify: bool = False


@dataclass(frozen=True)
class ImportQuestion:
    """A label file that can be imported, and what has to be known for that.

    Parameters
    ----------
    path : Path
        The file.
    case_id : int
        The case that it is for.
    case_name : str
        The case's name.
    values : tuple of LabelValue
        Its values.
    classes : mapping
        The project's classes: name by id.
    """

    path: Path
    case_id: int
    case_name: str
    values: tuple[LabelValue, ...]
    classes: Mapping[int, str]

    def suggested(self, value: LabelValue) -> int | None:
        """The class of the same name, or of the same number where the file names none."""
        for class_id, name in self.classes.items():
            if value.name and name.lower() == value.name.lower():
                return class_id
        return value.value if not value.name and value.value in self.classes else None


class Transfers:
    """Exports and imports of the room's project.

    Parameters
    ----------
    room : ProjectRoom
        Which project is at work.
    catalogue : Catalogue
        Told what has changed.
    tasks : Tasks
        Runs them.
    """

    def __init__(self, room: ProjectRoom, catalogue: Catalogue, tasks: Tasks) -> None:
        self._room = room
        self._catalogue = catalogue
        self._tasks = tasks

    def why_not(self, form: Form, rows: Sequence[CaseRow]) -> str:
        """Why the chosen cases cannot be exported in this form; "" where they can.

        Cheap enough for a menu that opens.
        """
        if self._room.project is None:
            return "No project is open."
        if form is Form.NNUNET:
            accepted = any(r.status is CaseStatus.ACCEPTED for r in self._catalogue.rows())
            return "" if accepted else "No case is accepted yet."
        if not rows:
            return "Select a case in the list."
        if not any(row.objects for row in rows):
            return "The selected cases have no objects yet."
        return self._why_no_dicom(rows) if form is Form.DICOM_SEG else ""

    def export(
        self,
        form: Form,
        rows: Sequence[CaseRow],
        target: Path,
        options: ExportOptions = ExportOptions(),
    ) -> None:
        """Write masks.

        Parameters
        ----------
        form : Form
            What they are written as.
        rows : sequence of CaseRow
            The cases; not looked at for an nnU-Net dataset, which holds the accepted ones.
        target : Path
            A file where one case is written as one file, else a folder.
        options : ExportOptions
            How.
        """
        project = self._room.project
        if project is None:
            return
        cases = [row for row in rows if row.objects]

        def run(control: JobControl, _: Post) -> str:
            if form is Form.NNUNET:
                return _write_dataset(project, target, options, control)
            return _write_each(project, form, cases, target, options, control)

        def done(text: str) -> None:
            self._tasks.tell(Severity.INFO, text)

        def cancelled() -> None:
            self._tasks.tell(
                Severity.INFO, f"The export was stopped; files already in {target} are whole."
            )

        self._tasks.start("Exporting", run, done, on_cancelled=cancelled)

    def ask_about(
        self, path: Path, case_id: int, answered: Callable[[ImportQuestion], None]
    ) -> None:
        """Read a label file's values; an error says why it does not fit the case."""
        project = self._room.project
        if project is None:
            return

        def run(control: JobControl, _: Post) -> ImportQuestion:
            from napari_sss.engine.project.importing import label_values

            control.report("reading", 0)
            case = project.cases.get(case_id)
            values = label_values(path, case.grid)
            classes = {record.id: record.name for record in project.classes}
            return ImportQuestion(path, case_id, case.name, values, classes)

        self._tasks.start("Reading the mask", run, answered)

    def enter(
        self,
        question: ImportQuestion,
        classes: Mapping[int, int | str],
        each: Each = "value",
    ) -> None:
        """Make objects of a label file; one act, which can be undone.

        Parameters
        ----------
        question : ImportQuestion
            The file and the case.
        classes : mapping
            By value in the file: a class's id, or the name of a class to be made.
        each : {"value", "part"}
            Whether each value becomes one object, or each of its connected parts.
        """
        project = self._room.project
        if project is None:
            return

        def run(control: JobControl, _: Post) -> int:
            control.report("importing", 0)
            return _import(project, question, classes, each)

        def done(count: int) -> None:
            self._catalogue.refresh([question.case_id])
            noun = "object" if count == 1 else "objects"
            self._tasks.tell(
                Severity.INFO,
                f"{question.path.name}: {count} {noun} imported into {question.case_name}.",
            )

        self._tasks.start("Importing", run, done)

    def _why_no_dicom(self, rows: Sequence[CaseRow]) -> str:
        from napari_sss.engine.project.dicom_seg import why_no_dicom_seg

        cases = (self._catalogue.case(row.id) for row in rows if row.objects)
        reasons = (why_no_dicom_seg(case) for case in cases if case is not None)
        return next(filter(None, reasons), "")


def _write_dataset(
    project: Project, folder: Path, options: ExportOptions, control: JobControl
) -> str:
    from napari_sss.engine.project.nnunet import export_nnunet

    identify = options.identify
    made = export_nnunet(
        project, folder, own_names=identify, identify=identify, control=control
    )
    text = f"{len(made.names)} accepted cases were written to {made.folder}."
    left_out = "\n".join(f"{name}: {reason}" for name, reason in made.skipped)
    return f"{text} Left out {len(made.skipped)}:\n{left_out}" if left_out else text


def _write_each(
    project: Project,
    form: Form,
    rows: Sequence[CaseRow],
    target: Path,
    options: ExportOptions,
    control: JobControl,
) -> str:
    from napari_sss.engine.project.exporting import made_folder
    from napari_sss.engine.project.paths import safe_name

    if len(rows) == 1:
        control.report("export", 0, 1)
        files = _write(project, form, rows[0].id, target, options)
        return f"{rows[0].name} was exported to {_where(files, target)}."
    folder, count = made_folder(target), 0
    for number, row in enumerate(rows):
        control.report("export", number, len(rows))
        name = safe_name(row.name) if options.identify else f"case_{row.id:04d}"
        place = folder / (name + _SUFFIXES[form])
        count += len(_write(project, form, row.id, place, options))
    return f"{len(rows)} cases were exported to {folder} ({count} files, with sidecars)."


_SUFFIXES = {Form.MASK: ".nii.gz", Form.OBJECTS: "", Form.DICOM_SEG: ".dcm"}


def _write(
    project: Project, form: Form, case_id: int, target: Path, options: ExportOptions
) -> list[Path]:
    from napari_sss.engine.project.dicom_seg import export_dicom_seg
    from napari_sss.engine.project.exporting import export_mask, export_objects

    given: dict[str, Any] = {
        "accepted_only": options.accepted_only,
        "identify": options.identify,
    }
    if form is Form.OBJECTS:
        return export_objects(project, case_id, target, **given)
    if form is Form.DICOM_SEG:
        return [export_dicom_seg(project, case_id, target, **given)]
    return [export_mask(project, case_id, target, **given)]


def _where(files: Sequence[Path], target: Path) -> str:
    return str(files[0]) if len(files) == 1 else f"{target} ({len(files)} files)"


def _import(
    project: Project, question: ImportQuestion, classes: Mapping[int, int | str], each: Each
) -> int:
    from napari_sss.engine.project.importing import import_labels

    table: dict[int, int] = {}
    made: dict[str, int] = {record.name: record.id for record in project.classes}
    for value, wanted in classes.items():
        if isinstance(wanted, str) and wanted not in made:
            made[wanted] = project.add_class(wanted)
        table[value] = made[wanted] if isinstance(wanted, str) else wanted
    was_open = project.state_at_work(question.case_id) is not None
    session = project.open_case(question.case_id)
    before = len(session.state.objects)
    try:
        import_labels(
            session, project.cases.get(question.case_id).grid, question.path, table, each=each
        )
        session.flush()
    finally:
        if not was_open:
            session.close()
    return len(session.state.objects) - before
