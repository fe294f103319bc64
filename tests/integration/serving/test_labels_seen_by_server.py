"""A server that follows the directory: every label answers while versions come, go and change.

Its manager keeps TF Serving's rule: a models.config that moves a label to a version that is not
loaded yet is refused, all of it, and read again at the next poll.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest

from serving.config import ServeConfig
from serving.operations import promote, rollback
from serving.server.errors import ServingError
from serving.server.manager import ManagerOptions, ModelManager, Wanted
from serving.text_configs import parse_models
from serving.version_folders import versions
from serving.versions import publish

MODEL_NAME = "scale"
POLL = 0.05
X = np.array([1.0, 4.0], np.float32)
LIMIT = 60.0
"""Seconds after which a change counts as never seen."""


class Client:
    """Asks without rest by label and without one, and counts what it is answered."""

    def __init__(self, manager: ModelManager) -> None:
        self._manager = manager
        self.answers: dict[str | None, list[tuple[int, float]]] = {}
        self.failures: list[str] = []

    async def ask(self, label: str | None) -> tuple[int, float]:
        with self._manager.lease(Wanted(MODEL_NAME, label=label)) as servable:
            answer = await servable.run("serving_default", {"x": X})
            return servable.version, float(answer["y"][0])

    async def ask_for_ever(self, label: str | None) -> None:
        while True:
            try:
                self.answers.setdefault(label, []).append(await self.ask(label))
            except ServingError as error:
                self.failures.append(f"{label}: {error.message}")
            await asyncio.sleep(0.001)

    async def until(self, label: str | None, version: int, factor: float) -> None:
        """Waits for an answer; a label that is new may stand on a version that is loading."""

        async def answers() -> None:
            while True:
                with contextlib.suppress(ServingError):
                    if await self.ask(label) == (version, factor):
                        return
                await asyncio.sleep(0.005)

        await asyncio.wait_for(answers(), LIMIT)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "serving" / MODEL_NAME


@pytest.fixture
def push(base: Path, scale_models: dict[float, Path]) -> Callable[..., int]:
    def run(factor: float, push_to: str = "stable") -> int:
        config = ServeConfig.model_validate(
            {"push_to": push_to, "model_config_file_poll_wait_seconds": POLL, "keep_versions": 2}
        )
        model = scale_models[factor]
        pushed = publish(model, base.parent, MODEL_NAME, config, {}, lambda _: None)
        return int(pushed.folder.name)

    return run


async def serve(base: Path, scenario: Callable[[Client], Awaitable[None]]) -> Client:
    """Runs a scenario beside clients that ask for `stable` and for no label."""
    models = base.parent / "models.config"
    options = ManagerOptions(
        file_system_poll_wait_seconds=POLL,
        model_config_file=models,
        model_config_file_poll_wait_seconds=POLL,
        allow_version_labels_for_unavailable_models=True,
    )
    manager = ModelManager(parse_models(models.read_text()), options)
    await manager.start()
    client = Client(manager)
    tasks = [asyncio.create_task(client.ask_for_ever(label)) for label in ("stable", None)]
    try:
        await asyncio.wait_for(scenario(client), 4 * LIMIT)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await manager.close()
    return client


def test_labels_when_versions_are_pushed_promoted_and_rolled_back_then_no_request_is_lost(
    base, push
):
    first = push(2.0)

    async def scenario(client: Client) -> None:
        async def both(version: int, factor: float) -> None:
            await client.until("stable", version, factor)
            await client.until(None, version, factor)

        await both(first, 2.0)
        second = await asyncio.to_thread(push, 3.0)
        await both(second, 3.0)
        third = await asyncio.to_thread(push, 5.0)
        await both(third, 5.0)
        # Back to what is loaded still, and then to what is not.
        await asyncio.to_thread(rollback, base, None, POLL)
        await both(second, 3.0)
        await asyncio.to_thread(promote, base, third, "stable", POLL)
        await both(third, 5.0)
        await asyncio.to_thread(rollback, base, second, POLL)
        await both(second, 3.0)
        # A push after a rollback takes over, from a model whose newest version is not served.
        fourth = await asyncio.to_thread(push, 2.0)
        await both(fourth, 2.0)
        fifth = await asyncio.to_thread(push, 3.0, "canary")
        await client.until("canary", fifth, 3.0)
        await client.until("stable", fourth, 2.0)
        await client.until(None, fifth, 3.0)
        sixth = await asyncio.to_thread(push, 5.0, "canary")
        await client.until("canary", sixth, 5.0)
        await asyncio.to_thread(promote, base, sixth, "stable", POLL)
        await both(sixth, 5.0)

    client = asyncio.run(serve(base, scenario))

    assert client.failures == []
    for label in ("stable", None):
        # A version has one answer, whoever asks and whenever.
        assert len(set(client.answers[label])) == len({v for v, _ in client.answers[label]}) >= 4


def test_labels_when_the_newest_version_never_loads_then_the_one_before_goes_on_answering(
    base, push
):
    first = push(2.0)
    models = base.parent / "models.config"

    async def scenario(client: Client) -> None:
        await client.until("stable", first, 2.0)
        second = await asyncio.to_thread(push, 3.0)
        await client.until("stable", second, 3.0)
        broken = base / str(second + 1)
        (broken / "variables").mkdir(parents=True)
        (broken / "saved_model.pb").write_bytes(b"no graph")
        await asyncio.to_thread(promote, base, second + 1, "stable", POLL)
        assert parse_models(models.read_text()).model_config_list.config[0].version_labels == {
            "stable": second + 1
        }
        asked = len(client.answers["stable"])
        while len(client.answers["stable"]) < asked + 200:
            await asyncio.sleep(0.01)
        await client.until("stable", second, 3.0)
        await asyncio.to_thread(rollback, base, None, POLL)
        await client.until("stable", second, 3.0)
        await client.until(None, second, 3.0)

    client = asyncio.run(serve(base, scenario))

    assert client.failures == []
    assert len(versions(base)) == 3
