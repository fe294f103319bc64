"""A version answers what fits its signatures, in batches or by itself, and nothing else."""

import asyncio
import threading
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
from grpc import StatusCode
from tensorflow.core.protobuf import meta_graph_pb2

from serving.config import BatchingConfig
from serving.server.batching import BatchScheduler
from serving.server.errors import ServingError
from serving.server.servable import Servable
from serving.server.workers import Workers
from serving.session import SavedModelSession

pytestmark = pytest.mark.anyio

BATCHING = BatchingConfig(
    max_batch_size=4, batch_timeout_micros=0, num_batch_threads=1, allowed_batch_sizes=[2, 4]
)


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def model(saved_scale):
    return SavedModelSession(saved_scale)


@pytest.fixture(params=[None, BATCHING], ids=["alone", "batched"])
async def servable(request, model):
    workers, scheduler = Workers(2, 8), BatchScheduler(1)
    yield Servable("m", 3, model, workers, request.param, scheduler)
    workers.close()
    scheduler.close()


@pytest.fixture
async def batched(model):
    workers, scheduler = Workers(2, 8), BatchScheduler(1)
    yield Servable("m", 3, model, workers, BATCHING, scheduler)
    workers.close()
    scheduler.close()


def scale_inputs(*rows):
    return {"x": np.array(rows, np.float32), "count": np.arange(len(rows), dtype=np.int64)}


def texts(*values):
    return {"text": np.array(values, dtype=object)}


async def refused(request):
    """Returns the error that a request comes to."""
    with pytest.raises(ServingError) as error:
        await request
    return error.value


async def test_servable_when_loaded_then_knows_its_name_version_and_signatures(servable):
    assert (servable.name, servable.version) == ("m", 3)
    assert set(servable.signatures) == {
        "serving_default",
        "loud",
        "classify",
        "picky",
        "any_rank",
        "any_width",
    }
    assert servable.signatures["classify"].inputs["inputs"].name


async def test_run_when_given_a_batch_then_answers_with_every_output(servable):
    answer = await servable.run("serving_default", scale_inputs([1, 2], [3, 4], [5, 6]))
    assert set(answer) == {"y", "count", "rows"}
    np.testing.assert_array_equal(answer["y"], [[2, 4], [6, 8], [10, 12]])
    np.testing.assert_array_equal(answer["count"], [1, 2, 3])
    np.testing.assert_array_equal(answer["rows"], [3, 7, 11])
    assert (answer["y"].dtype, answer["count"].dtype) == (np.float32, np.int64)


async def test_run_when_some_outputs_are_wanted_then_answers_with_those_alone(servable):
    answer = await servable.run("serving_default", scale_inputs([1, 2]), ["rows", "y"])
    assert set(answer) == {"rows", "y"}
    np.testing.assert_array_equal(answer["rows"], [3])
    np.testing.assert_array_equal(answer["y"], [[2, 4]])


async def test_run_when_strings_hold_any_bytes_then_they_pass_unchanged(servable):
    answer = await servable.run("loud", texts(b"a\0", b"\xff", b""))
    assert answer["loud"].dtype == object
    assert answer["loud"].tolist() == [b"a\0!", b"\xff!", b"!"]


async def test_run_when_many_ask_at_once_then_each_gets_its_own_rows(servable):
    answers = await asyncio.gather(
        *[servable.run("serving_default", scale_inputs([value, 0])) for value in range(8)]
    )
    assert [answer["y"].tolist() for answer in answers] == [[[2 * v, 0]] for v in range(8)]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"x": np.ones((1, 2), np.float64)}, "input x: found type float64"),
        ({"x": np.ones((1, 2), np.int32)}, "input x: found type int32"),
        ({"x": np.array([[b"1", b"2"]], object)}, "input x: found type object"),
        ({"x": np.ones((1, 3), np.float32)}, "input x: found shape [1, 3]"),
        ({"x": np.ones(2, np.float32)}, "input x: found shape [2]"),
        ({"x": np.ones((1, 1, 2), np.float32)}, "input x: found shape [1, 1, 2]"),
        ({"x": np.float32(1)}, "input x: found shape []"),
        ({"more": np.ones(1)}, "sent extra: ['more']"),
    ],
    ids=["float64", "int32", "strings", "width", "rank 1", "rank 3", "scalar", "extra"],
)
async def test_run_when_an_input_does_not_fit_then_is_an_invalid_argument(servable, change, found):
    error = await refused(servable.run("serving_default", scale_inputs([1, 2]) | change))
    assert error.code is StatusCode.INVALID_ARGUMENT
    assert found in error.message


async def test_run_when_an_input_is_missing_then_names_it(servable):
    error = await refused(servable.run("serving_default", {"x": np.ones((1, 2), np.float32)}))
    assert error.code is StatusCode.INVALID_ARGUMENT
    assert "missing but required: ['count']" in error.message


async def test_run_when_an_output_is_unknown_then_is_an_invalid_argument(servable):
    error = await refused(servable.run("serving_default", scale_inputs([1, 2]), ["nope"]))
    assert error.code is StatusCode.INVALID_ARGUMENT
    assert error.message.startswith("output tensor alias not found in signature: nope")


@pytest.mark.parametrize("name", ["nope", "__saved_model_init_op", ""])
async def test_run_when_the_signature_is_unknown_then_is_a_failed_precondition(servable, name):
    error = await refused(servable.run(name, {}))
    assert error.code is StatusCode.FAILED_PRECONDITION
    assert error.message == f'Serving signature key "{name}" not found.'


async def test_run_when_the_signature_takes_a_sparse_tensor_then_is_an_invalid_argument():
    definition = meta_graph_pb2.SignatureDef()
    definition.inputs["x"].coo_sparse.values_tensor_name = "values:0"
    workers = Workers(1, 8)
    servable = Servable("m", 3, SimpleNamespace(signatures={"sparse": definition}), workers)
    error = await refused(servable.run("sparse", {"x": np.ones((1, 3), np.float32)}))
    assert error.code is StatusCode.INVALID_ARGUMENT
    assert error.message == (
        "signature sparse: x: found a sparse or composite tensor; allowed: dense ones"
    )
    workers.close()


async def test_run_when_the_model_refuses_then_has_the_models_code_and_the_next_is_answered(
    servable,
):
    error = await refused(servable.run("picky", {"x": np.array([-1], np.float32)}))
    assert error.code is StatusCode.INVALID_ARGUMENT
    assert "x is negative" in error.message
    answer = await servable.run("picky", {"x": np.array([4], np.float32)})
    np.testing.assert_array_equal(answer["y"], [2])


async def test_run_when_an_example_is_none_then_is_an_invalid_argument_that_shows_it(servable):
    error = await refused(servable.run("classify", {"inputs": np.array([b"\xff"], object)}))
    assert error.code is StatusCode.INVALID_ARGUMENT
    assert "Could not parse example input" in error.message


async def test_run_when_the_signature_names_no_tensor_of_the_graph_then_others_are_answered(
    saved_scale,
):
    model = SavedModelSession(saved_scale)
    model.signatures["loose"] = meta_graph_pb2.SignatureDef()
    model.signatures["loose"].outputs["y"].name = "nowhere:0"
    workers = Workers(1, 8)
    servable = Servable("m", 3, model, workers)
    error = await refused(servable.run("loose", {}))
    assert error.message.startswith("signature loose: ")
    assert (await servable.run("loud", texts(b"a")))["loud"].tolist() == [b"a!"]
    workers.close()


async def test_run_when_an_input_may_have_any_rank_then_unbatched_takes_them_all(model):
    workers = Workers(1, 8)
    servable = Servable("m", 3, model, workers)
    for shape in ((), (2,), (2, 3, 1)):
        answer = await servable.run("any_rank", {"x": np.ones(shape, np.float32)})
        assert answer["total"].shape == ()
        assert answer["total"] == np.prod(shape)
    workers.close()


async def test_run_when_batching_a_scalar_then_is_an_invalid_argument(batched):
    error = await refused(batched.run("any_rank", {"x": np.float32(1)}))
    assert error.code is StatusCode.INVALID_ARGUMENT
    assert "at least one dimension" in error.message


async def test_run_when_batching_and_the_answer_is_no_batch_then_is_a_failed_precondition(batched):
    error = await refused(batched.run("any_rank", {"x": np.ones(2, np.float32)}))
    assert error.code is StatusCode.FAILED_PRECONDITION
    assert "Batched output tensor has 0 dimensions" in error.message


async def test_run_when_batching_unequal_inputs_then_is_an_invalid_argument(batched):
    inputs = scale_inputs([1, 2]) | {"count": np.zeros(2, np.int64)}
    error = await refused(batched.run("serving_default", inputs))
    assert error.code is StatusCode.INVALID_ARGUMENT
    assert "equal 0th-dimension size" in error.message


async def test_run_when_batching_rows_of_different_widths_then_each_is_answered(batched):
    answers = await asyncio.gather(
        *[
            batched.run("any_width", {"x": np.ones((1, width), np.float32)})
            for width in (3, 5, 3, 1)
        ]
    )
    assert [answer["total"].tolist() for answer in answers] == [[3], [5], [3], [1]]


async def test_run_now_when_called_on_any_thread_then_answers_as_run_does(servable):
    inputs = scale_inputs([1, 2], [3, 4], [5, 6])
    answer = await asyncio.to_thread(servable.run_now, "serving_default", inputs, ["rows"])
    assert set(answer) == {"rows"}
    np.testing.assert_array_equal(answer["rows"], [3, 7, 11])


async def test_run_now_when_batching_then_a_request_too_large_is_refused(batched):
    with pytest.raises(ServingError, match="Task size 5 is larger"):
        batched.run_now("loud", texts(*[b"x"] * 5))


@pytest.mark.parametrize("batching", [None, BATCHING], ids=["alone", "batched"])
async def test_on_run_when_a_call_was_made_then_is_told_of_it(model, batching):
    told = []
    workers, scheduler = Workers(1, 8), BatchScheduler(1)
    servable = Servable(
        "m", 3, model, workers, batching, scheduler, lambda name, run: told.append((name, run))
    )
    await servable.run("loud", texts(b"a", b"b", b"c"))
    [(name, run)] = told
    assert (name, run.requests, run.rows) == ("loud", 1, 3)
    assert run.padding == (1 if batching else 0)
    workers.close()
    scheduler.close()


async def test_close_when_the_servable_is_let_go_then_its_session_is_freed(saved_scale):
    workers, scheduler = Workers(1, 8), BatchScheduler(1)
    model = SavedModelSession(saved_scale)
    session = weakref.ref(model._session)
    servable = Servable("m", 3, model, workers, BATCHING, scheduler)
    await servable.run("loud", texts(b"a"))
    del model
    servable.close()
    while session() is not None:  # the thread that ran the batch lets go of it a moment later
        await asyncio.sleep(0.01)
    workers.close()
    scheduler.close()


class HeldModel:
    """A model whose calls wait until they are let go; knows whether it was closed meanwhile."""

    def __init__(self, signatures):
        self.signatures = signatures
        self.began = threading.Event()
        self.gate = threading.Event()
        self.log = []

    def compiled(self, signature, outputs=None):
        return self._run

    def _run(self, arrays):
        self.began.set()
        assert self.gate.wait(30)
        self.log.append("answered")
        return list(arrays)

    def close(self):
        self.log.append("closed")


@pytest.fixture
def held(model):
    return HeldModel({"loud": model.signatures["loud"]})


@pytest.mark.parametrize("batching", [None, BATCHING], ids=["alone", "batched"])
async def test_close_when_a_cancelled_call_still_runs_then_the_model_is_freed_after_it(
    held, batching
):
    workers, scheduler = Workers(1, 8), BatchScheduler(1)
    servable = Servable("m", 3, held, workers, batching, scheduler)
    gone = asyncio.ensure_future(servable.run("loud", texts(b"a")))
    assert await asyncio.to_thread(held.began.wait, 30)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    closing = asyncio.ensure_future(asyncio.to_thread(servable.close))
    while not servable._calls._is_closed:
        await asyncio.sleep(0)
    held.gate.set()
    await closing
    assert held.log == ["answered", "closed"]
    workers.close()
    scheduler.close()


async def test_run_when_its_call_comes_to_a_thread_after_the_drain_then_is_never_made(held):
    workers = Workers(1, 8)
    servable = Servable("m", 3, held, workers)
    servable.drain()
    error = await refused(servable.run("loud", texts(b"a")))
    assert error.code is StatusCode.UNAVAILABLE
    assert not held.began.is_set()
    workers.close()
