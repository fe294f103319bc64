"""`tapeline schedule`, from the command to a real kfp client to a server with the real rules."""

from __future__ import annotations

import json

import pytest

DAY = "span=[[ScheduledTime.2006-01-02]]"


@pytest.fixture
def schedule(api_server, compiled, tapeline):
    """Runs `tapeline schedule` with the arguments, the folder and the server."""

    def call(*words: str, folder=compiled):
        command, *rest = words
        if command.startswith("-"):  # tapeline schedule DIR --cron ...
            command, rest = str(folder), list(words)
        else:
            rest = [str(folder), *rest]
        return tapeline("schedule", command, *rest, "--host", api_server.host, cwd=compiled)

    return call


def test_schedule_when_cron_of_five_fields_then_seconds_put_in_front(api_server, schedule):
    done = schedule("--cron", "0 2 * * *", "--parameter", DAY, "--json")
    assert done.code == 0, done
    (sent,) = api_server.sent("/recurringruns")
    assert sent["trigger"] == {"cron_schedule": {"cron": "0 0 2 * * *"}}
    assert sent["display_name"] == "small"
    assert sent["mode"] == "ENABLE"
    assert sent["max_concurrency"] == 1
    assert sent["no_catchup"] is True
    assert sent["runtime_config"]["parameters"] == {"span": "[[ScheduledTime.2006-01-02]]"}
    assert done.summary["cron"] == "0 0 2 * * *"
    assert done.summary["enabled"] is True


def test_schedule_when_every_and_bounds_then_sent_as_seconds_and_instants(api_server, schedule):
    done = schedule(
        *("--every", "6h", "--start", "2026-12-01", "--end", "2026-12-31T12:00:00+02:00"),
        *("--catchup", "--max-concurrency", "3", "--disabled", "--name", "often"),
    )
    assert done.code == 0, done
    (sent,) = api_server.sent("/recurringruns")
    assert sent["trigger"]["periodic_schedule"] == {
        "start_time": "2026-12-01T00:00:00Z",
        "end_time": "2026-12-31T10:00:00Z",
        "interval_second": 21600,
    }
    assert (sent["mode"], sent["max_concurrency"], sent["no_catchup"]) == ("DISABLE", 3, False)
    assert "often" in done.stdout
    assert "every 21600 s  at most 3 at once  catches up  start 2026-12-01" in done.stdout


def test_schedule_when_one_of_the_name_exists_then_refused_or_replaced(api_server, schedule):
    first = schedule("--every", "1d", "--json")
    again = schedule("--every", "1d")
    assert again.code == 1, again
    assert f"there is one: {first.summary['schedule_id']}" in again.stderr
    assert len(api_server.record["recurring"]) == 1

    replaced = schedule("--every", "2d", "--replace", "--json")
    assert replaced.code == 0, replaced
    assert replaced.summary["replaced"] == [first.summary["schedule_id"]]
    assert api_server.record["recurring"] == [replaced.summary["schedule_id"]]


def test_schedule_when_replacement_is_refused_then_former_stays(api_server, schedule):
    first = schedule("--every", "1d", "--json")
    done = schedule("--cron", "0 2 * * 7", "--replace")
    assert done.code == 1, done
    assert "400 Bad Request" in done.stderr
    assert "End of range (7) above maximum (6): 7" in done.stderr
    assert api_server.record["recurring"] == [first.summary["schedule_id"]]


def test_schedule_when_listed_changed_and_deleted_then_server_follows(api_server, schedule):
    api_server.plan(page_size=1)  # the list goes over pages
    daily = schedule("--every", "1d", "--json").summary["schedule_id"]
    weekly = schedule("--every", "7d", "--name", "weekly", "--json").summary["schedule_id"]

    listed = [json.loads(line) for line in schedule("list", "--json").stdout.splitlines()]
    assert [(one["schedule_id"], one["enabled"]) for one in listed] == [
        (daily, True),
        (weekly, True),
    ]
    assert schedule("disable").stdout == f"disabled  small  {daily}\n"
    assert "disabled" in schedule("list").stdout.splitlines()[0]
    assert schedule("enable", daily).stdout == f"enabled  small  {daily}\n"
    assert schedule("delete", "weekly").stdout == f"deleted  weekly  {weekly}\n"
    assert api_server.record["recurring"] == [daily]

    missing = schedule("delete", "weekly")
    assert missing.code == 1, missing
    assert "no such schedule in the experiment small" in missing.stderr
    assert f"small ({daily})" in missing.stderr


def test_schedule_list_when_nothing_was_ever_submitted_then_empty(api_server, schedule):
    done = schedule("list")
    assert (done.code, done.stdout, done.stderr) == (0, "", "")
    assert api_server.sent("/experiments") == []


def test_schedule_when_stock_compiler_wrote_it_then_servers_refusal_shown(
    api_server, schedule, stock
):
    done = schedule("--every", "1d", folder=stock["schema-2.0"])
    assert done.code == 1, done
    assert "500 Internal Server Error: Failed to create a recurring run: " in done.stderr
    assert "but the pipeline spec has version 2.0.0" in done.stderr
    assert api_server.record["recurring"] == []
