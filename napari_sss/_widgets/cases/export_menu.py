"""The menu of everything that leaves and enters a project as files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QFileDialog, QMenu, QWidget

from napari_sss._widgets.cases.rows import CaseRow
from napari_sss._widgets.cases.transfer import ExportOptions, Form

MASK_FILTER = "NIfTI (*.nii.gz *.nii);;NRRD (*.nrrd);;MetaImage (*.mha)"
DICOM_FILTER = "DICOM Segmentation (*.dcm)"
IMPORT_FILTER = "Masks (*.nii *.nii.gz *.nrrd *.nhdr *.mha *.mhd);;All files (*)"

_ENTRIES = (
    (Form.MASK, "Mask: NIfTI, NRRD …", "One file for each case; its voxels hold class ids."),
    (
        Form.OBJECTS,
        "One file per object …",
        "A folder for each case with a NIfTI file for each of its objects.",
    ),
    (
        Form.DICOM_SEG,
        "DICOM Segmentation …",
        "One DICOM file for each case, with a segment for each object.",
    ),
    (
        Form.NNUNET,
        "nnU-Net dataset of accepted cases …",
        "Scans and masks of all accepted cases in nnU-Net's layout, with dataset.json.",
    ),
)


class ExportMenu(QMenu):
    """Exports of the selected cases, and the import of a mask.

    Parameters
    ----------
    chosen : callable
        Gives the selected lines when the menu opens.
    why_not : callable
        ``why_not(form, rows)`` gives the reason why something cannot be exported, or "".
    why_no_import : callable
        The same for an import into the one selected case.
    """

    export_asked = Signal(object, object, object, object)
    """Form, lines, target, options."""
    import_asked = Signal(object, object)
    """The label file, the line."""

    def __init__(
        self,
        chosen: Callable[[], Sequence[CaseRow]],
        why_not: Callable[[Form, Sequence[CaseRow]], str],
        why_no_import: Callable[[], str],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__("Export", parent)
        self._chosen = chosen
        self._why_not = why_not
        self._why_no_import = why_no_import
        self.setToolTipsVisible(True)
        self.actions_by_form: dict[Form, QAction] = {}
        for form, text, tooltip in _ENTRIES:
            action = self._entry(text, tooltip)
            action.triggered.connect(lambda _=False, form=form: self._ask(form))
            self.actions_by_form[form] = action
        self.addSeparator()
        self.accepted_only = self._switch(
            "Accepted objects only", "Leave out objects that nobody has accepted yet."
        )
        self.identify = self._switch(
            "With names and paths",
            "Name files by their cases, and tell name, path and patient in the sidecar. "
            "Without, an export does not say whose scan it is (a DICOM file always does).",
        )
        self.addSeparator()
        self.bring_in = self._entry(
            "Import a mask …",
            "Make objects of an existing mask that lies on the selected case's scan.",
        )
        self.bring_in.triggered.connect(lambda _=False: self._ask_for_mask())
        self.aboutToShow.connect(self.refresh)

    @property
    def options(self) -> ExportOptions:
        """What the switches say."""
        return ExportOptions(self.accepted_only.isChecked(), self.identify.isChecked())

    def refresh(self) -> None:
        """Grey out what cannot be done, with the reason."""
        rows = self._chosen()
        for form, text, tooltip in _ENTRIES:
            _enable(self.actions_by_form[form], self._why_not(form, rows), text, tooltip)
        why_not = self._why_no_import()
        _enable(self.bring_in, why_not, "Import a mask …", self.bring_in.whatsThis())

    def _entry(self, text: str, tooltip: str) -> QAction:
        action = self.addAction(text)
        assert action is not None
        action.setToolTip(tooltip)
        action.setWhatsThis(tooltip)
        return action

    def _switch(self, text: str, tooltip: str) -> QAction:
        action = self._entry(text, tooltip)
        action.setCheckable(True)
        return action

    def _ask(self, form: Form) -> None:
        """Ask where to write, then say what is wanted."""
        rows = [row for row in self._chosen() if row.objects]
        parent, options = self.parentWidget(), self.options
        if form in (Form.OBJECTS, Form.NNUNET) or len(rows) > 1:
            title = "Folder for the dataset" if form is Form.NNUNET else "Folder for the masks"
            folder = QFileDialog.getExistingDirectory(parent, title)
            if folder:
                self.export_asked.emit(form, rows, Path(folder), options)
            return
        name = rows[0].name if options.identify else f"case_{rows[0].id:04d}"
        kind, suffix = (MASK_FILTER, ".nii.gz") if form is Form.MASK else (DICOM_FILTER, ".dcm")
        chosen, wanted = QFileDialog.getSaveFileName(
            parent, "Export mask", str(Path.home() / f"{name}_mask{suffix}"), kind
        )
        if chosen:
            path = with_suffix(Path(chosen), form, wanted)
            self.export_asked.emit(form, rows, path, options)

    def _ask_for_mask(self) -> None:
        rows = self._chosen()
        chosen, _ = QFileDialog.getOpenFileName(
            self.parentWidget(), "Import a mask", "", IMPORT_FILTER
        )
        if chosen and rows:
            self.import_asked.emit(Path(chosen), rows[0])


def with_suffix(path: Path, form: Form, wanted: str) -> Path:
    """The path with the extension of the chosen kind, where it was typed without one."""
    from napari_sss.engine.volumes.writing import WRITE_SUFFIXES

    known = (".dcm",) if form is Form.DICOM_SEG else WRITE_SUFFIXES
    if path.name.lower().endswith(known):
        return path
    suffix = known[0]
    for kind, ending in (("NRRD", ".nrrd"), ("MetaImage", ".mha")):
        if wanted.startswith(kind):
            suffix = ending
    return path.with_name(path.name + suffix)


def _enable(action: QAction, why_not: str, text: str, tooltip: str) -> None:
    action.setEnabled(not why_not)
    action.setToolTip(why_not or tooltip)
    action.setText(f"{text.removesuffix(' …')} ({_short(why_not)})" if why_not else text)


def _short(reason: str) -> str:
    """The reason as it stands in the menu itself: its first clause."""
    return reason.split(":")[0].rstrip(".")
