"""Semi-supervised fine-tuning of SAM-2: data, views, losses, strategies, the loop.

The loop (:mod:`~napari_sss.engine.training.loop`) knows of no method. A method is a
:class:`~napari_sss.engine.training.strategies.base.Strategy`, found by its name among the
entry points ``napari_sss.strategies``, where a user's own package can add to them.
"""
