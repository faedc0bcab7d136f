"""What an Auto-prompt replaces, kept until it has succeeded."""

from __future__ import annotations

from napari_sss._widgets.mask_stream import PromptsFound
from napari_sss._widgets.objects import Objects
from napari_sss._widgets.scene import Scene


class Former:
    """The prompts and rows of the objects that give way to those of an Auto-prompt.

    Their masks are kept by the job itself, in the worker.

    Parameters
    ----------
    scene : Scene
        Shows the prompts.
    objects : Objects
        Lists the objects.
    replaced : tuple of int
        Ids of the objects that give way.
    """

    def __init__(self, scene: Scene, objects: Objects, replaced: tuple[int, ...]) -> None:
        self._scene = scene
        self._objects = objects
        self._replaced = replaced
        self._rows = objects.snapshot()
        self._prompts = tuple(o for o in scene.prompts() if o.id in replaced)
        self._found: tuple[int, ...] | None = None

    def give_way(self, news: PromptsFound) -> None:
        """Show what was found in their place."""
        self._found = tuple(o.id for o in news.objects)
        self._scene.show_prompts(news.objects, remove=self._replaced)
        self._objects.put(news.objects, remove=self._replaced)

    def bring_back(self) -> None:
        """Show them again; what was found disappears."""
        if self._found is not None:
            self._scene.show_prompts(self._prompts, remove=self._found)
            self._objects.restore(self._rows)
