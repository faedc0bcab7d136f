"""The guide to projects says what the program does."""

from __future__ import annotations

import re
import shlex

import pytest

from napari_sss.engine.cli.program import _parser
from napari_sss.engine.project.records import CaseStatus


@pytest.fixture(scope="module")
def guide(repository):
    return (repository / "docs" / "projects.md").read_text(encoding="utf-8")


def table(guide, heading):
    """The first cells of the table under a heading row."""
    rows = guide[guide.index(heading) :].split("\n\n")[0].splitlines()[2:]
    return [row.split("|")[1].strip().strip("`") for row in rows]


def test_its_commands_can_be_given(guide):
    blocks = re.findall(r"```\n(.*?)```", guide, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    commands = [line for line in lines if line.startswith("napari-sss ")]
    inline = re.findall(r"`(napari-sss project [^|`]+)`", guide)
    assert commands
    assert inline
    for command in (*commands, *inline):
        _parser().parse_args(shlex.split(command.replace(" N", " 1"))[1:])


def test_it_names_every_status(guide):
    assert table(guide, "| status | meaning") == [status.value for status in CaseStatus]


@pytest.mark.gui
def test_it_names_every_export(guide, qtbot):
    from napari_sss._widgets.cases.export_menu import ExportMenu

    menu = ExportMenu(list, lambda form, rows: "", lambda: "")
    qtbot.addWidget(menu)
    told = table(guide, "| entry | gives")
    texts = [action.text() for action in menu.actions() if action.text()]
    assert len(told) == len(texts) - 1  # the import has a chapter of its own
    for entry, text in zip(told, texts, strict=False):
        assert text.startswith(entry.removesuffix(" …"))
    assert "Import a mask …" in guide
