"""The Fine-tune tab: prepare a run, watch it, decide on its model."""

from napari_sss._widgets.finetune.tab import FinetuneTab

__all__ = ["FinetuneTab"]
