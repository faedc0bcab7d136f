"""The tab with real mouse and key events, outside of napari's window."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_sss._widgets.cases import CasesTab, export_menu, project_bar, tab
from napari_sss._widgets.cases.delegate import HEIGHT
from napari_sss._widgets.cases.import_form import LEAVE_OUT
from napari_sss._widgets.cases.recent import RecentProjects
from napari_sss._widgets.cases.transfer import Form
from napari_sss._widgets.project_room import ProjectRoom
from napari_sss._widgets.pump import MailPump
from napari_sss._widgets.worker import Mailbox, Worker
from napari_sss.engine.project.project import Project
from napari_sss.engine.project.records import CaseStatus, Flag, Review

pytestmark = pytest.mark.gui


class Bench:
    """A tab on the screen with its room, as the panel would put them together."""

    def __init__(self, home, monkeypatch):
        self.said = []
        monkeypatch.setattr(tab, "_show_notice", lambda notice: self.said.append(notice.text))
        mailbox = Mailbox()
        self.workers = [Worker(mailbox), Worker(mailbox)]
        self.pump = MailPump(mailbox, self, lambda: False)
        self.room = ProjectRoom(self.workers[0], self.pump.post, home)
        self.room.noticed.connect(lambda notice: self.said.append(notice.text))
        self.room.scan_read.connect(self._show)
        self.tab = CasesTab(self.room, self.workers[1], RecentProjects(home / "recent.json"))
        self.tab.resize(324, 560)
        self.tab.show()
        self.shown = 0

    @property
    def busy(self):
        return any(worker.busy for worker in self.workers)

    @property
    def names(self):
        model = self.tab.list.rows
        return [model.index(k).data() for k in range(model.rowCount())]

    def wait_for(self, condition, seconds=30.0):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not happen"
            self.pump.wake()
            QTest.qWait(10)

    def open(self, folder, count=4):
        self.tab.project.open_asked.emit(folder)
        self.wait_for(lambda: self.tab.list.rows.rowCount() == count)

    def point(self, name):
        index = self.tab.list.rows.index(self.names.index(name))
        return self.tab.list.visualRect(index).center()

    def click(self, name, modifier=Qt.KeyboardModifier.NoModifier):
        QTest.mouseClick(
            self.tab.list.viewport(), Qt.MouseButton.LeftButton, modifier, self.point(name)
        )

    def chosen(self):
        return [row.name for row in self.tab.list.chosen()]

    def close(self):
        self.tab.shut_down()
        self.pump.stop()
        self.workers[1].close(10)
        self.room.shut_down()
        self.tab.close()

    def _show(self, volume):
        self.shown += 1
        self.room.choose(self.shown, volume, "scan")


@pytest.fixture
def bench(qtbot, tmp_path, monkeypatch):
    made = Bench(tmp_path / "home", monkeypatch)
    qtbot.addWidget(made.tab)
    yield made
    made.close()


def press(button):
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def test_from_nothing_to_a_project_with_cases(bench, tmp_path, make_scan, monkeypatch):
    assert "No project is open" in bench.tab.empty.hint.text()
    assert not bench.tab.add.isEnabled()
    assert bench.tab.add.toolTip() == "Make a project, or open one, first."
    monkeypatch.setattr(
        project_bar.QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "new"), "")
    )
    press(bench.tab.empty.new_project)
    bench.wait_for(lambda: "no cases yet" in bench.tab.empty.hint.text())
    assert bench.tab.project.text() == "new"
    paths = [str(make_scan(f"{name}.nrrd", seed)) for seed, name in enumerate("xy")]
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: (paths, ""))
    press(bench.tab.empty.add_files)
    bench.wait_for(lambda: bench.names == ["x", "y"] and not bench.tab.tasks.status.running)
    assert bench.tab.count.text() == "2 cases · 0 accepted"
    assert not bench.tab.task_bar.isVisible()


def test_enter_and_double_click_open_a_case(bench, folder):
    bench.open(folder)
    bench.click("b")
    QTest.keyClick(bench.tab.list, Qt.Key.Key_Return)
    bench.wait_for(lambda: bench.room.case_id == 2)
    bench.click("d")
    QTest.mouseDClick(
        bench.tab.list.viewport(), Qt.MouseButton.LeftButton, pos=bench.point("d")
    )
    bench.wait_for(lambda: bench.room.case_id == 4)
    assert [row.name for row in bench.tab.catalogue.rows() if row.is_current] == ["d"]
    assert not bench.tab.remove.isEnabled()
    assert "at work" in bench.tab.remove.toolTip()


def test_filters_and_orders(bench, folder, suggest):
    with Project.open(folder) as project:
        suggest(project.open_case(1), 0.8)
        suggest(project.open_case(3), 0.3)
        project.open_case(3).set_flag(None, Flag.UNCERTAIN_CLASS)
        project.open_case(4).review_case(Review.ACCEPTED)
    bench.open(folder)
    filters = bench.tab.filters
    QTest.keyClicks(filters.text, "A")
    assert bench.names == ["a"]
    assert bench.tab.count.text() == "1 of 4 cases · 1 accepted"
    filters.text.clear()
    press(filters.flagged)
    assert bench.names == ["c"]
    press(filters.flagged)
    filters.status.setCurrentIndex(filters.status.findData(CaseStatus.ACCEPTED.value))
    filters.status.activated.emit(filters.status.currentIndex())
    assert bench.names == ["d"]
    QTest.keyClicks(filters.text, "zzz")
    assert bench.tab.empty.hint.text() == "No case matches."
    press(bench.tab.empty.show_all)
    assert bench.names == list("abcd")
    filters.order.setCurrentIndex(filters.order.findData("DOUBT"))
    filters.order.activated.emit(filters.order.currentIndex())
    assert bench.names == ["c", "a", "b", "d"]


def test_next_and_previous_follow_the_list_that_is_seen(bench, folder, suggest):
    with Project.open(folder) as project:
        for case_id, confidence in ((1, 0.5), (3, 0.2), (4, 0.9)):
            suggest(project.open_case(case_id), confidence)
    bench.open(folder)
    bench.tab.filters.order.show_key("DOUBT")
    bench.tab.filters.text.textChanged.emit("")
    assert bench.names == ["c", "a", "d", "b"]
    bench.tab.actions_.open_case(3)
    for expected in (1, 4, 2):
        bench.wait_for(lambda: bench.room.case_id is not None and not bench.busy)
        bench.room.next_case()
        bench.wait_for(lambda expected=expected: bench.room.case_id == expected)
    bench.room.next_case()
    bench.wait_for(lambda: "This is the last case of the list." in bench.said)
    bench.room.previous_case()
    bench.wait_for(lambda: bench.room.case_id == 4)


def test_selection_stays_when_the_list_is_read_again(bench, folder):
    bench.open(folder)
    bench.click("b")
    bench.click("d", Qt.KeyboardModifier.ControlModifier)
    bench.tab.filters.order.show_key("NAME")
    bench.tab.catalogue.refresh()
    QTest.qWait(100)
    assert bench.chosen() == ["b", "d"]
    assert not bench.tab.open.isEnabled()
    assert bench.tab.open.toolTip() == "Select one case only."


def test_what_is_done_to_the_open_case_appears_in_its_line(bench, folder, suggest, monkeypatch):
    bench.open(folder)
    bench.tab.actions_.open_case(1)
    bench.wait_for(lambda: bench.room.session is not None)
    suggest(bench.room.session, 0.7)
    bench.wait_for(lambda: bench.tab.catalogue.row(1).confidence == 0.7)
    bench.room.session.review_case(Review.ACCEPTED)
    bench.wait_for(lambda: bench.tab.count.text() == "4 cases · 1 accepted")


def test_removing_asks_first_and_waits(bench, folder):
    with Project.open(folder) as project:
        project.open_case(2).add_object(1)
    bench.open(folder)
    bench.click("b")
    QTest.keyClick(bench.tab.list, Qt.Key.Key_Delete)
    question = bench.tab.question
    assert "Remove b from the project? Its annotation is deleted for good." in (
        question.text.text()
    )
    assert QApplication.activeModalWidget() is None
    press(question.buttons[1])
    assert not question.asking
    assert bench.names == list("abcd")
    QTest.keyClick(bench.tab.list, Qt.Key.Key_Delete)
    press(question.buttons[0])
    bench.wait_for(lambda: bench.names == list("acd"))


def test_a_changed_scan_offers_to_accept_the_change(bench, folder, make_scan):
    make_scan("b.nii.gz", seed=99)
    bench.open(folder)
    bench.wait_for(lambda: bench.tab.catalogue.row(2).trouble is not None)
    bench.click("b")
    assert "has changed on the disk" in bench.tab.question.text.text()
    press(bench.tab.question.buttons[0])
    bench.wait_for(lambda: bench.tab.catalogue.row(2).trouble is None)
    assert not bench.tab.question.isVisible()


def test_moved_scans_are_found_from_the_list(bench, folder, tmp_path, monkeypatch):
    (tmp_path / "scans").rename(tmp_path / "elsewhere")
    bench.open(folder)
    bench.wait_for(lambda: bench.tab.catalogue.row(2).trouble is not None)
    bench.click("b")
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    press(bench.tab.question.buttons[0])
    bench.wait_for(lambda: any("Found 4 scans" in text for text in bench.said))
    assert not bench.tab.question.isVisible()


def test_files_dropped_on_the_tab_are_added(bench, folder, make_scan):
    bench.open(folder)
    data = QMimeData()
    paths = [make_scan(f"{n}.mha", 20 + k, folder="more") for k, n in enumerate("xy")]
    data.setUrls([QUrl.fromLocalFile(str(path.parent)) for path in paths[:1]])
    place, nothing = QPoint(50, 50), Qt.KeyboardModifier.NoModifier
    buttons = Qt.MouseButton.LeftButton
    enter = QDragEnterEvent(place, Qt.DropAction.CopyAction, data, buttons, nothing)
    QApplication.sendEvent(bench.tab, enter)
    assert enter.isAccepted()
    drop = QDropEvent(QPointF(place), Qt.DropAction.CopyAction, data, buttons, nothing)
    QApplication.sendEvent(bench.tab, drop)
    bench.wait_for(lambda: bench.names == ["a", "b", "c", "d", "x", "y"])


def test_read_only_is_visible_and_ends_when_the_other_closes(bench, folder):
    other = Project.open(folder)
    bench.open(folder)
    assert bench.tab.project.text() == "study (read-only)"
    known = bench.tab.list.rows.thumbnails._known
    bench.wait_for(lambda: len(known) == 4 and None not in known.values())
    assert bench.tab.try_again.isVisible()
    assert not bench.tab.add.isEnabled()
    assert "reading only" in bench.tab.add.toolTip()
    bench.click("a")
    assert bench.tab.open.isEnabled()
    assert not bench.tab.remove.isEnabled()
    other.close()
    press(bench.tab.try_again)
    bench.wait_for(lambda: bench.tab.add.isEnabled())
    assert not bench.tab.try_again.isVisible()
    assert bench.tab.project.text() == "study"


def test_work_of_the_other_viewer_appears_by_itself(bench, folder, monkeypatch):
    with Project.open(folder) as other:
        bench.tab._look_again.setInterval(50)
        bench.open(folder)
        other.open_case(3).review_case(Review.ACCEPTED)
        other.flush()
        bench.wait_for(lambda: bench.tab.count.text() == "4 cases · 1 accepted")


def test_the_menu_greys_out_what_cannot_be_done(bench, folder, suggest):
    with Project.open(folder) as project:
        suggest(project.open_case(1))
    bench.open(folder)
    menu = bench.tab.menu
    menu.refresh()
    assert not any(action.isEnabled() for action in menu.actions_by_form.values())
    assert "Select a case" in menu.actions_by_form[Form.MASK].text()
    bench.click("a")
    menu.refresh()
    enabled = {form for form, action in menu.actions_by_form.items() if action.isEnabled()}
    assert enabled == {Form.MASK, Form.OBJECTS}
    dicom = menu.actions_by_form[Form.DICOM_SEG]
    assert dicom.text() == "DICOM Segmentation (a is no DICOM series)"
    assert dicom.toolTip() == "a is no DICOM series: export it as NIfTI or NRRD."
    assert menu.bring_in.isEnabled()


def test_a_mask_goes_out_and_comes_in_by_the_menu(
    bench, folder, suggest, tmp_path, monkeypatch
):
    with Project.open(folder) as project:
        suggest(project.open_case(1))
    bench.open(folder)
    bench.click("a")
    dialog = export_menu.QFileDialog
    target = tmp_path / "out"
    asked = []

    def save(parent, title, suggestion, filters):
        asked.append(Path(suggestion).name)
        return str(target), "NRRD (*.nrrd)"

    monkeypatch.setattr(dialog, "getSaveFileName", save)
    bench.tab.menu.refresh()
    bench.tab.menu.actions_by_form[Form.MASK].trigger()
    bench.wait_for(
        lambda: (tmp_path / "out.nrrd").exists() and not bench.tab.tasks.status.running
    )
    assert asked == ["case_0001_mask.nii.gz"]

    bench.click("b")
    monkeypatch.setattr(dialog, "getOpenFileName", lambda *_: (str(tmp_path / "out.nrrd"), ""))
    bench.tab.menu.bring_in.trigger()
    form = bench.tab.import_form
    bench.wait_for(lambda: form.isVisible())
    assert form.boxes[1].currentText() == "organ"
    form.boxes[1].show_key(LEAVE_OUT)
    form.boxes[1].activated.emit(0)
    assert not form.accept.isEnabled()
    form.boxes[1].show_key("1")
    form.boxes[1].activated.emit(0)
    press(form.accept)
    bench.wait_for(lambda: bench.tab.catalogue.row(2).objects == 1)
    assert not form.isVisible()


def test_cancel_stops_the_adding(bench, folder, make_scan, monkeypatch):
    bench.open(folder)
    for seed in range(12):
        make_scan(f"new_{seed}.nii.gz", 30 + seed, folder="more")
    monkeypatch.setattr(
        QFileDialog, "getExistingDirectory", lambda *_: str(folder.parent / "more")
    )
    from napari_sss.engine.project import pool

    real = pool.examine
    monkeypatch.setattr(pool, "examine", lambda *a: [time.sleep(0.05), real(*a)][1])
    bench.tab.add_menu.actions()[1].trigger()
    bench.wait_for(lambda: bench.tab.list.rows.rowCount() > 5)
    assert "of 12" in bench.tab.task_bar.line.text()
    press(bench.tab.task_bar.cancel)
    bench.wait_for(lambda: not bench.tab.task_bar.isVisible())
    assert 5 < bench.tab.list.rows.rowCount() < 16


def test_pictures_come_when_a_line_is_seen_and_hundreds_of_lines_stay_quick(
    bench, folder, tmp_path, qtbot
):
    """600 cases, stored as copies of one line; only pictures on the screen are fetched."""
    import sqlite3

    with sqlite3.connect(folder / "project.db") as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(scan)")]
        kept = ", ".join(name for name in columns if name not in ("id", "name"))
        connection.executemany(
            f"INSERT INTO scan (name, {kept}) SELECT ?, {kept} FROM scan WHERE id = 1",
            [(f"copy {number}",) for number in range(596)],
        )
    bench.open(folder, 600)
    known = bench.tab.list.rows.thumbnails._known
    bench.wait_for(lambda: len(known) > 0)
    QTest.qWait(200)
    visible = bench.tab.list.viewport().height() // HEIGHT + 2
    assert len(known) <= 3 * visible
    picture = known[1]
    assert np.hypot(picture.width(), picture.height()) > 90
    started = time.perf_counter()
    for key in ("NAME", "STATUS", "SIZE", "ADDED"):
        bench.tab.filters.order.show_key(key)
        bench.tab.filters.changed.emit()
    assert (time.perf_counter() - started) / 4 < 0.5  # milliseconds on a calm machine
    bench.tab.list.scrollToBottom()
    bench.wait_for(lambda: 600 in known)


def test_recent_projects_are_in_the_menu(bench, folder, tmp_path):
    bench.open(folder)
    bar = bench.tab.project
    bar.fill()
    entries = {action.text(): action for action in bar.choices.actions()}
    assert entries["study"].toolTip() == str(folder)
    entries["Close project"].trigger()
    bench.wait_for(lambda: bar.text() == "No project")
    bar.fill()
    entries = {action.text(): action for action in bar.choices.actions()}
    assert not entries["Close project"].isEnabled()
    entries["study"].trigger()
    bench.wait_for(lambda: bench.names == list("abcd"))
    bar.fill()
    next(a for a in bar.choices.actions() if a.text().startswith("Forget")).trigger()
    bar.fill()
    assert "study" not in [action.text() for action in bar.choices.actions()]


def test_the_right_button_offers_what_can_be_done(bench, folder):
    bench.open(folder)
    bench.click("a")
    bench.tab.list.menu_asked.emit(bench.tab.mapToGlobal(QPoint(10, 10)))
    menu = QApplication.activePopupWidget()
    shown = [a.text() for a in menu.actions() if a.isVisible()]
    assert shown == ["Open", "Remove …", "Export"]
    menu.actions()[0].trigger()
    menu.close()
    bench.wait_for(lambda: bench.room.case_id == 1)
