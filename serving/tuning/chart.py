"""Draws the curve of latency against batch size."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from serving.tuning.candidates import BatchCost


def draw_curve(
    path: Path, title: str, curve: Sequence[BatchCost], target_ms: float, chosen: int | None
) -> None:
    """Writes a PNG: latency above, rows a second below, by batch size on a logarithmic axis.

    Args:
        path: of the PNG; it is written beside and renamed.
        target_ms: drawn as a line.
        chosen: the largest batch size of the chosen parameters, None if there are none.
    """
    # Without pyplot: nothing here needs its global figures, or a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, NullLocator

    sizes = [cost.size for cost in curve]
    figure = Figure(figsize=(7, 6), layout="constrained")
    FigureCanvasAgg(figure)
    latency, rate = figure.subplots(2, 1, sharex=True)
    latency.plot(sizes, [cost.p99_ms for cost in curve], "o-", label="99 of 100 calls")
    latency.plot(sizes, [cost.median_ms for cost in curve], "o-", label="median")
    latency.axhline(target_ms, color="grey", linestyle="--", label="target of a request")
    latency.set(title=title, ylabel="call, ms", xscale="log", yscale="log")
    rate.plot(sizes, [cost.rows_per_second for cost in curve], "o-")
    rate.set(xlabel="batch size", ylabel="rows a second", ylim=(0, None))
    if chosen is not None:
        for axes in (latency, rate):
            axes.axvline(chosen, color="tab:green", label=f"max_batch_size {chosen}")
    for axes in (latency, rate):
        axes.xaxis.set_major_locator(FixedLocator(sizes))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticklabels([str(size) for size in sizes])
        axes.grid(visible=True, alpha=0.3)
    latency.legend()
    partial = path.with_name(f".{path.name}.partial")
    figure.savefig(partial, format="png", dpi=120)
    os.replace(partial, path)
