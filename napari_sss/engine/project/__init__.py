"""Projects: cases, classes and annotations in a folder, journalled so that nothing is lost.

No Qt and no torch. Start with :class:`~napari_sss.engine.project.project.Project`.
"""
