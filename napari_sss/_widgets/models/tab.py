"""The Models tab: which models there are, what they are worth, and which one is used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import QCoreApplication, Qt, QTimer
from qtpy.QtWidgets import (
    QFileDialog,
    QInputDialog,
    QMenu,
    QMessageBox,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from napari_sss._widgets.crew import WakingWorker
from napari_sss._widgets.model_choice import ModelChoice
from napari_sss._widgets.models.controller import ModelsController, ModelsStatus, Workers
from napari_sss._widgets.models.details import DetailsPane
from napari_sss._widgets.models.pool_controller import PoolController
from napari_sss._widgets.models.pool_section import PoolSection
from napari_sss._widgets.models.rows import Deed, ModelRow, Section
from napari_sss._widgets.models.tree import ModelTree
from napari_sss._widgets.parts import WARNING_STYLE, note, row, say
from napari_sss._widgets.project_room import ProjectRoom
from napari_sss._widgets.pump import MailPump
from napari_sss._widgets.run_section import progress_text
from napari_sss._widgets.worker import Mailbox, Worker

TICK_MS = 1000
"""Milliseconds between two looks at the work in the background."""

ZIP_FILTER = "Exported models (*.zip)"

TIPS = {
    Deed.ACTIVATE: "Use this model from now on: for clicks, and as 'Trained model' where "
    "prompts come from.",
    Deed.RENAME: "Call this model otherwise.",
    Deed.EXPORT: "Write this model as a file or folder that napari-sss on another machine can "
    "import.",
    Deed.DELETE: "Remove this model from the project for good.",
    Deed.DOWNLOAD: "Fetch this model; it can be stopped and continued.",
    Deed.VERIFY: "Read the model's file and check that it is complete and unchanged.",
}
IMPORT_TIP = "Take in a model that was exported elsewhere, or that a training made."
CHOOSE = "Select a model to see what is known of it."


class TwoWorkers:
    """The tab's own workers as one, for the pump."""

    def __init__(self, quick: Worker, transfers: Worker) -> None:
        self.quick, self.transfers = quick, transfers

    @property
    def busy(self) -> bool:
        """Whether one of them has something to do."""
        return self.quick.busy or self.transfers.busy

    def close(self) -> None:
        """Cancel what runs; a download keeps what has come."""
        self.transfers.close(2.0)
        self.quick.close(5.0)


class ModelsTab(QWidget):
    """The tab.

    Parameters
    ----------
    room : ProjectRoom
        Which project is open.
    worker : Worker
        Copies files; shared with other tabs.
    choice : ModelChoice
        The model that the panel uses.
    """

    def __init__(
        self,
        room: ProjectRoom,
        worker: Worker,
        choice: ModelChoice,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        mailbox = Mailbox()
        self._own = TwoWorkers(
            WakingWorker(mailbox, lambda: self._pump.wake()),
            WakingWorker(mailbox, lambda: self._pump.wake()),
        )
        self._pump = MailPump(mailbox, self._own, lambda: False, self)
        workers = Workers(self._own.quick, worker, self._own.transfers)
        self._build()
        self.controller = ModelsController(room, workers, choice, self._pump.post)
        self.pool = PoolController(room, self._own.quick, self.controller)
        self.prelabel = PoolSection(self.pool)
        layout = self.layout()
        assert layout is not None
        layout.addWidget(self.prelabel)
        self._connect(room)
        self._show(self.controller.status)

    def _build(self) -> None:
        self.tree = ModelTree()
        self.details = DetailsPane()
        self.problem = note(WARNING_STYLE)
        self.empty = note()
        self.activate = QPushButton("Activate")
        self.roll_back = QPushButton("Roll back")
        self.rename, self.export = QPushButton("Rename"), QPushButton("Export")
        self.take_in, self.delete = QPushButton("Import"), QPushButton("Delete")
        self.download, self.verify = QPushButton("Download"), QPushButton("Verify")
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setMaximumHeight(10)
        self.cancel = QPushButton("Cancel")
        self.cancel.setToolTip("Stop it; a download continues there when it is started again.")
        self.doing = note()
        menu = QMenu(self.take_in)
        menu.addAction("From a ZIP file …", self._ask_for_zip)
        menu.addAction("From a folder …", self._ask_for_folder)
        self.take_in.setMenu(menu)
        forms = QMenu(self.export)
        forms.addAction("As a ZIP file …", self._ask_where_to_export)
        forms.addAction("As a folder …", self._ask_for_export_folder)
        self.export.setMenu(forms)
        split = QSplitter(Qt.Orientation.Vertical)
        split.setChildrenCollapsible(False)
        split.addWidget(self.tree)
        split.addWidget(self.details)
        split.setStretchFactor(0, 3)
        split.setStretchFactor(1, 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 6, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.problem)
        layout.addWidget(self.empty)
        layout.addWidget(split, 1)
        layout.addWidget(row(self.activate, self.roll_back, stretch=None))
        layout.addWidget(self._deeds())
        self.transfer = row(self.progress, self.cancel)
        layout.addWidget(self.doing)
        layout.addWidget(self.transfer)

    def _deeds(self) -> QWidget:
        """What can be done with a model: other things with SAM-2's than with the project's."""
        self.deeds = QStackedWidget()
        self.deeds.addWidget(row(self.rename, self.export, self.delete, stretch=None))
        self.deeds.addWidget(row(self.download, self.verify, stretch=None))
        self.deeds.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        return row(self.deeds, self.take_in)

    def _connect(self, room: ProjectRoom) -> None:
        controller = self.controller
        controller.changed.connect(self._show)
        controller.imported.connect(self.tree.select_key)
        controller.noticed.connect(room.noticed.emit)
        self.tree.chosen.connect(lambda _: self._show_selected())
        self.tree.activated_key.connect(self._activate)
        self.activate.clicked.connect(lambda: self._activate(self.tree.key))
        self.roll_back.clicked.connect(lambda: controller.roll_back())
        self.rename.clicked.connect(lambda: self._ask_for_name())
        self.delete.clicked.connect(lambda: self._ask_to_delete())
        self.download.clicked.connect(lambda: controller.download(self.tree.key))
        self.verify.clicked.connect(lambda: controller.verify(self.tree.key))
        self.cancel.clicked.connect(lambda: controller.cancel())
        self.pool.noticed.connect(room.noticed.emit)
        self._clock = QTimer(self)
        self._clock.setInterval(TICK_MS)
        self._clock.timeout.connect(self.pool.tick)
        self._clock.start()
        own = self._own
        self.destroyed.connect(lambda: controller.shut_down())
        self.destroyed.connect(lambda: own.close())
        application = QCoreApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self.shut_down)

    def shut_down(self) -> None:
        """Stop what runs; nothing is delivered any more."""
        self.controller.shut_down()
        self.pool.shut_down()
        self._clock.stop()
        self._pump.stop()
        self._own.close()

    @property
    def pending(self) -> bool:
        """Whether something runs, or its result was not shown yet."""
        return self._own.busy or self._pump.active

    def showEvent(self, event: Any) -> None:  # noqa: N802
        """Look again: a training or another program may have changed the folder."""
        super().showEvent(event)
        self.controller.refresh()

    # -- what is shown ------------------------------------------------------------------

    def _show(self, status: ModelsStatus) -> None:
        say(self.problem, status.problem)
        say(self.empty, status.empty_text)
        self.tree.show_rows(status.rows)
        _enable(self.take_in, status.why_no_import, IMPORT_TIP)
        back = f"Use {status.roll_back_to} again, which was used before this one."
        to = elided(status.roll_back_to)
        self.roll_back.setText(f"Roll back to {to}" if to else "Roll back")
        _enable(self.roll_back, status.why_no_roll_back, back)
        say(self.doing, _doing(status))
        self.transfer.setVisible(bool(status.busy))
        total = 0 if status.progress is None else status.progress.total
        self.progress.setRange(0, 1000 if total else 0)
        if status.progress is not None and total:
            self.progress.setValue(round(1000 * status.progress.fraction))
        self._show_selected()

    def _show_selected(self) -> None:
        chosen = self._row()
        self.details.show_row(chosen, CHOOSE)
        own = chosen is None or chosen.section is Section.PROJECT
        self.deeds.setCurrentIndex(0 if own else 1)
        for deed, button in (
            (Deed.ACTIVATE, self.activate),
            (Deed.RENAME, self.rename),
            (Deed.EXPORT, self.export),
            (Deed.DELETE, self.delete),
            (Deed.DOWNLOAD, self.download),
            (Deed.VERIFY, self.verify),
        ):
            reason = CHOOSE if chosen is None else chosen.why_not.get(deed, "")
            _enable(button, reason, TIPS[deed])

    def _row(self) -> ModelRow | None:
        return self.controller.row(self.tree.key) if self.tree.key else None

    # -- what is asked ------------------------------------------------------------------

    def _activate(self, key: str) -> None:
        chosen = self.controller.row(key)
        if chosen is not None and Deed.ACTIVATE not in chosen.why_not:
            self.controller.activate(key)

    def _ask_for_name(self) -> None:
        chosen = self._row()
        if chosen is None:
            return
        name, given = QInputDialog.getText(self, "Rename the model", "Name", text=chosen.title)
        if given and name.strip() != chosen.title:
            self.controller.rename(chosen.key, name)

    def _ask_where_to_export(self) -> None:
        chosen, store = self._row(), self.controller.store
        if chosen is None or store is None:
            return
        from napari_sss.engine.project.paths import safe_name

        suggestion = Path.home() / f"{safe_name(chosen.title)}.zip"
        target, _ = QFileDialog.getSaveFileName(
            self, "Export the model", str(suggestion), ZIP_FILTER
        )
        if target:
            path = Path(target)
            self.controller.export(
                chosen.key, path if path.suffix.lower() == ".zip" else Path(f"{target}.zip")
            )

    def _ask_for_export_folder(self) -> None:
        chosen = self._row()
        where = QFileDialog.getExistingDirectory(self, "Where to put the model's folder")
        if chosen is not None and where:
            from napari_sss.engine.project.paths import safe_name

            self.controller.export(chosen.key, Path(where) / safe_name(chosen.title))

    def _ask_for_zip(self) -> None:
        source, _ = QFileDialog.getOpenFileName(self, "Import a model", "", ZIP_FILTER)
        if source:
            self.controller.take_in(Path(source))

    def _ask_for_folder(self) -> None:
        source = QFileDialog.getExistingDirectory(self, "Import a model from its folder")
        if source:
            self.controller.take_in(Path(source))

    def _ask_to_delete(self) -> None:
        chosen = self._row()
        if chosen is None:
            return
        answer = QMessageBox.question(
            self,
            "Delete the model?",
            f"{chosen.title} is removed from this project for good. Export it first if you "
            "may want it again.",
            QMessageBox.StandardButton.Yes | QMessageBox.StandardButton.Cancel,
            QMessageBox.StandardButton.Cancel,
        )
        if answer == QMessageBox.StandardButton.Yes:
            self.controller.delete(chosen.key)


def elided(title: str, most: int = 14) -> str:
    """A title that fits a button."""
    return title if len(title) <= most else f"{title[: most - 1].rstrip()}…"


def _enable(button: QPushButton, why_not: str, tip: str) -> None:
    button.setEnabled(not why_not)
    button.setToolTip(why_not or tip)


def _doing(status: ModelsStatus) -> str:
    if not status.busy:
        return ""
    if status.progress is None or not status.progress.total:
        return f"{status.busy} …"
    counted = progress_text(status.progress).removeprefix(
        status.progress.stage[:1].upper() + status.progress.stage[1:]
    )
    return f"{status.busy}:{counted}"
