"""The search's outcome is put to the proof beside TF Serving's defaults, again until it holds."""

from __future__ import annotations

import contextlib
import os
from types import SimpleNamespace

import numpy as np
import pytest

from serving.config import BatchingConfig
from serving.load import LoadResult
from serving.text_configs import batching_text
from serving.tuning import tune as module
from serving.tuning.candidates import BatchCost, TargetOutOfReach
from serving.tuning.requests import TuningRequest
from serving.tuning.search import Trial
from serving.tuning.tune import Effort, Goal, Proof, prove, tf_serving_defaults, tune

CURVE = [BatchCost(2**power, 1 + 0.1 * 2**power, 2 + 0.2 * 2**power) for power in range(7)]
GOAL = Goal(p99_ms=50.0, clients=64, cores=2)
EFFORT = Effort(load_seconds=0.5, steps=0, rounds=3)
REQUEST = TuningRequest("m", "serving_default", {"x": np.ones([1, 3])}, b"message", "/a.B/Predict")


def result(throughput, p99_ms, errors=()):
    return LoadResult(int(throughput), dict(errors), 1.0, p99_ms / 2, p99_ms, int(throughput))


@pytest.fixture
def answers(monkeypatch):
    """Puts formulas in the place of servers and loads; records which were asked.

    A test sets `answers.of`, from a configuration to its result; `answers.loads` is what was
    load-tested.
    """
    answers = SimpleNamespace(of=None, loads=[])

    @contextlib.contextmanager
    def served(version, model, config):
        yield lambda request: config

    def run_load(config, clients, seconds):
        assert (clients, seconds) == (64, 0.5)
        answers.loads.append(config)
        return answers.of(config)

    monkeypatch.setattr(module, "_served", served)
    monkeypatch.setattr(module, "run_load", run_load)
    return answers


def test_defaults_are_those_of_tf_serving():
    assert tf_serving_defaults() == BatchingConfig(
        max_batch_size=1000,
        batch_timeout_micros=0,
        max_enqueued_batches=10,
        num_batch_threads=len(os.sched_getaffinity(0)),
    )


def test_tune_when_the_best_holds_then_proves_it_alone(answers, tmp_path):
    answers.of = lambda config: result(1000 + config.max_batch_size % 1000, 20.0)
    told = []
    proofs = list(tune(tmp_path, REQUEST, CURVE, GOAL, EFFORT, told.append))
    assert len(proofs) == 1
    assert proofs[0].holds(GOAL)
    assert proofs[0].chosen.config.max_batch_size == max(
        trial.config.max_batch_size for trial in told
    )
    # Each candidate once, then the chosen one and the defaults in turn, three rounds.
    assert answers.loads[: len(told)] == [trial.config for trial in told]
    chosen, defaults = proofs[0].chosen.config, tf_serving_defaults()
    assert answers.loads[len(told) :] == [chosen, defaults] * 3


def test_tune_when_the_version_has_options_then_tests_and_proves_with_them(answers, tmp_path):
    present = BatchingConfig(pad_variable_length_inputs=True)
    (tmp_path / "batching_params.pbtxt").write_text(batching_text(present))
    answers.of = lambda config: result(1000 + config.max_batch_size % 1000, 20.0)
    proofs = list(tune(tmp_path, REQUEST, CURVE, GOAL, EFFORT))
    assert proofs[0].chosen.config.pad_variable_length_inputs
    tested = [config for config in answers.loads if config != tf_serving_defaults()]
    assert tested and all(config.pad_variable_length_inputs for config in tested)


def test_tune_when_the_best_was_luck_then_the_next_is_proved(answers, tmp_path):
    seen = []

    def of(config):
        if config == tf_serving_defaults():
            return result(900, 20.0)
        seen.append(config)
        lucky = config.batch_timeout_micros > 0 and config.num_batch_threads == 1
        return result(2000 if seen.count(config) == 1 else 500, 20.0) if lucky else result(1000, 20)

    answers.of = of
    proofs = list(tune(tmp_path, REQUEST, CURVE, GOAL, EFFORT))
    assert [proof.holds(GOAL) for proof in proofs] in ([False, True], [False, False, True])


def test_tune_when_nothing_beats_the_defaults_then_gives_up_after_three(answers, tmp_path):
    answers.of = lambda config: result(1000, 20.0)
    proofs = list(tune(tmp_path, REQUEST, CURVE, GOAL, EFFORT))
    assert [proof.holds(GOAL) for proof in proofs] == [False] * 3
    assert len({proof.chosen.config.model_dump_json() for proof in proofs}) == 3


def test_tune_when_the_model_is_too_slow_then_makes_no_load(answers, tmp_path):
    with pytest.raises(TargetOutOfReach):
        list(tune(tmp_path, REQUEST, CURVE, Goal(1.0, 64, 2), EFFORT))
    assert answers.loads == []


def test_proof_is_of_the_median_round_and_of_every_error(answers, tmp_path):
    rounds = iter(
        [result(900, 30.0), result(100, 90.0, {"UNAVAILABLE": 2}.items()), result(1000, 20)]
    )
    config = BatchingConfig()
    answers.of = lambda found: next(rounds) if found == config else result(10, 10.0)
    proof = prove(tmp_path, REQUEST, config, GOAL, EFFORT)
    assert (proof.chosen.result.requests, proof.chosen.result.p99_ms) == (900, 30.0)
    assert proof.chosen.result.errors == {"UNAVAILABLE": 2}
    assert not proof.holds(GOAL)


@pytest.mark.parametrize(
    ("chosen", "defaults", "holds"),
    [
        (result(1000, 50.0), result(999, 10.0), True),
        (result(1000, 50.1), result(999, 10.0), False),
        (result(1000, 10.0), result(1000, 90.0), False),
        (result(1000, 10.0, [("INTERNAL", 1)]), result(10, 10.0), False),
    ],
    ids=["both", "too late", "no faster", "an error"],
)
def test_proof_holds_when_the_target_is_met_and_the_defaults_are_beaten(chosen, defaults, holds):
    config = BatchingConfig()
    assert Proof(Trial(config, chosen), Trial(config, defaults)).holds(GOAL) is holds


def test_prove_when_the_servers_are_real_then_both_answer(small_model):
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    message = predict_pb2.PredictRequest()
    message.model_spec.name = "double"
    message.inputs["x"].CopyFrom(tf.make_tensor_proto(np.ones([1, 3], np.float32)))
    request = TuningRequest(
        "double",
        "serving_default",
        {"x": np.ones([1, 3], np.float32)},
        message.SerializeToString(),
        "/tensorflow.serving.PredictionService/Predict",
    )
    config = BatchingConfig(max_batch_size=4, allowed_batch_sizes=[1, 4])
    goal, effort = Goal(1e6, 4, 1), Effort(load_seconds=0.3, rounds=1)
    proof = prove(small_model, request, config, goal, effort)
    assert proof.chosen.config == config
    assert proof.chosen.meets(1e6)
    assert proof.defaults.meets(1e6)
