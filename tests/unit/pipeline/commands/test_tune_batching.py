"""`tapeline tune-batching`: its words, its exit codes, what it writes and what it leaves alone."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from pipeline.cli import app
from serving.config import BatchingConfig
from serving.load import LoadFailed, LoadResult
from serving.server_process import ServerFailed
from serving.text_configs import parse_batching
from serving.tuning import tune as tuning

CHOSEN = BatchingConfig(max_batch_size=2, allowed_batch_sizes=[1, 2], num_batch_threads=1)


@pytest.fixture(scope="module")
def serving_root(tmp_path_factory, write_serving_root):
    """A serving directory whose one model triples `x`, with its warmup request."""
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    class Triples(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="x")])
        def triple(self, x):
            return {"y": 3.0 * x}

    root = write_serving_root(tmp_path_factory.mktemp("tuned") / "serving", "triple", 7)
    version, module = root / "triple" / "7", Triples()
    tf.saved_model.save(module, str(version), signatures={"serving_default": module.triple})
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.name, request.model_spec.signature_name = "triple", "serving_default"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.ones([1, 3], np.float32)))
    path = version / "assets.extra" / "tf_serving_warmup_requests"
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(log.SerializeToString())
    return root


@pytest.fixture
def texts(serving_root):
    """What the directory's parameter files hold."""

    def read():
        paths = [*serving_root.glob("*.config"), *serving_root.rglob("batching_params.pbtxt")]
        return {str(path.relative_to(serving_root)): path.read_text() for path in sorted(paths)}

    return read


@pytest.fixture
def loads(monkeypatch):
    """Puts figures in the place of load tests: (requests a second, p99 ms) of who is asked."""

    def put(chosen, defaults):
        def found(config, rate, p99):
            return tuning.Trial(config, LoadResult(rate, {}, 1.0, p99 / 2, p99, rate))

        def tune(version, request, curve, goal, effort, tell) -> Iterator[tuning.Proof]:
            assert request.signature == "serving_default"
            tell(found(CHOSEN, *chosen))
            yield tuning.Proof(
                found(CHOSEN, *chosen), found(tuning.tf_serving_defaults(), *defaults)
            )

        monkeypatch.setattr(tuning, "tune", tune)

    return put


@pytest.fixture
def invoke(serving_root, tmp_path, monkeypatch, capfd):
    """Runs the command in this process, its curve quickly measured; returns its code and words."""
    monkeypatch.setattr(tuning, "batch_sizes", lambda: [1, 2, 4])

    def call(*arguments):
        chart = f"--chart={tmp_path}/curve.png"
        done = CliRunner().invoke(
            app, ["tune-batching", str(serving_root / "triple"), chart, *arguments]
        )
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, capfd.readouterr().out

    return call


def test_tune_when_the_target_is_met_then_says_what_to_configure_and_leaves_the_files(
    invoke, loads, texts, tmp_path
):
    loads(chosen=(2000, 40.0), defaults=(1000, 60.0))
    before = texts()
    code, said = invoke("--p99=50")
    assert code == 0
    assert "triple 7, serving_default, on" in said
    assert re.search(r"^ +4 +[\d.]+ +[\d.]+ +[\d,]+$", said, re.MULTILINE)
    assert "try      batch    2" in said
    assert "defaults batch 1000" in said
    section = yaml.safe_load(said[said.index("serve:") :])["serve"]["batching"]
    assert BatchingConfig.model_validate(section) == CHOSEN
    assert texts() == before
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("chosen", "defaults", "reason"),
    [
        ((2000, 60.0), (1000, 60.0), "p99 of 60.0 ms at 64 clients; wanted: 50 ms"),
        ((1000, 10.0), (1200, 60.0), "TF Serving's defaults give 1,200: keep those"),
    ],
    ids=["too late", "no faster"],
)
def test_tune_when_the_goal_is_missed_then_says_by_what_and_writes_nothing(
    invoke, loads, texts, chosen, defaults, reason
):
    loads(chosen, defaults)
    before = texts()
    code, said = invoke("--p99=50", "--write")
    assert code == 1
    assert reason in said
    assert "nothing was written" in said
    assert texts() == before


def test_tune_when_the_model_alone_is_too_slow_then_starts_no_server(invoke, texts, monkeypatch):
    monkeypatch.setattr(tuning, "embedded_server", None)
    before = texts()
    code, said = invoke("--p99=0.0001", "--write")
    assert code == 1
    assert re.search(r"p99 of 0\.0001 ms is out of reach: .* takes [\d.]+ ms", said)
    assert texts() == before


@pytest.mark.parametrize(
    "failure", [LoadFailed("no requests"), ServerFailed("it ended")], ids=["load", "server"]
)
def test_tune_when_a_load_test_fails_then_says_why_and_writes_nothing(
    invoke, texts, monkeypatch, failure
):
    def tune(*arguments):
        raise failure
        yield

    monkeypatch.setattr(tuning, "tune", tune)
    before = texts()
    code, said = invoke("--p99=50", "--write")
    assert code == 1
    assert f"failed   {failure}; nothing was written" in said
    assert texts() == before


def test_tune_when_told_to_write_then_the_version_and_the_server_have_what_it_chose(
    invoke, loads, serving_root, texts
):
    loads(chosen=(2000, 40.0), defaults=(1000, 60.0))
    code, said = invoke("--p99=50", "--write")
    assert code == 0
    written = texts()
    for name in ("batching.config", "triple/7/batching_params.pbtxt"):
        assert parse_batching(written[name]) == CHOSEN
        assert f"written  {serving_root}/{name}" in said


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--signature=embedding"], "--signature: found requests to serving_default, not to emb"),
        (["--chart=nowhere/curve.png"], "--chart: found nowhere/curve.png; allowed: a file in a"),
        (["--chart=/"], "--chart: found /; allowed: a file in a folder"),
    ],
)
def test_tune_when_it_is_asked_for_what_is_not_there_then_exits_2(
    serving_root, tapeline, tmp_path, arguments, error
):
    done = tapeline("tune-batching", str(serving_root / "triple" / "7"), *arguments, cwd=tmp_path)
    assert (done.code, done.stdout) == (2, ""), done
    assert error in done.stderr
    assert list(tmp_path.iterdir()) == []
