"""A working session in a real window: accept, fine-tune, adopt, prompt patients never seen.

Each method gets a project of its own with the same scans. In the window scans are added, the
first few are accepted with their true masks, Start is pressed in the Fine-tune tab, and at
its end Adopt; then patients that the project does not hold are predicted by the adopted
model and scored. On the way the viewer and then the run are killed, and neither may matter:
a new viewer finds the run again, and Resume goes on.

    python benchmarks/session.py --work WORK
    python benchmarks/session.py --work WORK --minutes 2 --methods sss --calm   # no kills
    xvfb-run -s "-screen 0 1366x768x24" python benchmarks/session.py --work WORK

The longest time between two beats of the window's event loop is told by the clock and by the
processor of the window's own thread: on a busy machine the clock also counts what the system
gave to others.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

DATA = Path(os.environ.get("NAPARI_SSS_TEST_DATA", Path(__file__).parent / "../../shared/data"))
CLASSES = {"right ventricle": 1, "myocardium": 2, "left ventricle": 3}
WANTED = 0.60
"""Mean Dice that the session is to reach."""

LIMIT_MS = 50.0
KILL_VIEWER_AT, KILL_RUN_AT = 0.35, 0.65
PARTS = ("begin", "finish", "score")


def main() -> None:
    args = _arguments()
    if args.part:
        _run_part(args)
        return
    results = {method: _session(args, method) for method in args.methods}
    for method, found in results.items():
        sys.stdout.write(
            f"{method}: Dice {found['dice']:.3f} by prediction, {found['auto_dice']:.3f} by "
            f"Auto-prompt ({found['patients']} patients), {found['steps']} steps, window kept "
            f"busy {found['finish_window']['processor_ms']:.0f} ms at most\n"
        )
    from _measure import write_report

    settings = {
        "minutes": args.minutes,
        "accepted": args.accept,
        "scans": args.scans,
        "predicted": args.predict,
        "killed": not args.calm,
        "wanted_dice": WANTED,
        "limit_ms": LIMIT_MS,
    }
    path = write_report("session", settings, results, args.out)
    sys.stdout.write(f"{path}\n")


def _session(args: argparse.Namespace, method: str) -> dict[str, Any]:
    """One method's session, each viewer in a process of its own."""
    folder = args.work / method
    folder.mkdir(parents=True, exist_ok=True)
    viewer = _start_part(args, method, "begin")
    if args.calm:
        _wait(viewer, "begin")
    else:
        _wait_for(lambda: _fraction(folder) >= KILL_VIEWER_AT, viewer, args)
        viewer.send_signal(signal.SIGKILL)
        viewer.wait()
        _note(folder, "killed_viewer_at", _fraction(folder))
    _wait(_start_part(args, method, "finish"), "finish")
    _wait(_start_part(args, method, "score"), "score")
    found: dict[str, Any] = {}
    for part in PARTS:
        path = folder / f"{part}.json"
        found |= json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


# -- the parts, each a viewer -----------------------------------------------------------


def _run_part(args: argparse.Namespace) -> None:
    folder = args.work / args.methods[0]
    if args.part == "score":
        _score(args, folder)
        return
    window = _Window()
    if args.part == "begin":
        _begin(args, folder, window)
    else:
        _finish(args, folder, window)
    pulse = {"clock_ms": round(1000 * window.pulse.wall, 1)}
    pulse["processor_ms"] = round(1000 * window.pulse.cpu, 1)
    _note(folder, f"{args.part}_window", pulse, args.part)
    window.close()


def _begin(args: argparse.Namespace, folder: Path, window: _Window) -> None:
    """Make the project, accept, press Start; stay until killed, or until it has ended."""
    from napari_sss.engine.project.importing import import_labels
    from napari_sss.engine.project.records import Review

    room, tab = window.panel.room, window.tab
    room.create(folder / "project")
    window.until(lambda: room.project is not None and room.project.folder.parent == folder)
    scans = _scans(args)

    def fill(project: Any) -> None:
        for name in CLASSES:
            project.add_class(name)
        project.cases.add([args.data / "images" / f"{name}.nii.gz" for name in scans])
        for case in project.cases.select()[: args.accept]:
            session = project.open_case(case.id)
            label = args.data / "labels" / f"{case.name}.nii.gz"
            import_labels(session, case.grid, label, {v: v for v in CLASSES.values()})
            session.review_case(Review.ACCEPTED)
            session.close()

    window.work(lambda: fill(room.project))
    window.panel.tabs.setCurrentWidget(tab)
    tab.controller.refresh()
    window.until(lambda: len(_accepted(tab)) == args.accept, "the accepted cases are counted")
    tab.setup.budget.own.setValue(args.minutes)
    tab.setup.strategy.show_key(args.methods[0])
    window.until(tab.setup.start.isEnabled, "Start can be pressed")
    window.calm()
    window.click(tab.setup.start)
    window.until(lambda: _state(tab) == "training", "the training begins", 600)
    window.until(lambda: not _is_active(tab), "the run ends", 120 * args.minutes + 1200)


def _finish(args: argparse.Namespace, folder: Path, window: _Window) -> None:
    """Open the project again; the run is found, killed, resumed, judged and adopted."""
    room, tab = window.panel.room, window.tab
    window.panel.tabs.setCurrentWidget(tab)
    room.open(folder / "project")
    window.until(lambda: tab.controller.shown.run is not None, "the run is found again", 60)
    window.calm()
    if not args.calm:
        window.until(lambda: _fraction(folder) >= KILL_RUN_AT, "the run goes on", 7200)
        pid = tab.controller.shown.run.state.pid
        before = tab.controller.shown.run.step
        os.kill(pid, signal.SIGKILL)
        window.until(lambda: _state(tab) == "died", "the kill is noticed", 60)
        _note(folder, "killed_run_at_step", before)
        window.click(tab.run.resume)
    window.until(lambda: _state(tab) in ("done", "failed"), "the run ends", 14400)
    run = tab.controller.shown.run
    if run.state.phase.value != "done":
        raise SystemExit(f"The run failed: {run.state.problem} {run.state.remedy}")
    window.until(lambda: tab.controller.shown.run.gate is not None, "the gate has judged", 60)
    gate = tab.controller.shown.run.gate
    adopted: list[Any] = []
    tab.controller.adopted.connect(adopted.append)
    window.click(tab.gate.adopt)
    window.until(lambda: bool(adopted), "the model is adopted", 60)
    _note(folder, "steps", tab.controller.shown.run.step, "finish")
    _note(folder, "gate", gate.judgement.as_json(), "finish")
    _note(folder, "model", str(adopted[0].folder), "finish")


def _score(args: argparse.Namespace, folder: Path) -> None:
    """Let the adopted model find the classes in patients that the project does not hold."""
    from napari_sss.engine.inference.auto import AutoOptions, auto_segment
    from napari_sss.engine.inference.prediction import predict_volume
    from napari_sss.engine.models.sss.trained import load_trained
    from napari_sss.engine.training.metrics import overlap_scores
    from napari_sss.engine.volumes.reading import read_volume
    from napari_sss.engine.volumes.writing import read_labels

    model = json.loads((folder / "finish.json").read_text(encoding="utf-8"))["model"]
    trained = load_trained(Path(model))
    scores: dict[str, dict[str, dict[str, float]]] = {"dice": {}, "auto_dice": {}}
    for name in _unseen(args):
        volume = read_volume(args.data / "images" / f"{name}.nii.gz")
        truth = read_labels(args.data / "labels" / f"{name}.nii.gz", volume.grid)
        found = auto_segment(
            volume, trained.segmenter.sam2, AutoOptions(source="model"), trained=trained
        )
        masks = {
            "dice": predict_volume(volume, trained).labels(),
            "auto_dice": found.class_mask(),
        }
        for how, mask in masks.items():
            scores[how][name] = {
                label: overlap_scores(mask == trained.facts.classes[label], truth == value)[
                    "dice"
                ]
                for label, value in CLASSES.items()
            }
    for how, cases in scores.items():
        per_case = [float(np.mean(list(found.values()))) for found in cases.values()]
        _note(folder, how, float(np.mean(per_case)), "score")
        _note(folder, f"{how}_cases", cases, "score")
        per_class = {c: float(np.mean([f[c] for f in cases.values()])) for c in CLASSES}
        _note(folder, f"{how}_classes", per_class, "score")
    _note(folder, "patients", len(scores["dice"]), "score")


class Pulse:
    """The longest time between two beats of the window's event loop.

    Attributes
    ----------
    wall, cpu : float
        Seconds of the clock, and of the processor on the window's own thread: the latter is
        what the window was kept busy, whatever else the machine had to do.
    """

    def __init__(self, interval_ms: int = 5) -> None:
        from qtpy.QtCore import QTimer

        self.reset()
        self._timer = QTimer()
        self._timer.timeout.connect(self._beat)
        self._timer.start(interval_ms)

    def reset(self) -> None:
        """Begin anew."""
        self.wall = self.cpu = 0.0
        self._last = time.perf_counter(), time.thread_time()

    def stop(self) -> None:
        """Beat no more."""
        self._timer.stop()

    def _beat(self) -> None:
        now = time.perf_counter(), time.thread_time()
        self.wall = max(self.wall, now[0] - self._last[0])
        self.cpu = max(self.cpu, now[1] - self._last[1])
        self._last = now


class _Window:
    """A viewer with the panel, and a clock in its event loop."""

    def __init__(self) -> None:
        import napari

        self.viewer = napari.Viewer(show=True)
        self.viewer.window._qt_window.resize(1366, 740)
        _, self.panel = self.viewer.window.add_plugin_dock_widget("napari-sss")
        tabs = self.panel.tabs
        self.tab = next(
            tabs.widget(k) for k in range(tabs.count()) if tabs.tabText(k) == "Fine-tune"
        )
        self.pulse = Pulse()

    def calm(self) -> None:
        """Begin to measure anew."""
        self.pulse.reset()

    def until(
        self, condition: Callable[[], bool], what: str = "it is so", limit: float = 120.0
    ) -> None:
        from gui_thread import pump_until

        if not pump_until(condition, limit):
            raise SystemExit(f"Waited {limit:.0f} s in vain until {what}.")

    def work(self, do: Callable[[], None]) -> None:
        """Do something beside the window's thread, as the panel does."""
        from napari_sss._widgets.worker import Job

        ended: list[Exception | None] = []
        job = Job(
            "session",
            lambda *_: do(),
            on_done=lambda _: ended.append(None),
            on_failed=ended.append,
        )
        self.panel.crew.disk.submit(job)
        self.until(lambda: bool(ended), "the project is filled", 600)
        if ended[0] is not None:
            raise ended[0]

    def click(self, button: Any) -> None:
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        QTest.mouseClick(button, Qt.MouseButton.LeftButton)

    def close(self) -> None:
        self.pulse.stop()
        self.viewer.close()


# -- small help -------------------------------------------------------------------------


def _accepted(tab: Any) -> tuple[Any, ...]:
    overview = tab.controller.shown.setup.overview
    return () if overview is None else overview.cases


def _state(tab: Any) -> str:
    run = tab.controller.shown.run
    return "" if run is None else str(run.state.phase.value)


def _is_active(tab: Any) -> bool:
    run = tab.controller.shown.run
    return run is not None and run.is_active


def _fraction(folder: Path) -> float:
    """Share of the training's time that is spent."""
    from napari_sss.engine.runs.state import RunPhase, read_state

    for run in sorted((folder / "project" / "runs").glob("2*")):
        state = read_state(run)
        if state is not None and state.phase is RunPhase.TRAINING:
            return state.fraction
        if state is not None and state.trained:
            return 1.0
    return 0.0


def _scans(args: argparse.Namespace) -> list[str]:
    """End-diastolic scans of different patients; the first ones are accepted."""
    lists = json.loads((args.data / "split.json").read_text(encoding="utf-8"))
    few = [name for name in lists["labelled_3"] if name.endswith("_ED")]
    others = [n for n in lists["train"] if n.endswith("_ED") and n not in few]
    return (few + others)[: args.scans]


def _unseen(args: argparse.Namespace) -> list[str]:
    lists = json.loads((args.data / "split.json").read_text(encoding="utf-8"))
    return [name for name in lists["val"] if name.endswith("_ED")][: args.predict]


def _note(folder: Path, key: str, value: Any, part: str = "begin") -> None:
    path = folder / f"{part}.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    path.write_text(json.dumps(known | {key: value}, indent=2) + "\n", encoding="utf-8")


def _start_part(args: argparse.Namespace, method: str, part: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, __file__, "--part", part, "--methods", method]
    for name in ("work", "data", "minutes", "accept", "scans", "predict"):
        command += [f"--{name}", str(getattr(args, name))]
    environment = os.environ | {"NAPARI_SSS_HOME": str(args.work / "home"), "QT_API": "pyqt6"}
    return subprocess.Popen(
        command + (["--calm"] if args.calm else []), env=environment, cwd=Path(__file__).parent
    )


def _wait(process: subprocess.Popen[bytes], part: str) -> None:
    if process.wait() != 0:
        raise SystemExit(f"The part '{part}' failed with exit code {process.returncode}.")


def _wait_for(
    condition: Callable[[], bool], viewer: subprocess.Popen[bytes], args: argparse.Namespace
) -> None:
    deadline = time.monotonic() + 120 * args.minutes + 1200
    while not condition():
        if viewer.poll() is not None or time.monotonic() > deadline:
            raise SystemExit("The session did not come to its training.")
        time.sleep(0.5)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="where projects are made")
    parser.add_argument("--data", type=Path, default=DATA / "acdc", help="the ACDC folder")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--methods", nargs="+", default=["sss", "supervised"])
    parser.add_argument("--accept", type=int, default=3)
    parser.add_argument("--scans", type=int, default=12)
    parser.add_argument("--predict", type=int, default=8)
    parser.add_argument("--calm", action="store_true", help="kill nothing on the way")
    parser.add_argument("--out", type=Path, help="the report's file")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.work, args.data = args.work.absolute(), args.data.absolute()
    return args


if __name__ == "__main__":
    main()
