"""A manager under test: what it serves, when it has come to a state, and what it refuses."""

import asyncio

import numpy as np
import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from serving.server.errors import ServingError
from serving.server.manager import Wanted
from serving.server.policy import State

POLL = 0.02

SPECIFIC = "model_version_policy { specific { versions: %s } }"
STABLE = 'version_labels { key: "stable" value: %d }'


def parsed(text):
    return text_format.Parse(text, model_server_config_pb2.ModelServerConfig())


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
