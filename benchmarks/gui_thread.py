"""How long the panel holds the window's thread during Auto-prompt on a large volume.

Every call of ours on that thread that was not made by another one of ours is a callback:
each is timed from beginning to end. What napari does inside them (building its layers'
controls and visuals, drawing) is timed as well and subtracted; both figures are reported.

    python benchmarks/gui_thread.py
    xvfb-run -s "-screen 0 1920x1080x24" python benchmarks/gui_thread.py   # without a screen
"""

from __future__ import annotations

import argparse
import functools
import importlib
import inspect
import pkgutil
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _measure import write_report

LIMIT_MS = 50.0


@dataclass(frozen=True)
class Span:
    """How long a callback lasted, in seconds of the clock and of the processor.

    Parameters
    ----------
    wall, cpu : float
        In all.
    napari_wall, napari_cpu : float
        Of which in napari.
    """

    wall: float
    cpu: float
    napari_wall: float
    napari_cpu: float


class CallbackTimes:
    """Times the outermost calls of the package's functions on the main thread."""

    def __init__(self) -> None:
        self.spans: dict[str, list[Span]] = defaultdict(list)
        self._main = threading.main_thread().ident
        self._inside = False
        self._inside_napari = False
        self._napari = (0.0, 0.0)

    def ours(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap one of the package's functions."""

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != self._main or self._inside:
                return function(*args, **kwargs)
            self._inside, self._napari = True, (0.0, 0.0)
            wall, cpu = time.perf_counter(), time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                self._inside = False
                wall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
                self.spans[name].append(Span(wall, cpu, *self._napari))

        return timed

    def foreign(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function of napari's whose time is not the package's."""

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != self._main or self._inside_napari:
                return function(*args, **kwargs)
            self._inside_napari = True
            wall, cpu = time.perf_counter(), time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                self._inside_napari = False
                wall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
                self._napari = (self._napari[0] + wall, self._napari[1] + cpu)

        return timed

    def summary(self, count: int = 8) -> dict[str, Any]:
        """The longest callbacks, with and without napari's part."""
        longest = sorted(map(_longest, self.spans.items()), key=lambda c: -c["longest_ms"])
        everything = [span for spans in self.spans.values() for span in spans]
        return {
            "callbacks": len(everything),
            "longest_ms": _ms(max(s.wall - s.napari_wall for s in everything)),
            "longest_cpu_ms": _ms(max(s.cpu - s.napari_cpu for s in everything)),
            "longest_with_napari_ms": _ms(max(s.wall for s in everything)),
            "limit_ms": LIMIT_MS,
            "longest": longest[:count],
        }


def _longest(named: tuple[str, list[Span]]) -> dict[str, Any]:
    name, spans = named
    return {
        "callback": name,
        "calls": len(spans),
        "longest_ms": _ms(max(s.wall - s.napari_wall for s in spans)),
        "longest_cpu_ms": _ms(max(s.cpu - s.napari_cpu for s in spans)),
        "longest_with_napari_ms": _ms(max(s.wall for s in spans)),
    }


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 2)


def watch_package(times: CallbackTimes) -> None:
    """Wrap every function of the viewer's half of the package."""
    import napari_sss._layers
    import napari_sss._widgets

    for package in (napari_sss._widgets, napari_sss._layers):
        for found in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
            module = importlib.import_module(found.name)
            for name, member in list(vars(module).items()):
                if getattr(member, "__module__", None) != module.__name__:
                    continue
                if inspect.isfunction(member):
                    setattr(module, name, times.ours(f"{module.__name__}.{name}", member))
                elif inspect.isclass(member):
                    _watch_class(times, member)


def _watch_class(times: CallbackTimes, watched: type) -> None:
    for name, member in list(vars(watched).items()):
        if inspect.isfunction(member) and name != "__init__":
            label = f"{watched.__module__.rsplit('.', 1)[-1]}.{watched.__name__}.{name}"
            setattr(watched, name, times.ours(label, member))


@contextmanager
def napari_apart(times: CallbackTimes) -> Iterator[None]:
    """Time what napari does on its own when layers are added, changed or drawn."""
    from napari.components import LayerList
    from napari.layers import Labels, Points, Shapes

    targets = [
        (LayerList, "insert"),
        (Labels, "__init__"),
        (Shapes, "__init__"),
        (Points, "__init__"),
        (Labels, "refresh"),
    ]
    former = [getattr(owner, name) for owner, name in targets]
    for (owner, name), function in zip(targets, former, strict=True):
        setattr(owner, name, times.foreign(function))
    try:
        yield
    finally:
        for (owner, name), function in zip(targets, former, strict=True):
            setattr(owner, name, function)


class Heartbeat:
    """The longest time between two beats of the window's event loop."""

    def __init__(self, interval_ms: int = 5) -> None:
        from qtpy.QtCore import QTimer

        self.longest = 0.0
        self._last = time.perf_counter()
        self._timer = QTimer()
        self._timer.timeout.connect(self._beat)
        self._timer.start(interval_ms)

    def reset(self) -> None:
        """Begin anew."""
        self.longest, self._last = 0.0, time.perf_counter()

    def stop(self) -> None:
        """Beat no more."""
        self._timer.stop()

    def _beat(self) -> None:
        now = time.perf_counter()
        self.longest, self._last = max(self.longest, now - self._last), now


def synthetic_ct(shape: tuple[int, int, int], objects: int) -> Any:
    """A CT of ellipsoids of 60 HU in fat, with noise; as many as asked for."""
    from napari_sss.engine.volumes.grid import Grid
    from napari_sss.engine.volumes.volume import Source, Volume

    random = np.random.default_rng(0)
    array = random.integers(-120, -80, shape, dtype=np.int16)
    across = int(np.ceil(np.sqrt(objects)))
    cell = np.array([shape[0], shape[1] / across, shape[2] / across])
    radii = np.array([shape[0] * 0.3, *(0.35 * cell[1:])])
    for number in range(objects):
        row, column = divmod(number, across)
        centre = (np.array([0.5, row + 0.5, column + 0.5])) * cell
        low = np.maximum(0, np.floor(centre - radii)).astype(int)
        high = np.minimum(shape, np.ceil(centre + radii) + 1).astype(int)
        z, y, x = np.ogrid[tuple(map(slice, low, high))]
        axes = zip((z, y, x), centre, radii, strict=True)
        inside = sum(((grid - c) / r) ** 2 for grid, c, r in axes) <= 1
        array[tuple(map(slice, low, high))][inside] += 160
    grid = Grid(shape, (1.0, 0.8, 0.8), direction=(1, 0, 0, 0, 1, 0, 0, 0, -1))
    return Volume(array, grid, "CT", Source(Path("synthetic.nii.gz")))


def pump_until(condition: Callable[[], bool], limit: float) -> bool:
    """Let the window work until something is true, or for so many seconds."""
    from qtpy.QtWidgets import QApplication

    deadline = time.monotonic() + limit
    while not condition() and time.monotonic() < deadline:
        QApplication.processEvents()
        time.sleep(0.001)
    return condition()


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Open a window, press Auto-prompt, and time."""
    import napari
    from napari.layers import Image

    times = CallbackTimes()
    watch_package(times)
    from napari_sss._layers.conversion import layer_data_for
    from napari_sss._widgets.panel import SSSPanel
    from napari_sss._widgets.status import ModelPhase

    volume = synthetic_ct(tuple(arguments.shape), arguments.objects)
    with napari_apart(times):
        viewer = napari.Viewer(show=True)
        panel = SSSPanel(viewer)
        viewer.window.add_dock_widget(panel, name="SSS")
        panel.models.show_key(arguments.model)
        panel.controller.model.choose(arguments.model)
        loaded = pump_until(
            lambda: panel.controller.status.model.phase is ModelPhase.LOADED, 120
        )
        if not loaded:
            raise SystemExit(f"The model {arguments.model} cannot be loaded.")
        data, keywords, _ = layer_data_for(volume)
        viewer.add_layer(Image(data, **keywords))
        pump_until(lambda: False, 2.0)

        heartbeat = Heartbeat()
        times.spans.clear()
        began = time.monotonic()
        panel.auto_prompt()
        finished = pump_until(lambda: not panel.pending, arguments.limit)
        seconds = time.monotonic() - began
        heartbeat.stop()
        rows = panel.controller.objects.rows
        results = {
            **times.summary(),
            "longest_gap_of_the_event_loop_ms": round(1000 * heartbeat.longest, 1),
            "seconds": round(seconds, 1),
            "finished": finished,
            "objects": len(rows),
            "objects_done": sum(row.ml is not None for row in rows),
        }
        panel.shut_down()
        viewer.close()
    return results


def main() -> None:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", type=int, nargs=3, default=(300, 512, 512))
    parser.add_argument("--objects", type=int, default=20)
    parser.add_argument("--model", default="embedded", help="name or path")
    parser.add_argument("--limit", type=float, default=600, help="seconds at most")
    parser.add_argument("--output", type=Path, help="where to write the report")
    arguments = parser.parse_args()
    results = run(arguments)
    settings = {k: v for k, v in vars(arguments).items() if k != "output"}
    path = write_report("gui_thread", settings, results, arguments.output)
    print(f"longest callback {results['longest_ms']} ms (limit {LIMIT_MS} ms); {path}")


if __name__ == "__main__":
    main()
