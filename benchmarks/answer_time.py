"""How long an annotator waits: from a mouse click in a real window to the mask on the screen.

Objects are clicked with real mouse events, and four waits are timed, each until the masks
layer shows the answer ("layer") and until the canvas has drawn it ("drawn"):

- first: the first click on an object, on an encoded slice; its crop is encoded meanwhile. Where
  the whole slice gives a mask at first sight, that one is told as "first sight".
- encoded: a second click on the object: nothing is left to encode.
- correction: a click with the other sign beside the object.
- box: a box around another object, whose crop is encoded meanwhile.

Beside them the bare decoder and one redrawing of the canvas, in the same process.

    python benchmarks/answer_time.py
    xvfb-run -s "-screen 0 1366x768x24" python benchmarks/answer_time.py   # without a screen
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _measure import Timing, write_report
from _window import Window, pump_until, synthetic_ct, targets

DEPTH = 9.0  # slices; half the extent of an object through the stack
GOALS_MS = {"encoded": (80.0, 150.0), "correction": (80.0, 150.0), "first": (200.0, None)}


class Stopwatch:
    """Times from an act of the hand to what the window shows of the answer.

    Parameters
    ----------
    window : Window
        Where it is shown.
    answering : Answering
        Who answers.
    masks : callable
        Returns the masks layer; None before its first mask.
    """

    def __init__(self, window: Window, answering: Any, masks: Callable[[], Any]) -> None:
        self._window = window
        self._masks = masks
        self._watched: Any = None
        self._arrived = ""
        self._began = 0.0
        self._draws_before = 0
        self.found: dict[str, float] = {}
        answering.answered.connect(self._on_answer)

    def time(self, act: Callable[[], None]) -> dict[str, float] | None:
        """Seconds until first sight and until the answer, in the layer and drawn.

        ``processor`` is the processor's time of all threads: what the wait would be on a
        computer that does nothing else and works on one thing at a time.

        None where no answer came within 20 s.
        """
        self.found, self._arrived = {}, ""
        self._watch()
        self._began, cpu = time.perf_counter(), time.process_time()
        act()
        pump_until(lambda: "drawn" in self._look(), 20)
        if "drawn" not in self.found:
            return None
        return {**self.found, "processor": time.process_time() - cpu}

    def _watch(self) -> None:
        masks = self._masks()
        if masks is not None and masks is not self._watched:
            self._watched = masks
            masks.events.set_data.connect(self._on_shown)

    def _on_answer(self, answered: Any) -> None:
        self._arrived = "first sight " if answered.provisional else " "
        self._watch()

    def _on_shown(self) -> None:
        if self._arrived:
            key = (self._arrived + "layer").strip()
            self.found.setdefault(key, time.perf_counter() - self._began)
            self._draws_before = self._window.drawings

    def _look(self) -> dict[str, float]:
        """Take note of a drawing that came after the layer had changed."""
        if self._arrived and self._window.drawings > self._draws_before:
            key = (self._arrived + "drawn").strip()
            if (self._arrived + "layer").strip() in self.found:
                self.found.setdefault(key, time.perf_counter() - self._began)
        return self.found


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Open a window and click."""
    import napari
    from napari.layers import Image

    from napari_sss._layers.conversion import layer_data_for
    from napari_sss._widgets.panel import SSSPanel
    from napari_sss._widgets.status import ModelPhase

    shape = tuple(arguments.shape)
    viewer = napari.Viewer(show=True)
    viewer.window._qt_window.resize(1366, 740)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        panel = SSSPanel(viewer, home=Path(home), model=arguments.model)
        ready: list[int] = []
        panel.tools.answering.readiness_changed.connect(lambda p: ready.append(p.done))
        viewer.window.add_dock_widget(panel, name="SSS")
        data, keywords, _ = layer_data_for(synthetic_ct(shape, arguments.objects, DEPTH))
        image = Image(data, **keywords)
        viewer.add_layer(image)
        status = panel.controller.model
        if not pump_until(lambda: status.status.phase is ModelPhase.LOADED, 120):
            raise SystemExit(f"The model {arguments.model} cannot be loaded.")
        viewer.reset_view()
        viewer.dims.set_point(0, shape[0] // 2)
        if not pump_until(lambda: bool(ready) and ready[-1] >= shape[0], arguments.limit):
            raise SystemExit(f"Only {ready[-1:]} of {shape[0]} slices are ready.")
        results = clicked(arguments, viewer, panel, image)
        panel.shut_down()
        viewer.close()
    return results


def clicked(arguments: argparse.Namespace, viewer: Any, panel: Any, image: Any) -> dict:
    """Times of all acts on as many objects as there are rounds, one beforehand for nothing."""
    from napari_sss._layers.tool_use import Tool

    window, controller = Window(viewer, image), panel.tools.controller
    stopwatch = Stopwatch(window, panel.tools.answering, lambda: masks_layer(viewer))
    shape = tuple(arguments.shape)
    samples: dict[str, list[dict[str, float]]] = defaultdict(list)
    missed = 0
    rounds = list(targets(shape, arguments.objects, DEPTH, arguments.rounds + 1))
    for number, target in enumerate(rounds):
        (row, column), (down, across) = target.middle, target.radii
        viewer.dims.set_point(0, target.index)
        controller.begin_object()
        controller.take(Tool.POINT)
        settle(panel, arguments.pause)
        acts: dict[str, Callable[[], None]] = {
            "first": lambda y=row, x=column: window.click(y, x),
            "encoded": lambda y=row, x=column + 0.4 * across: window.click(y, x),
            "correction": lambda y=row + 1.25 * down, x=column: window.click(y, x, right=True),
        }
        for name, act in acts.items():
            timed = stopwatch.time(act)
            settle(panel, arguments.pause)
            missed += timed is None
            if number and timed is not None:
                samples[name].append(timed)
        other = rounds[(number + 3) % len(rounds)]
        (row, column), (down, across) = other.middle, other.radii
        controller.begin_object()
        controller.take(Tool.BOX)
        settle(panel, arguments.pause)
        stop = (row + down, column + across)
        window.drag((row - down, column - across), stop)
        timed = stopwatch.time(lambda end=stop: window.release(*end))
        settle(panel, arguments.pause)
        missed += timed is None
        if number and timed is not None:
            samples["box"].append(timed)
    found = {name: summary(times) for name, times in samples.items()}
    bare = {
        "decoder": bare_decoder(arguments.model),
        "redraw": [window.redraw() for _ in range(15)],
    }
    least = sum(float(np.median(times)) for times in bare.values())
    for name in ("encoded", "correction"):
        if name in found:
            median = found[name]["drawn"]["median_ms"]
            found[name]["times_decoder_and_redraw"] = round(median / (1000 * least), 2)
    return {
        **found,
        **{name: Timing(tuple(times)).summary() for name, times in bare.items()},
        "unanswered": missed,
        "goals_ms": {name: {"median": m, "p95": p} for name, (m, p) in GOALS_MS.items()},
    }


def masks_layer(viewer: Any) -> Any:
    """The layer that shows masks; None before the first one."""
    from napari_sss._layers.masks_layer import MASKS

    return next((layer for layer in viewer.layers if layer.name == MASKS), None)


def settle(panel: Any, pause: float) -> None:
    """Let the hand rest a moment, and idle work with it."""
    pump_until(lambda: not panel.pending, 20)
    pump_until(lambda: False, pause)


def summary(times: list[dict[str, float]]) -> dict[str, Any]:
    """Median, quartiles and 95th percentile in milliseconds of each time."""
    found = {}
    for key in ("first sight layer", "first sight drawn", "layer", "drawn", "processor"):
        seconds = tuple(t[key] for t in times if key in t)
        if seconds:
            worst = round(1000 * float(np.percentile(seconds, 95)), 3)
            found[key] = {**Timing(seconds).summary(), "p95_ms": worst}
    return found


def bare_decoder(name: str, rounds: int = 15) -> list[float]:
    """Seconds of one pass of the decoder alone, without any window around it."""
    import torch

    from napari_sss.engine.models.loading import load_model
    from napari_sss.engine.models.sam2_model import PointPrompts

    model = load_model(name)
    side = model.image_size
    with model.inference():
        features = model.encode(torch.rand(1, side, side))
        points = PointPrompts(
            torch.full((1, 2, 2), side / 2), torch.ones(1, 2, dtype=torch.int)
        )
        logits = torch.zeros(1, 1, side // 4, side // 4, device=model.device)
        seconds = []
        for _ in range(rounds + 3):
            began = time.perf_counter()
            model.decode(features, model.without_memory(features), points, logits)
            seconds.append(time.perf_counter() - began)
    return seconds[3:]


def main() -> None:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", type=int, nargs=3, default=(60, 512, 512))
    parser.add_argument("--objects", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--pause", type=float, default=0.3, help="seconds between two acts")
    parser.add_argument("--model", default="embedded", help="name or path")
    parser.add_argument("--limit", type=float, default=600, help="seconds to encode slices")
    parser.add_argument("--output", type=Path, help="where to write the report")
    arguments = parser.parse_args()
    results = run(arguments)
    settings = {k: v for k, v in vars(arguments).items() if k != "output"}
    path = write_report("answer_time", settings, results, arguments.output)
    for name, times in results.items():
        if isinstance(times, dict) and "drawn" in times:
            drawn = times["drawn"]
            print(
                f"{name:11} {drawn['median_ms']:7.1f} ms median, {drawn['p95_ms']:7.1f} ms p95"
            )
    print(path)


if __name__ == "__main__":
    main()
