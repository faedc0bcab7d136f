"""Interactive annotation of CT and MR volumes in napari with SAM-2 and SSS.

Importing this package imports neither torch nor Qt: opening napari must not wait for them.
"""

from napari_sss._version import __version__

__all__ = ["__version__"]
