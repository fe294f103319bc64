from __future__ import annotations

import pytest

from pipeline.config_file import ConfigError
from pipeline.runners.kubeflow import times


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("0 2 * * *", "0 0 2 * * *"),  # Kubeflow would take the first of five for seconds
        ("*/15 8-18 * * 1-5", "0 */15 8-18 * * 1-5"),
        ("30 0 2 * * *", "30 0 2 * * *"),
        ("@daily", "@daily"),
        ("@every 1h", "@every 1h"),
    ],
)
def test_cron_when_five_fields_then_minute_stays_minute(given, sent):
    assert times.six_fields(given) == sent


@pytest.mark.parametrize("given", ["", "2 * * *", "0 0 0 2 * * *", "daily"])
def test_cron_when_other_fields_then_refused(given):
    with pytest.raises(ConfigError, match="five fields, minute first"):
        times.six_fields(given)


@pytest.mark.parametrize(
    ("given", "seconds"), [("90", 90), ("90s", 90), ("15m", 900), ("6h", 21600), ("1d", 86400)]
)
def test_every_when_unit_given_then_seconds(given, seconds):
    assert times.seconds(given) == seconds


@pytest.mark.parametrize("given", ["", "0s", "-1h", "1.5h", "1w", "an hour"])
def test_every_when_no_time_then_refused(given):
    with pytest.raises(ConfigError, match="allowed: a time such as 90s, 15m, 6h, 1d"):
        times.seconds(given)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (None, None),
        ("2026-12-01", "2026-12-01T00:00:00Z"),
        ("2026-12-01T02:00:00Z", "2026-12-01T02:00:00Z"),
        ("2026-12-01T02:00:00+02:00", "2026-12-01T00:00:00Z"),
    ],
)
def test_instant_when_given_then_utc(given, sent):
    assert times.instant("--start", given) == sent


def test_instant_when_no_time_then_refused():
    with pytest.raises(ConfigError, match="schedule: --start: found tomorrow; allowed: a time"):
        times.instant("--start", "tomorrow")
