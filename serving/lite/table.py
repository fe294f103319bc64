"""The report of an export as a table for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from serving.lite.job import Report, Verdict

_NONE = "-"


def table_lines(report: Report) -> list[str]:
    """Returns the table, the SavedModel's own metrics in its first row, and what to say of it."""
    metrics = list(report.setting.metrics)
    header = ["variant", "KB", "ratio", "agreement", "difference", "error", *metrics]
    header += ["1 thread", "2 threads", "verdict"]
    model = ["SavedModel", *[_NONE] * 5, *_figures(report.setting.metrics.values())]
    rows = [header, [*model, *[_NONE] * 3]]
    rows += [_row(verdict, metrics) for verdict in report.variants]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if column in (0, len(row) - 1) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return [*lines, *_notes(report)]


def _row(verdict: Verdict, metrics: Sequence[str]) -> list[str]:
    comparison, latency = verdict.comparison, verdict.latency_ms
    agreement = comparison.agreement.values() if comparison else []
    difference = comparison.difference.values() if comparison else []
    error = comparison.error.values() if comparison else []
    return [
        verdict.variant,
        _NONE if verdict.size is None else f"{verdict.size / 1000:.1f}",
        _NONE if verdict.ratio is None else f"{verdict.ratio:.3f}",
        f"{min(agreement):.4f}" if agreement else _NONE,
        f"{max(difference):.1e}" if difference else _NONE,
        f"{max(error):.1e}" if error else _NONE,
        *_figures(verdict.metrics.get(name) for name in metrics),
        *(f"{latency[key]:.3f} ms" if key in latency else _NONE for key in ("1", "2")),
        "accepted" if verdict.refusal is None else "refused",
    ]


def _figures(values: Iterable[float | None]) -> list[str]:
    return [_NONE if value is None else f"{value:.4f}" for value in values]


def _notes(report: Report) -> list[str]:
    setting = report.setting
    lines = [
        f"compared with the SavedModel on {setting.test_rows} rows of the test split; ranges of "
        f"8 bits from {setting.representative_rows} rows of the train split"
    ]
    lines += [
        f"{verdict.variant} refused: {verdict.refusal}"
        for verdict in report.variants
        if verdict.refusal is not None
    ]
    if report.accepted:
        lines.append(f"written to {report.folder}")
    reasons = {v.without_metadata for v in report.accepted if v.without_metadata is not None}
    lines += [f"without metadata: {reason}" for reason in sorted(reasons)]
    return lines
