"""The Models tab: SAM-2's models and the project's own."""

from napari_sss._widgets.models.tab import ModelsTab

__all__ = ["ModelsTab"]
