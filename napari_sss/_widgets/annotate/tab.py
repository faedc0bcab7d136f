"""The tab "Annotate": the scan, where prompts come from, the objects."""

from __future__ import annotations

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_sss._widgets.annotate.class_bar import ClassBar
from napari_sss._widgets.annotate.question_bar import QuestionBar
from napari_sss._widgets.choices import default_source, source_choices
from napari_sss._widgets.objects_section import ObjectsSection
from napari_sss._widgets.run_section import RunSection
from napari_sss._widgets.scan_section import ScanSection
from napari_sss._widgets.tools.bar import ToolsBar


class AnnotateTab(QWidget):
    """Holds the sections; knows nothing of what they mean."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.scan = ScanSection()
        self.run = RunSection()
        self.run.sources.set_choices(source_choices("CT"), default_source("CT"))
        self.tools = ToolsBar()
        self.objects = ObjectsSection()
        self.classes = ClassBar()
        self.question = QuestionBar()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.setSpacing(4)
        layout.addWidget(self.scan)
        layout.addWidget(self.run)
        layout.addWidget(self.classes)
        layout.addWidget(self.tools)
        layout.addWidget(self.question)
        layout.addWidget(self.objects, 1)
