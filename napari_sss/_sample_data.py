"""Sample data of the viewer: the CT phantom, and a real CT that is downloaded on demand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

LayerData = tuple[Any, dict[str, Any], str]


def phantom() -> list[LayerData]:
    """The CT phantom and its truth, hidden at first."""
    from napari_sss._layers.conversion import labels_data_for, layer_data_for
    from napari_sss.engine.volumes.phantom import make_phantom

    made = make_phantom()
    image = layer_data_for(made.volume)
    image[1]["name"] = "CT phantom"
    truth = labels_data_for(made.labels, made.volume, "CT phantom: truth")
    truth[1]["visible"] = False
    return [image, truth]


def real_ct() -> list[LayerData]:
    """A real abdominal CT.

    In a viewer, the first time, it is downloaded in the background and opens when it is
    there; without a viewer the call waits for it.
    """
    from napari_sss.engine.volumes.sample_ct import fetch_sample_ct, sample_ct_path

    viewer = _open_viewer()
    if viewer is None or sample_ct_path().is_file():
        return [_ct_layer(fetch_sample_ct())]
    _open_later(viewer)
    return []


def _ct_layer(path: Path) -> LayerData:
    from napari_sss._layers.conversion import layer_data_for
    from napari_sss.engine.volumes.reading import read_volume

    layer = layer_data_for(read_volume(path))
    layer[1]["name"] = "CT abdomen"
    return layer


def _open_viewer() -> Any:
    """The viewer in use, or None outside of napari."""
    import sys

    napari = sys.modules.get("napari")
    return napari.current_viewer() if napari is not None else None


def _open_later(viewer: Any) -> None:
    """Fetch and read the CT on a worker thread, then add it to the viewer."""
    from napari.layers import Layer
    from napari.qt.threading import create_worker
    from napari.utils.notifications import show_info

    from napari_sss.engine.volumes.sample_ct import CT_LICENCE, fetch_sample_ct

    show_info(f"A CT ({CT_LICENCE}) is being downloaded; it opens when it is there.")
    worker = create_worker(lambda: _ct_layer(fetch_sample_ct()), _start_thread=False)
    worker.returned.connect(lambda data: viewer.add_layer(Layer.create(*data)))
    worker.start()
