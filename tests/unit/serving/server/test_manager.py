"""A server's models follow their folders and their configuration, and are lent to requests."""

import asyncio
import logging
import shutil
import weakref

import numpy as np
import pytest
from google.protobuf import text_format
from grpc import StatusCode
from tensorflow_serving.apis import get_model_status_pb2
from tensorflow_serving.config import model_server_config_pb2

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

pytestmark = pytest.mark.anyio

POLL = 0.02


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def config_text(tmp_path):
    """Writes models.config's text: `name="fields"` for each model."""

    def write(**models):
        entries = [
            f'config {{ name: "{name}" base_path: "{tmp_path / name}" '
            f'model_platform: "tensorflow" {fields} }}'
            for name, fields in models.items()
        ]
        return f"model_config_list {{ {' '.join(entries)} }}"

    return write


def parsed(text):
    return text_format.Parse(text, model_server_config_pb2.ModelServerConfig())


@pytest.fixture
async def start(config_text):
    """Starts a manager of the models given; others than `m` by their fields."""
    managers = []

    async def begin(on_event=None, models=None, is_replacement=False, **options):
        defaults = {
            "file_system_poll_wait_seconds": POLL,
            "max_num_load_retries": 1,
            "load_retry_interval_micros": 1000,
        }
        config = parsed(config_text(**(models if models is not None else {"m": ""})))
        manager = ModelManager(config, ManagerOptions(**defaults | options), on_event)
        await manager.start(is_replacement)
        managers.append(manager)
        return manager

    yield begin
    for manager in managers:
        await manager.close()


def states(manager, name="m"):
    return {status.version: State(status.state) for status in manager.status(Wanted(name))}


async def until(condition):
    """Returns when the condition holds."""
    while not condition():
        await asyncio.sleep(POLL / 4)


async def at(manager, **expected):
    """Returns when the versions of `m` are at these states: v1=State.END."""
    wanted = {int(name[1:]): state for name, state in expected.items()}
    await until(lambda: states(manager) == wanted)


async def ask(manager, wanted):
    """Returns the version that answered."""
    with manager.lease(wanted) as servable:
        answer = await servable.run("loud", {"text": np.array([b"a"], object)})
        assert answer["loud"].tolist() == [b"a!"]
        return servable.version


def refused(call, *arguments):
    with pytest.raises(ServingError) as error:
        call(*arguments)
    return error.value


def break_model(folder):
    (folder / "saved_model.pb").write_bytes(b"no model")


def test_state_when_told_to_clients_then_has_tf_servings_numbers():
    numbers = get_model_status_pb2.ModelVersionStatus.State
    assert {state.name: int(state) for state in State} == {
        name: number for name, number in numbers.items() if name != "UNKNOWN"
    }


async def test_start_when_versions_are_there_then_the_newest_answers_and_others_do_not(
    start, put_version
):
    for version in (1, 2):
        put_version(version)
    manager = await start()
    assert await ask(manager, Wanted("m")) == 2
    assert states(manager) == {2: State.AVAILABLE}
    error = refused(manager.lease, Wanted("m", version=1))
    assert error.code is StatusCode.NOT_FOUND
    assert error.message == "Servable not found for request: Specific(m, 1)"


async def test_lease_when_the_model_is_unknown_then_is_not_found(start, put_version):
    put_version(1)
    manager = await start()
    for wanted, asked in (
        (Wanted("nope"), "Latest(nope)"),
        (Wanted("nope", version=3), "Specific(nope, 3)"),
    ):
        error = refused(manager.lease, wanted)
        assert error.code is StatusCode.NOT_FOUND
        assert error.message == f"Servable not found for request: {asked}"


@pytest.mark.parametrize("wanted", [Wanted("m", label="zz"), Wanted("nope", label="zz")])
async def test_lease_when_the_label_is_unknown_then_is_an_invalid_argument(
    start, put_version, wanted
):
    put_version(1)
    manager = await start()
    for call in (manager.lease, manager.status):
        error = refused(call, wanted)
        assert error.code is StatusCode.INVALID_ARGUMENT
        assert error.message == "Unrecognized servable version label: zz"


async def test_status_when_asked_then_tells_all_versions_newest_first_or_the_one(
    start, put_version
):
    for version in (1, 2, 10):
        put_version(version)
    manager = await start(models={"m": "model_version_policy { all {} }"})
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


async def test_start_when_there_is_no_version_yet_then_waits_for_the_first(start, put_version):
    starting = asyncio.ensure_future(start())
    await asyncio.sleep(POLL * 3)
    assert not starting.done()
    put_version(1)
    assert await ask(await starting, Wanted("m")) == 1


async def test_start_when_files_are_read_once_and_there_is_no_version_then_is_not_found(start):
    with pytest.raises(ServingError, match="Unable to find a numerical version path") as error:
        await start(file_system_poll_wait_seconds=0)
    assert error.value.code is StatusCode.NOT_FOUND


async def test_start_when_the_only_version_is_broken_then_tells_why_after_its_retries(
    start, put_version
):
    put_version(1, prepare=break_model)
    with pytest.raises(ServingError) as error:
        await start()
    assert error.value.code is StatusCode.UNKNOWN
    assert error.value.message.startswith(
        "1 model(s) did not become available: {{name: m version: 1 due to error: NOT_FOUND: "
    )


async def test_start_when_others_serve_the_configuration_already_then_serves_what_there_is(
    start, put_version
):
    put_version(1)
    put_version(1, "n", prepare=break_model)
    models = {"m": STABLE % 1, "n": "", "gone": ""}
    manager = await start(models=models, is_replacement=True)
    assert await ask(manager, Wanted("m", label="stable")) == 1
    await until(lambda: states(manager, "n") == {1: State.END})


async def test_start_when_the_configuration_is_wrong_then_is_refused(tmp_path):
    text = f'model_config_list {{ config {{ name: "m" base_path: "{tmp_path}" }} }}'
    manager = ModelManager(parsed(text), ManagerOptions())
    with pytest.raises(ServingError, match="Illegal setting neither"):
        await manager.start()


async def test_poll_when_a_version_appears_then_takes_over_and_memory_is_given_back(
    start, put_version
):
    put_version(1)
    manager = await start()
    with manager.lease(Wanted("m")) as servable:
        session = weakref.ref(servable._model._session)
        del servable
        put_version(2)
        await at(manager, v1=State.UNLOADING, v2=State.AVAILABLE)
        assert await ask(manager, Wanted("m")) == 2
        refused(manager.lease, Wanted("m", version=1))
        assert session() is not None
    await at(manager, v1=State.END, v2=State.AVAILABLE)
    await until(lambda: session() is None)


async def test_poll_when_requests_never_pause_then_none_fails_while_versions_come_and_go(
    start, put_version
):
    put_version(1)
    manager = await start()
    answered = set()
    is_over = asyncio.Event()

    async def client():
        while not is_over.is_set():
            answered.add(await ask(manager, Wanted("m")))

    clients = [asyncio.ensure_future(client()) for _ in range(4)]
    for version in (2, 3):
        put_version(version)
        await until(lambda version=version: version in answered)
    is_over.set()
    await asyncio.gather(*clients)
    assert answered == {1, 2, 3}


async def test_poll_when_a_version_is_broken_then_ends_with_its_error_and_the_old_one_answers(
    start, put_version
):
    put_version(1)
    manager = await start()
    put_version(2, prepare=break_model)
    await at(manager, v1=State.AVAILABLE, v2=State.END)
    [status] = manager.status(Wanted("m", version=2))
    assert status.error_code == StatusCode.NOT_FOUND.value[0]
    assert "saved_model.pb" in status.error_message
    assert await ask(manager, Wanted("m")) == 1
    put_version(3)
    await at(manager, v1=State.END, v2=State.END, v3=State.AVAILABLE)


@pytest.mark.parametrize("name", ["temporary", ".tapeline-staging-1", "2.5"])
async def test_poll_when_a_folder_is_no_version_then_is_passed_over(start, put_version, name):
    put_version(1).parent.joinpath(name).mkdir()
    manager = await start()
    put_version(2)
    await at(manager, v1=State.END, v2=State.AVAILABLE)


async def test_poll_when_the_folder_is_007_then_version_7_answers(start, put_version):
    put_version("007")
    assert await ask(await start(), Wanted("m", version=7)) == 7


async def test_poll_when_the_base_path_is_gone_then_what_is_loaded_answers_on(
    start, put_version, tmp_path, caplog
):
    put_version(1)
    manager = await start()
    (tmp_path / "m").rename(tmp_path / "away")
    await until(lambda: "Could not find base path" in caplog.text)
    assert await ask(manager, Wanted("m")) == 1


async def test_poll_when_all_versions_are_gone_then_all_are_unloaded(start, put_version):
    folder = put_version(1)
    manager = await start()
    shutil.rmtree(folder)
    await at(manager, v1=State.END)
    assert refused(manager.lease, Wanted("m")).message.endswith("Latest(m)")


async def test_poll_when_versions_are_to_be_always_present_then_the_last_answers_on(
    start, put_version, caplog
):
    folder = put_version(1)
    manager = await start(servable_versions_always_present=True)
    shutil.rmtree(folder)
    await until(lambda: "No versions of servable m found" in caplog.text)
    await asyncio.sleep(POLL)
    assert await ask(manager, Wanted("m")) == 1


SPECIFIC = "model_version_policy { specific { versions: %s } }"
STABLE = 'version_labels { key: "stable" value: %d }'


async def test_start_when_a_label_is_on_a_version_to_come_then_is_refused_unless_allowed(
    start, put_version
):
    put_version(1)
    with pytest.raises(ServingError) as error:
        await start(models={"m": STABLE % 1})
    assert error.value.code is StatusCode.FAILED_PRECONDITION
    manager = await start(
        models={"m": STABLE % 1}, allow_version_labels_for_unavailable_models=True
    )
    assert await ask(manager, Wanted("m", label="stable")) == 1
    assert [status.version for status in manager.status(Wanted("m", label="stable"))] == [1]


async def test_reload_when_a_label_moves_then_its_requests_go_to_the_other_version(
    start, put_version, config_text
):
    for version in (1, 2):
        put_version(version)
    both = SPECIFIC % "1 versions: 2"
    manager = await start(models={"m": both})
    await at(manager, v1=State.AVAILABLE, v2=State.AVAILABLE)
    for version in (1, 2):
        await manager.reload(parsed(config_text(m=both + STABLE % version)))
        assert await ask(manager, Wanted("m", label="stable")) == version
    assert await ask(manager, Wanted("m")) == 2


async def test_reload_when_a_label_would_stand_on_an_unavailable_version_then_all_stays(
    start, put_version, config_text
):
    for version in (1, 2):
        put_version(version)
    manager = await start(models={"m": SPECIFIC % 1})
    await manager.reload(parsed(config_text(m=SPECIFIC % 1 + STABLE % 1)))
    with pytest.raises(ServingError) as error:
        await manager.reload(parsed(config_text(m=SPECIFIC % 2 + STABLE % 2)))
    assert error.value.code is StatusCode.FAILED_PRECONDITION
    await asyncio.sleep(POLL * 2)
    assert states(manager) == {1: State.AVAILABLE}
    assert await ask(manager, Wanted("m", label="stable")) == 1


async def test_reload_when_labels_are_forced_then_stand_where_nothing_answers_yet(
    start, put_version, config_text
):
    for version in (1, 2):
        put_version(version)
    manager = await start(
        models={"m": SPECIFIC % 1 + STABLE % 1},
        force_allow_any_version_labels_for_unavailable_models=True,
    )
    await manager.reload(parsed(config_text(m=SPECIFIC % 2 + STABLE % 2)))
    await at(manager, v1=State.END, v2=State.AVAILABLE)
    assert await ask(manager, Wanted("m", label="stable")) == 2


async def test_reload_when_a_model_is_added_and_one_left_out_then_is_the_full_set(
    start, put_version, config_text
):
    put_version(1)
    put_version(5, "n")
    manager = await start()
    await manager.reload(parsed(config_text(n="")))
    assert await ask(manager, Wanted("n")) == 5
    await at(manager, v1=State.END)
    assert refused(manager.lease, Wanted("m")).code is StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda text: text.replace("tensorflow", "pytorch"), StatusCode.INVALID_ARGUMENT),
        (lambda text: text.replace('"m"', '""'), StatusCode.INVALID_ARGUMENT),
        (lambda text: text.replace('"m"', '"other"'), StatusCode.NOT_FOUND),
    ],
    ids=["another platform", "no name", "a new model without versions"],
)
async def test_reload_when_the_configuration_is_bad_then_all_stays_as_it_was(
    start, put_version, config_text, tmp_path, change, code
):
    put_version(1)
    manager = await start()
    bad = change(config_text(m="")).replace(f'"{tmp_path}/m"', f'"{tmp_path}"')
    with pytest.raises(ServingError) as error:
        await manager.reload(parsed(bad))
    assert error.value.code is code
    await asyncio.sleep(POLL * 2)
    assert states(manager) == {1: State.AVAILABLE}
    assert await ask(manager, Wanted("m")) == 1


async def test_reload_when_a_new_model_is_broken_then_is_unknown_and_others_answer(
    start, put_version, config_text
):
    put_version(1)
    manager = await start()
    put_version(1, "n", prepare=break_model)
    with pytest.raises(ServingError, match="name: n version: 1") as error:
        await manager.reload(parsed(config_text(m="", n="")))
    assert error.value.code is StatusCode.UNKNOWN
    assert await ask(manager, Wanted("m")) == 1


async def test_reload_when_the_configuration_is_empty_then_nothing_happens(start, put_version):
    put_version(1)
    manager = await start()
    await manager.reload(model_server_config_pb2.ModelServerConfig())
    assert await ask(manager, Wanted("m")) == 1


@pytest.fixture
def replace_text(tmp_path):
    """Replaces models.config; returns its path."""

    def replace(text):
        staged = tmp_path / "staged.config"
        staged.write_text(text)
        return staged.replace(tmp_path / "models.config")

    return replace


async def test_config_file_when_it_changes_then_is_followed(
    start, put_version, config_text, replace_text
):
    for version in (1, 2):
        put_version(version)
    path = replace_text(config_text(m=""))
    manager = await start(model_config_file=path, model_config_file_poll_wait_seconds=POLL)
    replace_text(config_text(m=SPECIFIC % 1))
    await at(manager, v1=State.AVAILABLE, v2=State.END)


@pytest.mark.parametrize(
    "broken", ["model_config_list { config {", 'model_config_list { config { name: "m" } }', "\0"]
)
async def test_config_file_when_it_is_broken_then_says_so_once_and_follows_the_mended_one(
    start, put_version, config_text, replace_text, caplog, broken
):
    for version in (1, 2):
        put_version(version)
    path = replace_text(config_text(m=""))
    manager = await start(model_config_file=path, model_config_file_poll_wait_seconds=POLL)
    caplog.clear()
    replace_text(broken)
    await until(lambda: any(item.levelno == logging.ERROR for item in caplog.records))
    await asyncio.sleep(POLL * 4)
    assert sum(item.levelno == logging.ERROR for item in caplog.records) == 1
    assert await ask(manager, Wanted("m")) == 2
    replace_text(config_text(m=SPECIFIC % 1))
    await at(manager, v1=State.AVAILABLE, v2=State.END)


async def test_config_file_when_a_label_waits_for_its_version_then_is_tried_until_it_is_there(
    start, put_version, config_text, replace_text
):
    put_version(1)
    path = replace_text(config_text(m=STABLE % 1))
    manager = await start(
        models={"m": STABLE % 1},
        model_config_file=path,
        model_config_file_poll_wait_seconds=POLL,
        allow_version_labels_for_unavailable_models=True,
    )
    replace_text(config_text(m=STABLE % 2))
    await asyncio.sleep(POLL * 3)
    assert await ask(manager, Wanted("m", label="stable")) == 1
    put_version(2)
    await until(lambda: manager._labels == {"m": {"stable": 2}})
    assert await ask(manager, Wanted("m", label="stable")) == 2


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
    start, put_version, own, is_per_model, largest
):
    folder = put_version(1)
    if own is not None:
        (folder / "batching_params.pbtxt").write_text(own)
    manager = await start(batching=BATCHING, per_model_batching=is_per_model)
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
    start, put_version, own
):
    (put_version(1) / "batching_params.pbtxt").write_text(own)
    with pytest.raises(ServingError, match=r"batching_params\.pbtxt"):
        await start(batching=BATCHING, per_model_batching=True)


async def test_on_event_when_versions_change_and_calls_are_made_then_is_told_of_them(
    start, put_version
):
    put_version(1)
    events = []
    manager = await start(on_event=events.append)
    await ask(manager, Wanted("m"))
    loading, available, call = events
    assert (loading.state, available.state) == (State.LOADING, State.AVAILABLE)
    assert isinstance(available, VersionChanged)
    assert available.seconds > 0
    assert isinstance(call, CallMade)
    assert (call.model, call.version, call.signature, call.run.rows) == ("m", 1, "loud", 1)


async def test_close_when_a_request_is_under_way_then_waits_for_it(start, put_version):
    put_version(1)
    manager = await start()
    with manager.lease(Wanted("m")) as servable:
        closing = asyncio.ensure_future(manager.close())
        await until(lambda: states(manager) == {1: State.UNLOADING})
        answer = await servable.run("loud", {"text": np.array([b"a"], object)})
        assert answer["loud"].tolist() == [b"a!"]
        assert not closing.done()
    await closing
    assert states(manager) == {1: State.END}
