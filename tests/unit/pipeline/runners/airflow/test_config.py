"""What `orchestration.airflow` may say."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from pipeline.config_file import ConfigError, dump_config, load_config
from pipeline.runners.airflow.config import AirflowConfig, AirflowNodeConfig

_KEY = "orchestration.airflow"


@pytest.fixture
def load(write_config):
    def load_(*overrides: str) -> AirflowConfig:
        path = str(write_config())
        return load_config(path, [f"{_KEY}.{text}" for text in overrides]).orchestration.airflow

    return load_


def test_settings_when_none_are_given_then_runs_are_started_by_hand(load):
    found = load()
    assert (found.schedule, found.start_date, found.catchup) == (None, None, False)
    assert (found.span, found.retries, found.on_failure) == ("latest", 2, None)


def test_settings_when_all_are_given_then_they_are_kept_as_written(load):
    found = load(
        "schedule='@daily'",
        "timezone=Europe/Berlin",
        "start_date=2026-02-28",
        "catchup=true",
        "span=interval",
        "sla=3600",
        "on_failure=[/opt/page, ops]",
        "nodes={Trainer: {retries: 1, execution_timeout: 7200, pool: gpu}}",
    )
    assert found.schedule == "@daily"
    assert found.start_date == datetime.date(2026, 2, 28)
    assert found.sla == 3600.0
    assert found.on_failure == ["/opt/page", "ops"]
    trainer = AirflowNodeConfig(retries=1, execution_timeout=7200.0, pool="gpu")
    assert found.nodes == {"Trainer": trainer}


def test_settings_when_the_resolved_file_is_read_again_then_they_are_the_same(
    write_config, tmp_path: Path
):
    config = load_config(str(write_config()), [f"{_KEY}.start_date=2026-02-28"])
    again = tmp_path / "resolved.yaml"
    again.write_text(dump_config(config))
    assert load_config(str(again)) == config


@pytest.mark.parametrize(
    ("text", "key", "found", "allowed"),
    [
        ("schedule=daily", "schedule", "'daily'", "@once, @hourly, .*five fields of cron"),
        ("schedule='61 * * * *'", "schedule", r"'61 \* \* \* \*'", r"\('61' is no minute"),
        ("start_date=2026-02-30", "start_date", "'2026-02-30'", "a date such as 2026-11-28"),
        ("start_date=5", "start_date", "5", "a date such as 2026-11-28"),
        ("timezone=Berlin", "timezone", "'Berlin'", "a name of the tz database"),
        ("retries=-1", "retries", "-1", "at least 0"),
        ("retry_delay=0", "retry_delay", "0", "above 0"),
        ("span=today", "span", "'today'", "'latest' or 'interval'"),
        ("on_failure=[]", "on_failure", r"\[\]", "at least 1"),
        ("on_failure=mail", "on_failure", "'mail'", "a list"),
        ("nodes={Trainer: {timeout: 5}}", "nodes.Trainer.timeout", "a key that", "known keys"),
        ("catchup=true", "start_date", "null with catchup", "the date of the first interval"),
        ("sla=60", "sla", "60.0 without a schedule", "a schedule"),
        ("retry_delay=4000", "max_retry_delay", "3600", "at least retry_delay, 4000"),
        (
            "nodes={Trainer: {max_retry_delay: 10}}",
            "nodes.Trainer.max_retry_delay",
            "10",
            "at least retry_delay, 300",
        ),
    ],
)
def test_settings_when_one_is_wrong_then_key_found_and_allowed_are_told(
    load, text, key, found, allowed
):
    with pytest.raises(ConfigError, match=rf"{_KEY}\.{key}: found {found}.*; allowed: .*{allowed}"):
        load(text)


def test_catchup_when_there_is_no_schedule_then_it_is_refused(load):
    with pytest.raises(ConfigError, match="catchup: found True without a schedule"):
        load("catchup=true", "start_date=2026-01-01")
