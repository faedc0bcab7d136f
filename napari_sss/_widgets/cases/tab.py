"""The Cases tab: puts its parts together and passes on what they say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtpy.QtCore import QCoreApplication, QPoint, QTimer
from qtpy.QtWidgets import (
    QFileDialog,
    QLabel,
    QMenu,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from napari_sss._widgets.cases.actions import CaseActions
from napari_sss._widgets.cases.background import Background
from napari_sss._widgets.cases.case_questions import CaseQuestions
from napari_sss._widgets.cases.catalogue import Catalogue
from napari_sss._widgets.cases.drops import dropped_paths
from napari_sss._widgets.cases.empty_page import ADD_FILES_TIP, ADD_FOLDER_TIP, EmptyPage
from napari_sss._widgets.cases.export_menu import ExportMenu
from napari_sss._widgets.cases.filter_bar import FilterBar
from napari_sss._widgets.cases.import_form import ImportForm
from napari_sss._widgets.cases.list_view import CaseListView
from napari_sss._widgets.cases.project_bar import ProjectBar
from napari_sss._widgets.cases.question import QuestionBar
from napari_sss._widgets.cases.recent import RecentProjects
from napari_sss._widgets.cases.rows import CaseRow, counted, shown
from napari_sss._widgets.cases.task_bar import TaskBar
from napari_sss._widgets.cases.tasks import Tasks, TaskStatus
from napari_sss._widgets.cases.transfer import Transfers
from napari_sss._widgets.parts import row
from napari_sss._widgets.project_room import ProjectRoom
from napari_sss._widgets.status import Notice
from napari_sss._widgets.worker import Worker

SCAN_FILTER = "Scans (*.nii *.nii.gz *.nrrd *.nhdr *.mha *.mhd *.dcm);;All files (*)"

FRAMES = "Add its other frames"
FRAMES_TIP = "Make a case of each frame of this 4-D file that is not in the project yet."
ADD_TIP = "Add scans to the project: files, or all scans of a folder. Or drop them here."
ACT_PAUSE_MS = 700
"""Milliseconds after an act before the line of the case at work is read again."""

LOOK_AGAIN_MS = 5000
"""Milliseconds between two looks at a project that somebody else writes."""


class CasesTab(QWidget):
    """The project's cases: listed, added, opened, exported.

    Parameters
    ----------
    room : ProjectRoom
        Which project and which case are at work.
    worker : Worker
        For long work with files.
    recent : RecentProjects, optional
        The projects that were open lately.
    """

    def __init__(
        self, room: ProjectRoom, worker: Worker, recent: RecentProjects | None = None
    ) -> None:
        super().__init__()
        self.room = room
        self.background = Background(self)
        self.catalogue = Catalogue(room, self.background.quick)
        self.tasks = Tasks(worker)
        self.actions_ = CaseActions(
            room,
            self.catalogue,
            self.tasks,
            self.background.quick,
            self.background.checker,
            recent or RecentProjects(),
        )
        self.transfers = Transfers(room, self.catalogue, self.tasks)
        self._build()
        self._connect()
        self._show_project()

    # -- building -----------------------------------------------------------------------

    def _build(self) -> None:
        self.setAcceptDrops(True)
        self.project = ProjectBar(self.actions_.recent.folders)
        self.try_again = QPushButton("Open for writing")
        self.try_again.setToolTip(
            "Try again to open this project for writing, for instance when the other viewer "
            "was closed."
        )
        self.add = QPushButton("Add")
        self.add.setMinimumWidth(60)
        self.add_menu = self._menu(
            ("Files …", ADD_FILES_TIP, self._ask_for_files),
            ("Folder …", ADD_FOLDER_TIP, self._ask_for_folder),
        )
        self.add.setMenu(self.add_menu)
        self.filters = FilterBar()
        self.list = CaseListView(self.background.quick)
        self.count = QLabel()
        self.open = QPushButton("Open")
        self.remove = QPushButton("Remove …")
        self.export = QPushButton("Export")
        self.menu = ExportMenu(
            self.list.chosen, self.transfers.why_not, self._why_no_import, self
        )
        self.export.setMenu(self.menu)
        self.export.setToolTip("Write masks for other programs, or import one.")
        self.question = QuestionBar()
        self.questions = CaseQuestions(
            self.question,
            self._ask_where_scans_are,
            self.actions_.accept_change,
            self.actions_.remove,
            self._show_chosen,
        )
        self.import_form = ImportForm()
        self.task_bar = TaskBar()
        self.pages = QStackedWidget()
        self.empty = EmptyPage()
        self.pages.addWidget(self.empty)
        self.pages.addWidget(self.list)
        self._below_list: list[QWidget] = []
        layout = self._layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 6, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(row(self.project, self.add))
        layout.addWidget(self.try_again)
        layout.addWidget(self.filters)
        layout.addWidget(self.pages, 1)
        layout.addWidget(self.count)
        layout.addWidget(row(self.open, self.export, self.remove, stretch=None))
        for widget in (self.question, self.import_form, self.task_bar):
            layout.addWidget(widget)

    def _connect(self) -> None:
        self.catalogue.changed.connect(self._show_rows)
        self.catalogue.project_changed.connect(self._show_project)
        self.catalogue.rescanned.connect(self.list.rows.thumbnails.forget)
        for source in (self.catalogue, self.tasks):
            source.noticed.connect(_show_notice)
        self.tasks.changed.connect(self._show_task)
        self.room.case_changed.connect(self._show_rows)
        self._acted = self._timer(ACT_PAUSE_MS, self._read_case_at_work, once=True)
        self._look_again = self._timer(LOOK_AGAIN_MS, self._look_at_others_work)
        self._settled = self._timer(0, lambda: self.list.reveal_current(), once=True)
        self.room.session_changed.connect(lambda _: self._acted.start())
        self.room.remember_order(lambda: self.list.rows.ids)
        self._connect_views()
        application = QCoreApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self.shut_down)

    def _connect_views(self) -> None:
        actions, bar = self.actions_, self.project
        bar.create_asked.connect(actions.create)
        bar.open_asked.connect(actions.open)
        bar.close_asked.connect(actions.close)
        bar.forget_asked.connect(actions.recent.forget)
        self.try_again.clicked.connect(lambda: actions.try_again())
        for button, do in (
            (self.empty.new_project, bar.ask_for_new),
            (self.empty.open_project, bar.ask_which),
            (self.empty.show_all, self.filters.show_all),
            (self.empty.add_files, self._ask_for_files),
            (self.empty.add_folder, self._ask_for_folder),
        ):
            button.clicked.connect(lambda _=False, do=do: do())
        self.filters.changed.connect(self._show_rows)
        self.list.open_asked.connect(actions.open_case)
        self.list.remove_asked.connect(self._ask_to_remove)
        self.list.chosen_changed.connect(self._show_chosen)
        self.list.menu_asked.connect(self._show_menu)
        self.open.clicked.connect(lambda: self._open_chosen())
        self.remove.clicked.connect(lambda: self._ask_to_remove())
        self.menu.export_asked.connect(self.transfers.export)
        self.menu.import_asked.connect(self._import)
        self.import_form.answered.connect(self.transfers.enter)
        self.task_bar.cancel_asked.connect(self.tasks.cancel)

    def _menu(self, *entries: tuple[str, str, Callable[[], None]]) -> QMenu:
        """A menu of texts, tooltips and what they do."""
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        for text, tip, do in entries:
            entry = menu.addAction(text)
            assert entry is not None
            entry.setToolTip(tip)
            entry.triggered.connect(lambda _=False, do=do: do())
        return menu

    def _timer(self, pause: int, do: Callable[[], None], *, once: bool = False) -> QTimer:
        timer = QTimer(self)
        timer.setInterval(pause)
        timer.setSingleShot(once)
        timer.timeout.connect(do)
        return timer

    # -- Qt's events --------------------------------------------------------------------

    def dragEnterEvent(self, event: Any) -> None:  # noqa: N802
        """Take files and folders that are dragged here, where cases can be added."""
        if dropped_paths(event) and not self.actions_.why_not_write:
            event.acceptProposedAction()

    def dropEvent(self, event: Any) -> None:  # noqa: N802
        """Add what was dropped."""
        event.acceptProposedAction()
        self.actions_.add(dropped_paths(event))

    def shut_down(self) -> None:
        """Stop reading, and wait for it to end."""
        for timer in (self._acted, self._look_again, self._settled):
            timer.stop()
        self.tasks.cancel()
        self.background.close()

    def add_below_list(self, widget: QWidget) -> None:
        """Show something between the list and its buttons, while there are cases."""
        self._below_list.append(widget)
        self._layout.insertWidget(self._layout.indexOf(self.count) + 1, widget)
        widget.setVisible(bool(self.catalogue.rows()))

    # -- what is shown ------------------------------------------------------------------

    def _show_project(self) -> None:
        project = self.catalogue.project
        read_only = project is not None and project.read_only
        self.project.show_project(
            self.catalogue.folder, is_default=self.room.is_default, read_only=read_only
        )
        self.try_again.setVisible(read_only)
        self.list.rows.thumbnails.set_project(project)
        self.questions.withdraw()
        self.import_form.withdraw()
        if read_only:
            self._look_again.start()
        else:
            self._look_again.stop()
        _enable(self.add, self.actions_.why_not_write, ADD_TIP)
        self._show_rows()

    def _show_rows(self) -> None:
        rows = self.catalogue.rows()
        visible = shown(rows, self.filters.chosen, self.filters.chosen_order)
        self.list.show_rows(visible)
        self.count.setText(counted(rows, len(visible)) if rows else "")
        self.filters.setEnabled(bool(rows))
        self._show_page(bool(rows), bool(visible))
        self._show_chosen()

    def _show_page(self, any_rows: bool, any_visible: bool) -> None:
        self.empty.show_state(
            project=self.catalogue.project is not None,
            reading=self.catalogue.reading,
            cases=any_rows,
            can_add=not self.actions_.why_not_write,
        )
        for widget in self._below_list:
            widget.setVisible(any_rows)
        self.pages.setCurrentIndex(1 if any_visible else 0)

    def _show_chosen(self) -> None:
        chosen, why_not = self.list.chosen(), self.actions_.why_not_write
        nothing = "" if chosen else "Select a case in the list."
        several = "Select one case only." if len(chosen) > 1 else ""
        current = any(case.is_current for case in chosen)
        at_work = (
            "The case at work cannot be removed: open another one first." if current else ""
        )
        _enable(self.open, nothing or several, "Open this case for work (Enter).")
        _enable(
            self.remove,
            why_not or nothing or at_work,
            "Take the selected cases out of the project (Del). The scans stay on the disk.",
        )
        asking = self.question.isVisible()
        self.questions.about_trouble(chosen)
        if chosen and self.question.isVisible() != asking:
            self._settled.start()  # the list has another height now

    def _show_task(self, status: TaskStatus) -> None:
        self.task_bar.show_status(status)

    def _show_menu(self, place: QPoint) -> None:
        ids = [case.id for case in self.list.chosen()]
        if not ids:
            return
        menu = self._menu(
            (self.open.text(), self.open.toolTip(), self._open_chosen),
            (self.remove.text(), self.remove.toolTip(), self._ask_to_remove),
            (FRAMES, FRAMES_TIP, lambda: self.actions_.add_frames(ids[0])),
        )
        for entry, button in zip(menu.actions(), (self.open, self.remove), strict=False):
            entry.setEnabled(button.isEnabled())
        menu.actions()[-1].setVisible(not self.actions_.why_no_frames(ids))
        menu.addMenu(self.menu)
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(place)

    # -- what is asked ------------------------------------------------------------------

    def _ask_to_remove(self) -> None:
        if self.remove.isEnabled():
            self.questions.about_removing(self.list.chosen())

    def _ask_for_files(self) -> None:
        chosen, _ = QFileDialog.getOpenFileNames(self, "Add scans", "", SCAN_FILTER)
        self.actions_.add([Path(path) for path in chosen])

    def _ask_for_folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Add all scans of a folder")
        if chosen:
            self.actions_.add([Path(chosen)])

    def _ask_where_scans_are(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Look for missing scans in")
        if chosen:
            self.actions_.find_moved(Path(chosen))

    def _open_chosen(self) -> None:
        chosen = self.list.chosen()
        if len(chosen) == 1:
            self.actions_.open_case(chosen[0].id)

    def _import(self, path: Path, case: CaseRow) -> None:
        self.transfers.ask_about(path, case.id, self.import_form.ask)

    def _why_no_import(self) -> str:
        chosen = self.list.chosen()
        if len(chosen) != 1:
            return "Select one case in the list."
        return self.actions_.why_not_write

    # -- what others do -----------------------------------------------------------------

    def _read_case_at_work(self) -> None:
        case_id = self.room.case_id
        if case_id is not None:
            self.catalogue.refresh([case_id])

    def _look_at_others_work(self) -> None:
        """See what the viewer that writes the project has done meanwhile."""
        if self.isVisible():
            self.catalogue.refresh()


def _enable(button: QPushButton, why_not: str, tooltip: str) -> None:
    button.setEnabled(not why_not)
    button.setToolTip(why_not or tooltip)


def _show_notice(notice: Notice) -> None:
    from napari_sss._widgets.panel import show_notice

    show_notice(notice)
