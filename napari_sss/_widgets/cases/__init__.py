"""The Cases tab: a project's scans, how far each is, and what leaves and enters it."""

from napari_sss._widgets.cases.tab import CasesTab

__all__ = ["CasesTab"]
