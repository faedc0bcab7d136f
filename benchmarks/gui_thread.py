"""How long the panel holds the window's thread while a person works on a large volume.

Every call of ours on that thread that was not made by another one of ours is a callback:
each is timed from beginning to end, by the clock and by the processor's time of that thread,
which other programs do not lengthen. What napari does inside them (building its layers'
controls and visuals, slicing, drawing) is timed as well and subtracted. The layers have their
real size; the objects span few slices, so that it ends within minutes.

    python benchmarks/gui_thread.py
    xvfb-run -s "-screen 0 1920x1080x24" python benchmarks/gui_thread.py   # without a screen
"""

from __future__ import annotations

import argparse
import functools
import importlib
import inspect
import pkgutil
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from _measure import write_report
from _window import Window, pump_until, synthetic_ct, targets

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
        longest = sorted(map(_longest, self.spans.items()), key=lambda c: -c["longest_cpu_ms"])
        everything = [span for spans in self.spans.values() for span in spans]
        if not everything:
            everything = [Span(0.0, 0.0, 0.0, 0.0)]
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
        for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
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
    from napari.components import Dims, LayerList
    from napari.layers import Image, Labels, Points, Shapes
    from napari.utils.events.containers import Selection

    layers = (Image, Labels, Points, Shapes)
    foreign = [
        (LayerList, "insert"),
        (LayerList, "remove"),
        (LayerList, "move"),
        (Dims, "set_point"),
        *((layer, name) for layer in layers for name in ("__init__", "refresh")),
        (Points, "add"),
        (Shapes, "add"),
    ]
    chosen = Selection.active
    Selection.active = property(chosen.fget, times.foreign(chosen.fset))
    former = [getattr(owner, name) for owner, name in foreign]
    for (owner, name), function in zip(foreign, former, strict=True):
        setattr(owner, name, times.foreign(function))
    try:
        yield
    finally:
        for (owner, name), function in zip(foreign, former, strict=True):
            setattr(owner, name, function)
        Selection.active = chosen


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


@dataclass
class Bench:
    """A window that is worked in, and what was found in each flow.

    Parameters
    ----------
    times : CallbackTimes
        Watches the package.
    limit : float
        Seconds that a flow may take.
    """

    times: CallbackTimes
    limit: float
    results: dict[str, Any] = field(default_factory=dict)

    def flow(self, name: str, act: Callable[[], None], until: Callable[[], bool]) -> None:
        """Do something, let the window work until it is done, and enter the times."""
        heartbeat = Heartbeat()
        self.times.spans.clear()
        began = time.monotonic()
        act()
        pump_until(lambda: False, 0.1)
        finished = pump_until(until, self.limit)
        self.results[name] = {
            **self.times.summary(),
            "longest_gap_of_the_event_loop_ms": round(1000 * heartbeat.longest, 1),
            "seconds": round(time.monotonic() - began, 1),
            "finished": finished,
        }
        heartbeat.stop()


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Open a window, work in it, and time."""
    import napari

    times = CallbackTimes()
    watch_package(times)
    from napari_sss._widgets.panel import SSSPanel
    from napari_sss._widgets.status import ModelPhase

    bench = Bench(times, arguments.limit)
    with napari_apart(times), tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        viewer = napari.Viewer(show=True)
        viewer.window._qt_window.resize(1366, 740)
        panel = SSSPanel(viewer, home=Path(home), model=arguments.model)
        viewer.window.add_dock_widget(panel, name="SSS")
        model = panel.controller.model
        if not pump_until(lambda: model.status.phase is ModelPhase.LOADED, 120):
            raise SystemExit(f"The model {arguments.model} cannot be loaded.")
        work(bench, arguments, viewer, panel)
        rows = panel.controller.objects.rows
        panel.shut_down()
        viewer.close()
    longest = max(bench.results.values(), key=lambda flow: flow["longest_cpu_ms"])
    return {
        **bench.results,
        "objects": len(rows),
        "longest_cpu_ms": longest["longest_cpu_ms"],
        "limit_ms": LIMIT_MS,
    }


def work(bench: Bench, arguments: argparse.Namespace, viewer: Any, panel: Any) -> None:
    """What a person does: open, look through, Auto-prompt, click, box, propagate, wipe out."""
    from napari.layers import Image

    from napari_sss._layers.conversion import layer_data_for
    from napari_sss._layers.tool_use import Tool

    shape, depth = tuple(arguments.shape), arguments.depth
    data, keywords, _ = layer_data_for(synthetic_ct(shape, arguments.objects, depth))
    image = Image(data, **keywords)

    def quiet() -> bool:
        return not panel.pending

    bench.flow("opening", lambda: viewer.add_layer(image), quiet)
    viewer.reset_view()
    bench.flow("looking through", lambda: look_through(viewer, shape[0]), quiet)
    bench.flow("window", lambda: turn_window(image), quiet)
    bench.flow("auto-prompt", panel.auto_prompt, quiet)
    window, tools = Window(viewer, image), panel.tools.controller
    goals = list(targets(shape, arguments.objects, depth, arguments.clicks))

    def click() -> None:
        tools.take(Tool.POINT)
        for target in goals:
            viewer.dims.set_point(0, target.index)
            tools.begin_object()
            window.click(*target.middle)
            pump_until(lambda: False, 0.05)
            pump_until(quiet, 20)

    def draw_box() -> None:
        target = goals[-1]
        tools.take(Tool.BOX)
        (row, column), (down, across) = target.middle, target.radii
        window.drag((row - down, column - across), (row + down, column + across))
        window.release(row + down, column + across)

    bench.flow("clicking", click, quiet)
    bench.flow("box", draw_box, quiet)
    bench.flow("propagating", tools.propagate, quiet)
    ids = [row.id for row in panel.controller.objects.rows[:3]]
    bench.flow("removing", lambda: panel.acts.delete(ids), quiet)
    bench.flow("undoing", panel.acts.undo, quiet)


def look_through(viewer: Any, slices: int) -> None:
    """Go through slices as with the mouse wheel."""
    for index in range(slices // 2 - 15, slices // 2 + 15):
        viewer.dims.set_point(0, max(index, 0))
        pump_until(lambda: False, 0.01)


def turn_window(image: Any) -> None:
    """Drag the contrast limits."""
    low, high = image.contrast_limits
    for step in range(15):
        image.contrast_limits = (low + step, high - step)
        pump_until(lambda: False, 0.01)


def main() -> None:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", type=int, nargs=3, default=(300, 512, 512))
    parser.add_argument("--objects", type=int, default=12)
    parser.add_argument("--depth", type=float, default=4.0, help="half extent in slices")
    parser.add_argument("--clicks", type=int, default=6)
    parser.add_argument("--model", default="embedded", help="name or path")
    parser.add_argument("--limit", type=float, default=240, help="seconds at most for a flow")
    parser.add_argument("--output", type=Path, help="where to write the report")
    arguments = parser.parse_args()
    results = run(arguments)
    settings = {k: v for k, v in vars(arguments).items() if k != "output"}
    path = write_report("gui_thread", settings, results, arguments.output)
    for name, flow in results.items():
        if isinstance(flow, dict):
            worst = flow["longest"][0]["callback"] if flow["longest"] else "none"
            print(
                f"{name:16} {flow['longest_cpu_ms']:8.1f} ms of the processor, "
                f"{flow['longest_ms']:8.1f} ms by the clock: {worst}"
            )
    print(f"longest {results['longest_cpu_ms']} ms (limit {LIMIT_MS} ms); {path}")


if __name__ == "__main__":
    main()
