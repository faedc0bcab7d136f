"""The tab "Fine-tune": prepare a run, watch it, decide on its model."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QCoreApplication, Qt, QTimer, Signal
from qtpy.QtWidgets import QFrame, QScrollArea, QStackedWidget, QVBoxLayout, QWidget

from napari_sss._widgets.finetune.closing import ClosingGuard, OnClose
from napari_sss._widgets.finetune.comparison import Comparison
from napari_sss._widgets.finetune.controller import NO_PROJECT, FinetuneController
from napari_sss._widgets.finetune.gate_view import GateView
from napari_sss._widgets.finetune.run_view import RunView
from napari_sss._widgets.finetune.setup_view import SetupView
from napari_sss._widgets.finetune.shown import Page, TabShown
from napari_sss._widgets.parts import note, say
from napari_sss._widgets.project_room import ProjectRoom
from napari_sss._widgets.pump import MailPump
from napari_sss._widgets.status import Notice, Severity
from napari_sss._widgets.worker import Mailbox, Worker
from napari_sss.engine.errors import SSSError
from napari_sss.engine.modelstore.card import StoredModel

POLL_MS = 700
"""Between two looks at a run: a step takes about as long."""

REFRESH_MS = 1500
"""After the last accepting, before what was accepted is counted again."""

_ON_CLOSE = "finetune_on_close"


class FinetuneTab(QWidget):
    """Fine-tunes the model in use with what was accepted.

    Parameters
    ----------
    room : ProjectRoom
        Which project is open.
    worker : Worker
        Reads and writes the project's files.
    viewer : napari.Viewer, optional
        Where cases of the gate are shown.
    """

    adopted = Signal(object)
    """Emitted with the :class:`StoredModel` that is used from now on."""

    def __init__(
        self,
        room: ProjectRoom,
        worker: Worker,
        viewer: Any = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        from napari_sss.engine.training.strategies.names import strategy_names

        self._room = room
        mailbox = Mailbox()
        self._watcher = Worker(mailbox)
        self._pump = MailPump(mailbox, self._watcher, lambda: False, self)
        self.controller = FinetuneController(room, worker, self._watcher)
        self.setup, self.run, self.gate = SetupView(strategy_names()), RunView(), GateView()
        self._comparison = (
            None if viewer is None else Comparison(viewer, room, worker, self._not_shown)
        )
        self.guard = ClosingGuard(
            lambda: self.controller.active_run is not None,
            self._on_close_setting,
            self._remember_on_close,
            self.controller.pause,
            parent=self,
        )
        self._empty = note()
        say(self._empty, NO_PROJECT)
        self._empty.setAlignment(Qt.AlignmentFlag.AlignTop)
        plan = self.setup.plan
        self._method = (plan.strategy, plan.mode, dict(plan.more))
        self._arrange()
        self._connect()
        self._show(self.controller.shown)

    def shut_down(self) -> None:
        """Look at nothing any more; a run goes on."""
        self._poll.stop()
        self._refresh.stop()
        self.guard.guard(None)
        self._pump.stop()
        self._watcher.close(2.0)

    def showEvent(self, event: Any) -> None:  # noqa: N802
        """Count what was accepted while the tab was hidden; reach for the window."""
        super().showEvent(event)
        self.guard.guard(self.window())
        self.controller.refresh()

    def _arrange(self) -> None:
        self._pages = QStackedWidget()
        self._places: dict[Page, QWidget] = {Page.EMPTY: self._empty}
        for page, view in (
            (Page.SETUP, self.setup),
            (Page.RUN, self.run),
            (Page.GATE, self.gate),
        ):
            self._places[page] = _scrolled(view)
        for widget in self._places.values():
            self._pages.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self._pages)

    def _connect(self) -> None:
        controller = self.controller
        controller.changed.connect(self._show)
        controller.adopted.connect(self._on_adopted)
        controller.case_asked.connect(self._show_case)
        self.setup.start_asked.connect(lambda: controller.start(self.setup.plan))
        self.setup.measure_asked.connect(lambda: controller.measure(self.setup.plan))
        self.setup.plan_changed.connect(self._on_plan)
        self.run.pause_asked.connect(controller.pause)
        self.run.resume_asked.connect(lambda: controller.resume())
        self.run.judge_asked.connect(lambda: controller.resume(judge_only=True))
        self.run.finish_asked.connect(controller.finish)
        self.run.discard_asked.connect(controller.discard)
        self.run.end_asked.connect(controller.end_stuck)
        self.gate.adopt_asked.connect(controller.adopt)
        self.gate.keep_asked.connect(controller.keep_old)
        self.gate.case_asked.connect(controller.show_case)
        self.gate.new_asked.connect(controller.new_run)
        self._poll = QTimer(self)
        self._poll.setInterval(POLL_MS)
        self._poll.timeout.connect(self._look)
        self._refresh = QTimer(self)
        self._refresh.setSingleShot(True)
        self._refresh.setInterval(REFRESH_MS)
        self._refresh.timeout.connect(self._refresh_if_visible)
        self._room.session_changed.connect(lambda _: self._refresh.start())
        self._room.case_changed.connect(lambda: self._refresh.start())
        application = QCoreApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self.shut_down)
        watcher = self._watcher
        self.destroyed.connect(lambda: watcher.close(0.0))

    def _look(self) -> None:
        self.controller.poll()
        self._pump.wake()

    def _refresh_if_visible(self) -> None:
        if self.isVisible():
            self.controller.refresh()

    def _on_plan(self) -> None:
        """What was measured holds for any time, but for no other method."""
        plan = self.setup.plan
        method = (plan.strategy, plan.mode, dict(plan.more))
        if method != self._method:
            self._method = method
            self.controller.plan_changed()
        self.setup.show_setup(self.controller.shown.setup)

    def _show(self, shown: TabShown) -> None:
        self._pages.setCurrentWidget(self._places[shown.page])
        if shown.page is Page.SETUP:
            self.setup.show_setup(shown.setup)
        elif shown.run is not None:
            if shown.page is Page.RUN:
                self.run.show_run(shown.run)
            else:
                self.gate.show_gate(shown.run)
        if self.controller.watching and not self._poll.isActive():
            self._poll.start()
        elif not self.controller.watching:
            self._poll.stop()
        self._pump.wake()

    def _on_adopted(self, model: StoredModel) -> None:
        self.adopted.emit(model)

    def _show_case(self, case: Any) -> None:
        if self._comparison is not None:
            self._comparison.show(case)

    def _not_shown(self, error: Exception) -> None:
        self._room.noticed.emit(Notice(Severity.ERROR, str(error)))

    def _on_close_setting(self) -> OnClose:
        project = self._room.project
        if project is None:
            return OnClose.GO_ON
        try:
            return OnClose(project.settings.viewer.get(_ON_CLOSE, OnClose.ASK.value))
        except (SSSError, ValueError):
            return OnClose.ASK

    def _remember_on_close(self, answer: OnClose) -> None:
        project = self._room.project
        if project is None or project.read_only:
            return
        settings = project.settings
        viewer = {**settings.viewer, _ON_CLOSE: answer.value}
        try:
            project.save_settings(settings.model_copy(update={"viewer": viewer}))
        except SSSError as error:
            self._not_shown(error)


def _scrolled(view: QWidget) -> QScrollArea:
    """A page that scrolls where the screen is small."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(view)
    return area
