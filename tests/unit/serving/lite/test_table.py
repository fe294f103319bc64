"""The table that a person sees."""

from __future__ import annotations

from pathlib import Path

from serving.lite.comparison import Comparison
from serving.lite.job import Report, Setting, Verdict
from serving.lite.table import table_lines

COMPARISON = Comparison(
    agreement={"class_id": 1.0, "top": 0.98}, difference={"a": 1e-6, "b": 2e-6}, error={"a": 3e-7}
)
REPORT = Report(
    saved_model=Path("/srv/m/1"),
    folder=Path("/out"),
    log=Path("/out/conversion.log"),
    setting=Setting(representative_rows=200, test_rows=269, metrics={"class/accuracy": 0.9777}),
    required=["float32"],
    variants=[
        Verdict(
            variant="float32",
            size=648600,
            ratio=1.0,
            comparison=COMPARISON,
            metrics={"class/accuracy": 0.97},
            latency_ms={"1": 0.05, "2": 0.04},
            without_metadata="no library",
        ),
        Verdict(variant="int8", failure="not converted: Igamma", refusal="not converted: Igamma"),
    ],
)


def test_table_when_shown_then_has_the_worst_figure_of_the_outputs_and_every_reason():
    assert [line.split() for line in table_lines(REPORT)[:4]] == [
        [
            *("variant", "KB", "ratio", "agreement", "difference", "error", "class/accuracy"),
            *("1", "thread", "2", "threads", "verdict"),
        ],
        ["SavedModel", *"-----", "0.9777", "-", "-", "-"],
        [
            *("float32", "648.6", "1.000", "0.9800", "2.0e-06", "3.0e-07", "0.9700"),
            *("0.050", "ms", "0.040", "ms", "accepted"),
        ],
        ["int8", *"-----", "-", "-", "-", "refused"],
    ]
    assert table_lines(REPORT)[4:] == [
        "compared with the SavedModel on 269 rows of the test split; ranges of 8 bits from 200 "
        "rows of the train split",
        "int8 refused: not converted: Igamma",
        "written to /out",
        "without metadata: no library",
    ]


def test_report_when_only_an_optional_variant_is_refused_then_is_no_failure():
    assert REPORT.failure is None
    required = REPORT.model_copy(update={"required": ["float32", "int8"]})
    assert required.failure == "int8 refused: not converted: Igamma"
