"""Which texts are a schedule, without Airflow to ask."""

from __future__ import annotations

import pytest

from pipeline.runners.airflow.schedule import PRESETS, cron_fault


@pytest.mark.parametrize(
    "text",
    [
        *PRESETS,
        "0 3 * * *",
        "*/15 0-23/2 1,15 * mon-fri",
        "59 23 31 12 7",
        "5 4 * JAN,mar sun",
        "0 0 29 2 *",
        "0 0 30 2,3 *",
        "0 0 30 2/2 *",
        "0 0 */31 2 *",
        "0 0 31 2 mon",
        "0 0 31 2 */7",
    ],
)
def test_schedule_when_it_is_a_preset_or_cron_then_it_has_no_fault(text):
    assert cron_fault(text) is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "0 fields instead of five"),
        ("daily", "1 fields instead of five"),
        ("@dayly", "1 fields instead of five"),
        ("0 3 * * * *", "6 fields instead of five"),
        ("60 3 * * *", "'60' is no minute, from 0 to 59"),
        ("0 24 * * *", "'24' is no hour, from 0 to 23"),
        ("0 3 0 * *", "'0' is no day of the month, from 1 to 31"),
        ("0 3 * foo *", "'foo' is no month, from 1 to 12"),
        ("0 3 * * fri-mon", "'fri-mon' is no day of the week, from 0 to 7"),
        ("0 3 * * 1,", "'1,' is no day of the week, from 0 to 7"),
        ("*/0 3 * * *", "'*/0' is no minute, from 0 to 59"),
        ("0 0 30 2 *", "day 30 never comes in month 2"),
        ("0 0 31 feb,4-6/2 *", "day 31 never comes in month feb,4-6/2"),
        ("0 0 30,31/1 2/12 *,1", "day 30,31/1 never comes in month 2/12"),
        ("0 ３ * * *", "'３' is no hour, from 0 to 23"),
    ],
)
def test_schedule_when_it_is_neither_then_the_fault_is_named(text, fault):
    assert cron_fault(text) == fault
