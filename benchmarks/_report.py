"""Results as a Markdown table, as pictures, and two of them side by side."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

CLEAR = 1.15  # times, beyond the quartiles' overlap: less is noise


def table(report: dict[str, Any]) -> str:
    """The whole report in Markdown: ratios first, then the figures of each entry."""
    hardware = report["hardware"]
    gpu = f", {hardware['gpu']}" if hardware.get("gpu") else ""
    lines = [
        f"Commit {report['commit']}, {report['date']}; {hardware['cpu']}, "
        f"{hardware['cores']} cores{gpu}; torch {report['versions'].get('torch', '?')}.",
        "",
        "| entry | ratio | median | quartiles | goal | |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in report["entries"].items():
        for r in found.get("ratios", ()):
            met = "" if _met(r) is None else "met" if _met(r) else "**missed**"
            lines.append(
                f"| {name} | {_named(r)} | {r['median']:g} | {r['q1']:g} to {r['q3']:g} | "
                f"{_goal(r)} | {met} |"
            )
    for name, found in report["entries"].items():
        lines += ["", f"**{name}**: {found['title']}", ""]
        if "failed" in found or "skipped" in found:
            reason = found.get("failed") or found["skipped"]
            word = "failed" if "failed" in found else "skipped"
            lines.append(f"{word}: {reason.splitlines()[-1]}")
            continue
        lines += ["| | median | quartiles | processor | calls |", "|---|---|---|---|---|"]
        for f in found["figures"]:
            cpu = "" if f["cpu"] is None else f"{f['cpu']:g}"
            lines.append(
                f"| {_named(f)} | {f['median']:g} {f['unit']} | {f['q1']:g} to {f['q3']:g} | "
                f"{cpu} | {f['calls']} |"
            )
        lines += [f"- {key}: {value}" for key, value in found["facts"].items()]
    return "\n".join(lines)


def _named(item: dict[str, Any]) -> str:
    return f"{item['name']} ({item['note']})" if item["note"] else item["name"]


def _goal(ratio: dict[str, Any]) -> str:
    if ratio["goal"] is not None:
        return f"at least {ratio['goal']:g}"
    return "" if ratio["limit"] is None else f"at most {ratio['limit']:g}"


def _met(ratio: dict[str, Any]) -> bool | None:
    if ratio["goal"] is not None:
        return ratio["median"] >= ratio["goal"]
    return None if ratio["limit"] is None else ratio["median"] <= ratio["limit"]


def comparison(before: dict[str, Any], after: dict[str, Any]) -> str:
    """What changed between two reports, in Markdown; clear changes are marked.

    A change is clear where the quartiles do not overlap and the medians differ by 15 %.
    Figures of different computers are compared all the same, but said to be so.
    """
    lines = [f"{before['commit']} ({before['date']}) to {after['commit']} ({after['date']})"]
    for key in ("cpu", "cores", "gpu"):
        if before["hardware"].get(key) != after["hardware"].get(key):
            lines.append(
                f"Not the same computer: {key} {before['hardware'].get(key)} and "
                f"{after['hardware'].get(key)}. Only ratios can be compared."
            )
    changed = {
        name: (version, after["versions"].get(name))
        for name, version in before["versions"].items()
        if after["versions"].get(name) != version
    }
    lines += [f"{name} {a} to {b}" for name, (a, b) in changed.items()]
    lines += ["", "| entry | | before | after | times | |", "|---|---|---|---|---|---|"]
    for name, kind, a, b in _pairs(before, after):
        times = b["median"] / a["median"] if a["median"] else float("nan")
        apart = b["q1"] > a["q3"] or b["q3"] < a["q1"]
        clear = apart and not 1 / CLEAR < times < CLEAR
        more_is_better = (kind == "ratios" and a["limit"] is None) or a.get(
            "unit", ""
        ).endswith("/s")
        better = (times > 1) == more_is_better
        word = ("better" if better else "**worse**") if clear else ""
        unit = a.get("unit", "times")
        lines.append(
            f"| {name} | {a['name']} | {a['median']:g} {unit} | {b['median']:g} {unit} | "
            f"{times:.2f} | {word} |"
        )
    return "\n".join(lines)


def _pairs(
    before: dict[str, Any], after: dict[str, Any]
) -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    """Figures and ratios that both reports have."""
    for name, found in before["entries"].items():
        other = after["entries"].get(name, {})
        for kind in ("ratios", "figures"):
            theirs = {item["name"]: item for item in other.get(kind, ())}
            for item in found.get(kind, ()):
                if item["name"] in theirs:
                    yield name, kind, item, theirs[item["name"]]


def plots(report: dict[str, Any], folder: Path) -> list[Path]:
    """Pictures of the ratios with their goals, and of memory against slices where measured."""
    from matplotlib.figure import Figure

    written = []
    rows = [
        (f"{name}: {r['name']}", r)
        for name, found in report["entries"].items()
        for r in found.get("ratios", ())
        if r["limit"] is None
    ]
    folder.mkdir(parents=True, exist_ok=True)
    if rows:
        figure = Figure(figsize=(9, 0.34 * len(rows) + 1.2), layout="constrained")
        axes = figure.subplots()
        for y, (_, r) in enumerate(reversed(rows)):
            axes.barh(y, r["median"], color="#3b7dd8" if _met(r) is not False else "#d8683b")
            axes.plot([r["q1"], r["q3"]], [y, y], color="black", linewidth=1.5)
            if r["goal"] is not None:
                axes.plot([r["goal"]] * 2, [y - 0.45, y + 0.45], color="#222222", linestyle=":")
        axes.set_yticks(range(len(rows)), [label for label, _ in reversed(rows)], fontsize=8)
        axes.set_xscale("log")
        axes.axvline(1.0, color="grey", linewidth=0.8)
        axes.set_xlabel("times as fast as the reference (dotted: the goal)")
        written.append(folder / "ratios.png")
        figure.savefig(written[-1], dpi=150)
    series = report["entries"].get("memory", {}).get("facts", {}).get("growth_mb")
    if series:
        figure = Figure(figsize=(5, 3.4), layout="constrained")
        axes = figure.subplots()
        for label, points in series.items():
            counts = sorted(points, key=int)
            axes.plot([int(c) for c in counts], [points[c] for c in counts], "o-", label=label)
        axes.set_xlabel("slices")
        axes.set_ylabel("peak memory beyond the start, MB")
        axes.set_ylim(bottom=0)
        axes.legend()
        written.append(folder / "memory.png")
        figure.savefig(written[-1], dpi=150)
    return written
