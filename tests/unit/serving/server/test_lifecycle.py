"""Versions come up before others go down, failures are tried again, and requests are not cut off.

The loader is one that the test holds; nothing here needs a model.
"""

import asyncio
import threading
from pathlib import Path

import pytest
from grpc import StatusCode

from serving.server.errors import ServingError
from serving.server.lifecycle import Lifecycle
from serving.server.options import ManagerOptions
from serving.server.policy import State

pytestmark = pytest.mark.anyio

FOREVER = 3_600_000_000  # microseconds


@pytest.fixture
def anyio_backend():
    return "asyncio"


class HeldLoader:
    """Loads nothing: fails as often as it is told, and waits where it is told."""

    def __init__(self):
        self.failures = {}
        self.errors = {}
        self.gates = {}
        self.log = []

    def hold(self, version):
        self.gates[version] = threading.Event()

    def load(self, name, version, folder):
        self.log.append(f"load {name} {version}")
        if version in self.gates:
            assert self.gates[version].wait(30)
        if self.failures.get(version, 0) > 0:
            self.failures[version] -= 1
            raise self.errors.get(
                version, ServingError(StatusCode.NOT_FOUND, f"{folder} is broken")
            )
        return f"{name} {version}"

    def drain(self, servable):
        if servable in self.gates:
            assert self.gates[servable].wait(30)

    def unload(self, servable):
        self.log.append(f"unload {servable}")
        if servable in self.errors:
            raise self.errors[servable]


@pytest.fixture
def loader():
    return HeldLoader()


@pytest.fixture
def events():
    return []


@pytest.fixture
async def lifecycle(loader, events):
    options = ManagerOptions(max_num_load_retries=2, load_retry_interval_micros=0)
    lifecycle = Lifecycle(loader, options, events.append)
    yield lifecycle
    for gate in loader.gates.values():
        gate.set()
    await lifecycle.close()


def aspire(lifecycle, *versions, name="m"):
    lifecycle.aspire({name: {version: Path(f"/m/{version}") for version in versions}}, {name})


def states(lifecycle, name="m"):
    return {number: item.state for number, item in lifecycle.models[name].versions.items()}


async def until(lifecycle, condition):
    """Returns when the condition holds, after some change of state."""
    while not condition():
        await asyncio.wait_for(lifecycle._changed.wait(), 30)


async def at(lifecycle, **expected):
    """Returns when the versions are at these states: v1=State.END."""
    wanted = {int(name[1:]): state for name, state in expected.items()}
    await until(lifecycle, lambda: states(lifecycle) == wanted)


async def test_aspire_when_a_version_is_new_then_goes_from_start_to_available(lifecycle, events):
    aspire(lifecycle, 1)
    await lifecycle.settled(["m"])
    assert states(lifecycle) == {1: State.AVAILABLE}
    assert [(event.version, event.state) for event in events] == [
        (1, State.LOADING),
        (1, State.AVAILABLE),
    ]


async def test_aspire_when_a_newer_version_comes_then_the_old_one_answers_until_it_is_there(
    lifecycle, loader
):
    aspire(lifecycle, 1)
    await lifecycle.settled(["m"])
    loader.hold(2)
    aspire(lifecycle, 2)
    await at(lifecycle, v1=State.AVAILABLE, v2=State.LOADING)
    assert lifecycle.models["m"].latest.number == 1
    loader.gates[2].set()
    await at(lifecycle, v1=State.END, v2=State.AVAILABLE)
    assert lifecycle.models["m"].latest.number == 2
    assert loader.log == ["load m 1", "load m 2", "unload m 1"]


async def test_aspire_when_it_rolls_back_then_the_older_version_answers_before_the_newer_goes(
    lifecycle, loader
):
    aspire(lifecycle, 2)
    await lifecycle.settled(["m"])
    aspire(lifecycle, 1)
    await at(lifecycle, v1=State.AVAILABLE, v2=State.END)
    assert loader.log == ["load m 2", "load m 1", "unload m 2"]


async def test_aspire_when_several_are_wanted_then_the_newest_is_loaded_first(lifecycle, loader):
    aspire(lifecycle, 1, 3, 2)
    await at(lifecycle, v1=State.AVAILABLE, v2=State.AVAILABLE, v3=State.AVAILABLE)
    assert loader.log == ["load m 3", "load m 2", "load m 1"]


async def test_load_when_it_fails_fewer_times_than_it_is_tried_then_is_available(lifecycle, loader):
    loader.failures[1] = 2
    aspire(lifecycle, 1)
    await lifecycle.settled(["m"])
    assert loader.log == ["load m 1"] * 3
    assert lifecycle.models["m"].versions[1].status.error_code == 0


async def test_load_when_every_attempt_fails_then_ends_with_the_error_and_the_old_one_stays(
    lifecycle, loader, events
):
    aspire(lifecycle, 1)
    await lifecycle.settled(["m"])
    loader.failures[2] = 99
    aspire(lifecycle, 2)
    await at(lifecycle, v1=State.AVAILABLE, v2=State.END)
    status = lifecycle.models["m"].versions[2].status
    assert (status.error_code, status.error_message) == (5, "/m/2 is broken")
    assert lifecycle.models["m"].latest.number == 1
    assert loader.log.count("load m 2") == 3
    assert events[-1].error.message == "/m/2 is broken"


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (MemoryError(), StatusCode.RESOURCE_EXHAUSTED, "out of memory"),
        (PermissionError(13, "no"), StatusCode.INTERNAL, "PermissionError: [Errno 13] no"),
    ],
    ids=["memory", "permission"],
)
async def test_load_when_the_error_is_no_servers_then_ends_with_it_as_with_any_other(
    lifecycle, loader, error, code, message
):
    loader.failures[1], loader.errors[1] = 99, error
    aspire(lifecycle, 1)
    with pytest.raises(ServingError, match="did not become available"):
        await asyncio.wait_for(lifecycle.settled(["m"]), 30)
    assert states(lifecycle) == {1: State.END}
    status = lifecycle.models["m"].versions[1].status
    assert (status.error_code, status.error_message) == (code.value[0], message)
    assert loader.log == ["load m 1"] * 3


async def test_load_when_a_version_has_failed_then_is_not_tried_again_while_it_is_wanted(
    lifecycle, loader
):
    loader.failures[2] = 3
    aspire(lifecycle, 2)
    await at(lifecycle, v2=State.END)
    aspire(lifecycle, 2)
    assert states(lifecycle) == {2: State.END}
    aspire(lifecycle)
    aspire(lifecycle, 2)
    await at(lifecycle, v2=State.AVAILABLE)


async def test_load_when_dropped_while_it_waits_to_be_tried_again_then_gives_up(loader):
    options = ManagerOptions(max_num_load_retries=5, load_retry_interval_micros=FOREVER)
    lifecycle = Lifecycle(loader, options, None)
    loader.failures[1] = 99
    aspire(lifecycle, 1)
    while not loader.failures[1] < 99:
        await asyncio.sleep(0)
    aspire(lifecycle, 2)
    await at(lifecycle, v1=State.END, v2=State.AVAILABLE)
    assert loader.log == ["load m 1", "load m 2"]
    await lifecycle.close()


async def test_load_when_one_waits_to_be_tried_again_then_others_are_loaded_meanwhile(loader):
    options = ManagerOptions(max_num_load_retries=5, load_retry_interval_micros=FOREVER)
    lifecycle = Lifecycle(loader, options, None)
    loader.failures[2] = 1
    aspire(lifecycle, 1, 2)
    await at(lifecycle, v1=State.AVAILABLE, v2=State.LOADING)
    await lifecycle.close()


async def test_load_when_another_is_wanted_again_meanwhile_then_that_one_never_went(
    lifecycle, loader
):
    aspire(lifecycle, 1)
    await lifecycle.settled(["m"])
    loader.hold(2)
    aspire(lifecycle, 2)
    while "load m 2" not in loader.log:
        await asyncio.sleep(0)
    aspire(lifecycle, 1)
    loader.gates[2].set()
    await at(lifecycle, v1=State.AVAILABLE, v2=State.END)
    assert loader.log == ["load m 1", "load m 2", "unload m 2"]


async def test_unload_when_requests_hold_leases_then_waits_for_the_last(lifecycle, loader):
    aspire(lifecycle, 1)
    await lifecycle.settled(["m"])
    version = lifecycle.models["m"].versions[1]
    with version as servable:
        with version:
            aspire(lifecycle, 2)
            await at(lifecycle, v1=State.UNLOADING, v2=State.AVAILABLE)
        await asyncio.sleep(0)
        assert servable == "m 1"
        assert "unload m 1" not in loader.log
    await at(lifecycle, v1=State.END, v2=State.AVAILABLE)
    assert loader.log[-1] == "unload m 1"


async def test_unload_when_the_version_is_wanted_again_then_the_other_answers_until_it_is_back(
    lifecycle, loader
):
    aspire(lifecycle, 1)
    await lifecycle.settled(["m"])
    with lifecycle.models["m"].versions[1]:
        aspire(lifecycle, 2)
        await at(lifecycle, v1=State.UNLOADING, v2=State.AVAILABLE)
        aspire(lifecycle, 1)
        assert states(lifecycle) == {1: State.UNLOADING, 2: State.AVAILABLE}
    await at(lifecycle, v1=State.AVAILABLE, v2=State.END)
    assert loader.log == ["load m 1", "load m 2", "unload m 1", "load m 1", "unload m 2"]


async def test_unload_when_a_call_runs_that_nobody_waits_for_then_others_are_loaded_meanwhile(
    lifecycle, loader
):
    aspire(lifecycle, 1)
    await lifecycle.settled(["m"])
    loader.hold("m 1")
    aspire(lifecycle, 2)
    await at(lifecycle, v1=State.UNLOADING, v2=State.AVAILABLE)
    aspire(lifecycle, 2, 3)
    await at(lifecycle, v1=State.UNLOADING, v2=State.AVAILABLE, v3=State.AVAILABLE)
    assert "unload m 1" not in loader.log
    loader.gates["m 1"].set()
    await at(lifecycle, v1=State.END, v2=State.AVAILABLE, v3=State.AVAILABLE)


async def test_unload_when_it_fails_then_has_ended_and_the_next_is_loaded(
    lifecycle, loader, caplog
):
    aspire(lifecycle, 1)
    await lifecycle.settled(["m"])
    loader.errors["m 1"] = MemoryError()
    aspire(lifecycle, 2)
    await at(lifecycle, v1=State.END, v2=State.AVAILABLE)
    assert "Unloading servable: m version: 1" in caplog.text
    aspire(lifecycle, 3)
    await at(lifecycle, v1=State.END, v2=State.END, v3=State.AVAILABLE)


async def test_unload_when_a_request_failed_then_its_lease_is_given_back(lifecycle):
    aspire(lifecycle, 1)
    await lifecycle.settled(["m"])
    with pytest.raises(ZeroDivisionError), lifecycle.models["m"].versions[1]:
        raise ZeroDivisionError
    aspire(lifecycle, 2)
    await at(lifecycle, v1=State.END, v2=State.AVAILABLE)


async def test_aspire_when_a_model_is_no_longer_listed_then_all_its_versions_end(lifecycle):
    aspire(lifecycle, 1)
    await lifecycle.settled(["m"])
    lifecycle.aspire({"n": {1: Path("/n/1")}}, {"n"})
    await until(lifecycle, lambda: states(lifecycle) == {1: State.END})
    assert lifecycle.models["m"].latest is None
    await lifecycle.settled(["n"])


async def test_aspire_when_a_listed_model_was_not_looked_up_then_stays_as_it_is(lifecycle):
    aspire(lifecycle, 1)
    await lifecycle.settled(["m"])
    lifecycle.aspire({}, {"m"})
    assert states(lifecycle) == {1: State.AVAILABLE}


async def test_aspire_when_a_version_was_dropped_before_it_was_begun_then_leaves_no_trace(
    lifecycle,
):
    versions = lifecycle.models
    aspire(lifecycle, 1)
    versions["m"].aspire({1: Path("/m/1"), 2: Path("/m/2")})
    versions["m"].aspire({1: Path("/m/1")})
    aspire(lifecycle, 1)
    assert 2 not in states(lifecycle)
    await lifecycle.settled(["m"])


async def test_settled_when_all_versions_fail_then_is_unknown_and_says_why(lifecycle, loader):
    loader.failures[1] = 99
    aspire(lifecycle, 1)
    with pytest.raises(ServingError) as error:
        await lifecycle.settled(["m"])
    assert error.value.code is StatusCode.UNKNOWN
    assert error.value.message == (
        "1 model(s) did not become available: {{name: m version: 1 due to error: NOT_FOUND: "
        "/m/1 is broken}}"
    )


async def test_settled_when_the_newest_fails_but_another_answers_then_returns(lifecycle, loader):
    loader.failures[2] = 99
    aspire(lifecycle, 1, 2)
    await lifecycle.settled(["m"])
    assert lifecycle.models["m"].latest.number == 1


async def test_settled_when_the_server_ends_then_is_cancelled(loader):
    lifecycle = Lifecycle(loader, ManagerOptions(), None)
    waiting = asyncio.ensure_future(lifecycle.settled(["never"]))
    await asyncio.sleep(0)
    await lifecycle.close()
    with pytest.raises(ServingError) as error:
        await waiting
    assert error.value.code is StatusCode.CANCELLED


async def test_close_when_versions_are_loaded_or_loading_then_all_end_and_none_begins(loader):
    lifecycle = Lifecycle(loader, ManagerOptions(), None)
    aspire(lifecycle, 1)
    await lifecycle.settled(["m"])
    loader.hold(2)
    aspire(lifecycle, 2)
    while "load m 2" not in loader.log:
        await asyncio.sleep(0)
    closing = asyncio.ensure_future(lifecycle.close())
    await asyncio.sleep(0)
    aspire(lifecycle, 3)
    loader.gates[2].set()
    await closing
    assert states(lifecycle) == {1: State.END, 2: State.END}
    assert "load m 3" not in loader.log
