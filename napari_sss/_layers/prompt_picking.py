"""Selecting prompts with the mouse, on whichever of the three layers they lie.

napari's mouse works on the active layer only; so the layer of the prompt under the mouse
becomes the active one as the mouse comes over it.
"""

from __future__ import annotations

from typing import Any

from napari_sss._layers.prompt_stack import PromptStack

SELECT = "select"


def follow_prompts(viewer: Any, stack: PromptStack) -> None:
    """Make the layer of the prompt under the mouse the active one, while one selects."""

    def on_move(layer: Any, event: Any) -> None:
        if str(layer.mode) != SELECT or layer.selected_data or len(event.dims_displayed) != 2:
            return
        # The smallest first: a point inside a box is meant when the mouse is on it.
        for other in reversed(stack.layers):
            if _is_over(other, event):
                if other is not layer and other in viewer.layers:
                    other.mode = SELECT
                    viewer.layers.selection.active = other
                return

    for layer in stack.layers:
        layer.mouse_move_callbacks.append(on_move)


def _is_over(layer: Any, event: Any) -> bool:
    """Whether a prompt of a layer lies under the mouse."""
    if not layer.visible:
        return False
    value = layer.get_value(
        event.position,
        view_direction=event.view_direction,
        dims_displayed=event.dims_displayed,
        world=True,
    )
    return (value[0] if isinstance(value, tuple) else value) is not None
