"""Several signatures on the same examples: one that fails does not leave the others behind."""

import asyncio

import numpy as np
import pytest
from grpc import StatusCode
from tensorflow.core.protobuf import meta_graph_pb2

from serving.server.errors import ServingError
from serving.server.examples import CLASSIFY, REGRESS, infer

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


def signature(method, output):
    made = meta_graph_pb2.SignatureDef(method_name=method)
    made.inputs["inputs"].name = "examples:0"
    made.outputs[output].name = f"{output}:0"
    return made


class HalfBroken:
    """Fails the one signature at once; answers the other when it is let go."""

    def __init__(self):
        self.signatures = {
            "fails": signature(CLASSIFY, "scores"),
            "lasts": signature(REGRESS, "outputs"),
        }
        self.began = asyncio.Event()
        self.gate = asyncio.Event()
        self.is_over = False

    async def run(self, name, inputs, outputs=None):
        if name == "fails":
            raise ServingError(StatusCode.INTERNAL, "the model failed")
        try:
            self.began.set()
            await self.gate.wait()
        finally:
            self.is_over = True
        return {"outputs": np.zeros(1, np.float32)}


@pytest.fixture
def servable():
    return HalfBroken()


def begin(servable):
    examples = np.array([b""], object)
    tasks = [("fails", CLASSIFY), ("lasts", REGRESS)]
    return asyncio.ensure_future(infer(servable, tasks, examples))


async def test_infer_when_one_signature_fails_then_says_so_when_the_others_have_ended(servable):
    inferring = begin(servable)
    await servable.began.wait()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not inferring.done()
    servable.gate.set()
    with pytest.raises(ServingError, match="the model failed"):
        await inferring
    assert servable.is_over


async def test_infer_when_cancelled_then_so_are_its_calls(servable):
    inferring = begin(servable)
    await servable.began.wait()
    inferring.cancel()
    with pytest.raises(asyncio.CancelledError):
        await inferring
    assert servable.is_over
