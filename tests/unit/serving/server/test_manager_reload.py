"""A new configuration is the full set of models and labels, or changes nothing."""

import asyncio

import pytest
from grpc import StatusCode
from tensorflow_serving.config import model_server_config_pb2

from serving.server.errors import ServingError
from serving.server.manager import (
    Wanted,
)
from serving.server.policy import State
from tests.unit.serving.server.managed import (
    POLL,
    SPECIFIC,
    STABLE,
    ask,
    at,
    break_model,
    parsed,
    refused,
    states,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def test_start_when_a_label_is_on_a_version_to_come_then_is_refused_unless_allowed(
    start_manager, put_version
):
    put_version(1)
    with pytest.raises(ServingError) as error:
        await start_manager(models={"m": STABLE % 1})
    assert error.value.code is StatusCode.FAILED_PRECONDITION
    manager = await start_manager(
        models={"m": STABLE % 1}, allow_version_labels_for_unavailable_models=True
    )
    assert await ask(manager, Wanted("m", label="stable")) == 1
    assert [status.version for status in manager.status(Wanted("m", label="stable"))] == [1]


async def test_reload_when_a_label_moves_then_its_requests_go_to_the_other_version(
    start_manager, put_version, config_text
):
    for version in (1, 2):
        put_version(version)
    both = SPECIFIC % "1 versions: 2"
    manager = await start_manager(models={"m": both})
    await at(manager, v1=State.AVAILABLE, v2=State.AVAILABLE)
    for version in (1, 2):
        await manager.reload(parsed(config_text(m=both + STABLE % version)))
        assert await ask(manager, Wanted("m", label="stable")) == version
    assert await ask(manager, Wanted("m")) == 2


async def test_reload_when_a_label_would_stand_on_an_unavailable_version_then_all_stays(
    start_manager, put_version, config_text
):
    for version in (1, 2):
        put_version(version)
    manager = await start_manager(models={"m": SPECIFIC % 1})
    await manager.reload(parsed(config_text(m=SPECIFIC % 1 + STABLE % 1)))
    with pytest.raises(ServingError) as error:
        await manager.reload(parsed(config_text(m=SPECIFIC % 2 + STABLE % 2)))
    assert error.value.code is StatusCode.FAILED_PRECONDITION
    await asyncio.sleep(POLL * 2)
    assert states(manager) == {1: State.AVAILABLE}
    assert await ask(manager, Wanted("m", label="stable")) == 1


async def test_reload_when_labels_are_forced_then_stand_where_nothing_answers_yet(
    start_manager, put_version, config_text
):
    for version in (1, 2):
        put_version(version)
    manager = await start_manager(
        models={"m": SPECIFIC % 1 + STABLE % 1},
        force_allow_any_version_labels_for_unavailable_models=True,
    )
    await manager.reload(parsed(config_text(m=SPECIFIC % 2 + STABLE % 2)))
    await at(manager, v1=State.END, v2=State.AVAILABLE)
    assert await ask(manager, Wanted("m", label="stable")) == 2


async def test_reload_when_a_model_is_added_and_one_left_out_then_is_the_full_set(
    start_manager, put_version, config_text
):
    put_version(1)
    put_version(5, "n")
    manager = await start_manager()
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
    start_manager, put_version, config_text, tmp_path, change, code
):
    put_version(1)
    manager = await start_manager()
    bad = change(config_text(m="")).replace(f'"{tmp_path}/m"', f'"{tmp_path}"')
    with pytest.raises(ServingError) as error:
        await manager.reload(parsed(bad))
    assert error.value.code is code
    await asyncio.sleep(POLL * 2)
    assert states(manager) == {1: State.AVAILABLE}
    assert await ask(manager, Wanted("m")) == 1


async def test_reload_when_a_new_model_is_broken_then_is_unknown_and_others_answer(
    start_manager, put_version, config_text
):
    put_version(1)
    manager = await start_manager()
    put_version(1, "n", prepare=break_model)
    with pytest.raises(ServingError, match="name: n version: 1") as error:
        await manager.reload(parsed(config_text(m="", n="")))
    assert error.value.code is StatusCode.UNKNOWN
    assert await ask(manager, Wanted("m")) == 1


async def test_reload_when_the_configuration_is_empty_then_nothing_happens(
    start_manager, put_version
):
    put_version(1)
    manager = await start_manager()
    await manager.reload(model_server_config_pb2.ModelServerConfig())
    assert await ask(manager, Wanted("m")) == 1
