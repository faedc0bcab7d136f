"""The engine: everything napari-sss computes, as a library without a viewer.

Arrays and configurations in, results and events out. No module below this one imports Qt,
napari or magicgui; an import contract checks it.
"""
