"""A server's models follow their folders and their configuration's file."""

import asyncio
import logging
import shutil
import weakref

import pytest
from grpc import StatusCode

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
    refused,
    until,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def test_poll_when_a_version_appears_then_takes_over_and_memory_is_given_back(
    start_manager, put_version
):
    put_version(1)
    manager = await start_manager()
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
    start_manager, put_version
):
    put_version(1)
    manager = await start_manager()
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
    start_manager, put_version
):
    put_version(1)
    manager = await start_manager()
    put_version(2, prepare=break_model)
    await at(manager, v1=State.AVAILABLE, v2=State.END)
    [status] = manager.status(Wanted("m", version=2))
    assert status.error_code == StatusCode.NOT_FOUND.value[0]
    assert "saved_model.pb" in status.error_message
    assert await ask(manager, Wanted("m")) == 1
    put_version(3)
    await at(manager, v1=State.END, v2=State.END, v3=State.AVAILABLE)


@pytest.mark.parametrize("name", ["temporary", ".tapeline-staging-1", "2.5"])
async def test_poll_when_a_folder_is_no_version_then_is_passed_over(
    start_manager, put_version, name
):
    put_version(1).parent.joinpath(name).mkdir()
    manager = await start_manager()
    put_version(2)
    await at(manager, v1=State.END, v2=State.AVAILABLE)


async def test_poll_when_the_folder_is_007_then_version_7_answers(start_manager, put_version):
    put_version("007")
    assert await ask(await start_manager(), Wanted("m", version=7)) == 7


async def test_poll_when_the_base_path_is_gone_then_what_is_loaded_answers_on(
    start_manager, put_version, tmp_path, caplog
):
    put_version(1)
    manager = await start_manager()
    (tmp_path / "m").rename(tmp_path / "away")
    await until(lambda: "Could not find base path" in caplog.text)
    assert await ask(manager, Wanted("m")) == 1


async def test_poll_when_all_versions_are_gone_then_all_are_unloaded(start_manager, put_version):
    folder = put_version(1)
    manager = await start_manager()
    shutil.rmtree(folder)
    await at(manager, v1=State.END)
    assert refused(manager.lease, Wanted("m")).message.endswith("Latest(m)")


async def test_poll_when_versions_are_to_be_always_present_then_the_last_answers_on(
    start_manager, put_version, caplog
):
    folder = put_version(1)
    manager = await start_manager(servable_versions_always_present=True)
    shutil.rmtree(folder)
    await until(lambda: "No versions of servable m found" in caplog.text)
    await asyncio.sleep(POLL)
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
    start_manager, put_version, config_text, replace_text
):
    for version in (1, 2):
        put_version(version)
    path = replace_text(config_text(m=""))
    manager = await start_manager(model_config_file=path, model_config_file_poll_wait_seconds=POLL)
    replace_text(config_text(m=SPECIFIC % 1))
    await at(manager, v1=State.AVAILABLE, v2=State.END)


@pytest.mark.parametrize(
    "broken", ["model_config_list { config {", 'model_config_list { config { name: "m" } }', "\0"]
)
async def test_config_file_when_it_is_broken_then_says_so_once_and_follows_the_mended_one(
    start_manager, put_version, config_text, replace_text, caplog, broken
):
    for version in (1, 2):
        put_version(version)
    path = replace_text(config_text(m=""))
    manager = await start_manager(model_config_file=path, model_config_file_poll_wait_seconds=POLL)
    caplog.clear()
    replace_text(broken)
    await until(lambda: any(item.levelno == logging.ERROR for item in caplog.records))
    await asyncio.sleep(POLL * 4)
    assert sum(item.levelno == logging.ERROR for item in caplog.records) == 1
    assert await ask(manager, Wanted("m")) == 2
    replace_text(config_text(m=SPECIFIC % 1))
    await at(manager, v1=State.AVAILABLE, v2=State.END)


async def test_config_file_when_a_label_waits_for_its_version_then_is_tried_until_it_is_there(
    start_manager, put_version, config_text, replace_text
):
    put_version(1)
    path = replace_text(config_text(m=STABLE % 1))
    manager = await start_manager(
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
