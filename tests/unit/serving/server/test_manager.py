"""A server's models are loaded at its start_manager, and lent to requests until it ends."""

import asyncio

import numpy as np
import pytest
from grpc import StatusCode
from tensorflow_serving.apis import get_model_status_pb2

from serving.config import BatchingConfig
from serving.server.errors import ServingError
from serving.server.manager import (
    CallMade,
    ManagerOptions,
    ModelManager,
    VersionChanged,
    Wanted,
)
from serving.server.policy import State
from tests.unit.serving.server.managed import (
    POLL,
    STABLE,
    ask,
    at,
    break_model,
    parsed,
    refused,
    states,
    until,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


def test_state_when_told_to_clients_then_has_tf_servings_numbers():
    numbers = get_model_status_pb2.ModelVersionStatus.State
    assert {state.name: int(state) for state in State} == {
        name: number for name, number in numbers.items() if name != "UNKNOWN"
    }


async def test_start_when_versions_are_there_then_the_newest_answers_and_others_do_not(
    start_manager, put_version
):
    for version in (1, 2):
        put_version(version)
    manager = await start_manager()
    assert await ask(manager, Wanted("m")) == 2
    assert states(manager) == {2: State.AVAILABLE}
    error = refused(manager.lease, Wanted("m", version=1))
    assert error.code is StatusCode.NOT_FOUND
    assert error.message == "Servable not found for request: Specific(m, 1)"


async def test_lease_when_the_model_is_unknown_then_is_not_found(start_manager, put_version):
    put_version(1)
    manager = await start_manager()
    for wanted, asked in (
        (Wanted("nope"), "Latest(nope)"),
        (Wanted("nope", version=3), "Specific(nope, 3)"),
    ):
        error = refused(manager.lease, wanted)
        assert error.code is StatusCode.NOT_FOUND
        assert error.message == f"Servable not found for request: {asked}"


@pytest.mark.parametrize("wanted", [Wanted("m", label="zz"), Wanted("nope", label="zz")])
async def test_lease_when_the_label_is_unknown_then_is_an_invalid_argument(
    start_manager, put_version, wanted
):
    put_version(1)
    manager = await start_manager()
    for call in (manager.lease, manager.status):
        error = refused(call, wanted)
        assert error.code is StatusCode.INVALID_ARGUMENT
        assert error.message == "Unrecognized servable version label: zz"


async def test_status_when_asked_then_tells_all_versions_newest_first_or_the_one(
    start_manager, put_version
):
    for version in (1, 2, 10):
        put_version(version)
    manager = await start_manager(models={"m": "model_version_policy { all {} }"})
    await at(manager, v1=State.AVAILABLE, v2=State.AVAILABLE, v10=State.AVAILABLE)
    assert [status.version for status in manager.status(Wanted("m"))] == [10, 2, 1]
    [status] = manager.status(Wanted("m", version=2))
    assert (status.version, status.state, status.error_code, status.error_message) == (2, 30, 0, "")
    error = refused(manager.status, Wanted("m", version=7))
    assert (error.code, error.message) == (
        StatusCode.NOT_FOUND,
        "Could not find version 7 of model m",
    )
    error = refused(manager.status, Wanted("nope"))
    assert (error.code, error.message) == (
        StatusCode.NOT_FOUND,
        "Could not find any versions of model nope",
    )


async def test_start_when_there_is_no_version_yet_then_waits_for_the_first(
    start_manager, put_version
):
    starting = asyncio.ensure_future(start_manager())
    await asyncio.sleep(POLL * 3)
    assert not starting.done()
    put_version(1)
    assert await ask(await starting, Wanted("m")) == 1


async def test_start_when_files_are_read_once_and_there_is_no_version_then_is_not_found(
    start_manager,
):
    with pytest.raises(ServingError, match="Unable to find a numerical version path") as error:
        await start_manager(file_system_poll_wait_seconds=0)
    assert error.value.code is StatusCode.NOT_FOUND


async def test_start_when_the_only_version_is_broken_then_tells_why_after_its_retries(
    start_manager, put_version
):
    put_version(1, prepare=break_model)
    with pytest.raises(ServingError) as error:
        await start_manager()
    assert error.value.code is StatusCode.UNKNOWN
    assert error.value.message.startswith(
        "1 model(s) did not become available: {{name: m version: 1 due to error: NOT_FOUND: "
    )


async def test_start_when_others_serve_the_configuration_already_then_serves_what_there_is(
    start_manager, put_version
):
    put_version(1)
    put_version(1, "n", prepare=break_model)
    models = {"m": STABLE % 1, "n": "", "gone": ""}
    manager = await start_manager(models=models, is_replacement=True)
    assert await ask(manager, Wanted("m", label="stable")) == 1
    await until(lambda: states(manager, "n") == {1: State.END})


async def test_start_when_the_configuration_is_wrong_then_is_refused(tmp_path):
    text = f'model_config_list {{ config {{ name: "m" base_path: "{tmp_path}" }} }}'
    manager = ModelManager(parsed(text), ManagerOptions())
    with pytest.raises(ServingError, match="Illegal setting neither"):
        await manager.start()


BATCHING = BatchingConfig(max_batch_size=8, batch_timeout_micros=0, num_batch_threads=1)


@pytest.mark.parametrize(
    ("own", "is_per_model", "largest"),
    [
        ("max_batch_size { value: 2 }", True, 2),
        ("max_batch_size { value: 2 }", False, 8),
        (None, True, None),
        (None, False, 8),
    ],
    ids=["its own", "its own is off", "none of its own", "the server's"],
)
async def test_batching_when_a_version_brings_parameters_then_they_count_if_that_is_on(
    start_manager, put_version, own, is_per_model, largest
):
    folder = put_version(1)
    if own is not None:
        (folder / "batching_params.pbtxt").write_text(own)
    manager = await start_manager(batching=BATCHING, per_model_batching=is_per_model)
    with manager.lease(Wanted("m")) as servable:
        many = {"text": np.array([b"a"] * 9, object)}
        if largest is None:
            assert len((await servable.run("loud", many))["loud"]) == 9
        else:
            message = f"Task size 9 is larger than maximum input batch size {largest}"
            with pytest.raises(ServingError, match=message):
                await servable.run("loud", many)


@pytest.mark.parametrize(
    "own",
    ["max_batch_size { value: 8 } allowed_batch_sizes: 4", "max_batch: 3", "\0"],
    ids=["a broken rule", "an unknown field", "no text"],
)
async def test_batching_when_a_versions_parameters_are_invalid_then_it_does_not_load(
    start_manager, put_version, own
):
    (put_version(1) / "batching_params.pbtxt").write_text(own)
    with pytest.raises(ServingError, match=r"batching_params\.pbtxt"):
        await start_manager(batching=BATCHING, per_model_batching=True)


async def test_on_event_when_versions_change_and_calls_are_made_then_is_told_of_them(
    start_manager, put_version
):
    put_version(1)
    events = []
    manager = await start_manager(on_event=events.append)
    await ask(manager, Wanted("m"))
    loading, available, call = events
    assert (loading.state, available.state) == (State.LOADING, State.AVAILABLE)
    assert isinstance(available, VersionChanged)
    assert available.seconds > 0
    assert isinstance(call, CallMade)
    assert (call.model, call.version, call.signature, call.run.rows) == ("m", 1, "loud", 1)


async def test_close_when_a_request_is_under_way_then_waits_for_it(start_manager, put_version):
    put_version(1)
    manager = await start_manager()
    with manager.lease(Wanted("m")) as servable:
        closing = asyncio.ensure_future(manager.close())
        await until(lambda: states(manager) == {1: State.UNLOADING})
        answer = await servable.run("loud", {"text": np.array([b"a"], object)})
        assert answer["loud"].tolist() == [b"a!"]
        assert not closing.done()
    await closing
    assert states(manager) == {1: State.END}
