"""The projects that were open lately."""

from __future__ import annotations

from napari_sss._widgets.cases.recent import MOST, RecentProjects


def test_the_newest_comes_first_and_each_only_once(tmp_path):
    path = tmp_path / "settings" / "recent.json"
    for name in ("a", "b", "a"):
        RecentProjects(path).remember(tmp_path / name)
    assert RecentProjects(path).folders() == (tmp_path / "a", tmp_path / "b")
    for number in range(2 * MOST):
        RecentProjects(path).remember(tmp_path / str(number))
    assert len(RecentProjects(path).folders()) == MOST
    RecentProjects(path).forget()
    assert RecentProjects(path).folders() == ()


def test_a_damaged_list_is_an_empty_one(tmp_path):
    path = tmp_path / "recent.json"
    for content in ("{", "[]", '{"folders": 3}'):
        path.write_text(content)
        assert RecentProjects(path).folders() == ()


def test_a_list_that_cannot_be_written_disturbs_nobody(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    recent = RecentProjects(tmp_path / "file" / "recent.json")
    recent.remember(tmp_path)
    assert recent.folders() == ()
    assert "was not saved" in caplog.text
