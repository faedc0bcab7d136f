"""The pane below the list: everything that is known of the selected model."""

from __future__ import annotations

from html import escape

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QTextBrowser, QWidget

from napari_sss._widgets.models.rows import ModelRow


class DetailsPane(QTextBrowser):
    """Facts of a model, a line each, to be read and copied."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setOpenLinks(False)
        self.setMinimumHeight(50)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.setAccessibleName("Details of the model")
        self._shown = ""

    def show_row(self, row: ModelRow | None, text: str = "") -> None:
        """Show a model's facts; without a model, a text."""
        shown = f"<p>{escape(text)}</p>" if row is None else _page(row)
        if shown == self._shown:
            return  # what was selected or scrolled to stays
        self._shown = shown
        self.setHtml(shown)


def _page(row: ModelRow) -> str:
    lines = "".join(
        f"<tr><td style='padding-right:8px'><i>{escape(name)}</i></td>"
        f"<td>{escape(text)}</td></tr>"
        for name, text in row.facts
    )
    return f"<b>{escape(row.title)}</b><table>{lines}</table>"
