"""Other batching parameters for a served version, which its warmup requests never break."""

import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from serving.config import BatchingConfig
from serving.prediction_logs import exchange, read_logs
from serving.text_configs import VERSION_BATCHING_FILE, batching_text, parse_batching
from serving.version_batching import set_batching
from serving.warmup import WARMUP_FILE, write_warmup_requests


def batching(*sizes):
    return BatchingConfig(max_batch_size=sizes[-1], allowed_batch_sizes=list(sizes))


@pytest.fixture
def version(tmp_path, write_reference):
    """A version that is served in batches of 2 and 8."""
    module = tf.Module()
    double = tf.function(lambda x: {"y": x * 2}, input_signature=[tf.TensorSpec([None], name="x")])
    tf.saved_model.save(module, str(tmp_path / "model"), {"double": double})
    x = np.array([1.0, 2.0, 3.0], np.float32)
    logs = write_reference(tmp_path / "logs", ("double", {"x": x}, {"y": x * 2}))
    write_warmup_requests(tmp_path / "model", logs, [2, 8], "doubling")
    (tmp_path / "model" / VERSION_BATCHING_FILE).write_text(batching_text(batching(2, 8)))
    return tmp_path / "model"


def sizes_of(version):
    return [len(exchange(log).inputs["x"]) for log in read_logs(version / WARMUP_FILE)]


@pytest.fixture
def replaced(version, monkeypatch):
    """Keeps what a server would read after each file that was replaced."""
    found = []
    replace = os.replace

    def watch(source, target):
        replace(source, target)
        parameters = parse_batching((version / VERSION_BATCHING_FILE).read_text())
        found.append((Path(target).name, sizes_of(version), parameters.max_batch_size))

    monkeypatch.setattr(os, "replace", watch)
    return found


@pytest.mark.parametrize("wanted", [(2, 4), (4, 16), (16,), (1,), (2, 8, 32)], ids=str)
def test_set_batching_when_the_sizes_change_then_a_server_could_load_the_version_at_any_instant(
    version, replaced, wanted
):
    set_batching(version, batching(*wanted))
    assert sizes_of(version) == list(wanted)
    assert parse_batching((version / VERSION_BATCHING_FILE).read_text()) == batching(*wanted)
    assert len(replaced) == 3
    for _, sizes, largest in replaced:
        assert sizes
        assert max(sizes) <= largest


@pytest.mark.parametrize("wanted", [(2, 4), (4, 16), (2, 8, 32)], ids=str)
@pytest.mark.parametrize("steps", [0, 1, 2])
def test_set_batching_when_killed_then_the_next_call_leaves_all_requests(
    version, monkeypatch, wanted, steps
):
    replace = os.replace
    left = iter(range(steps))

    def replace_or_die(source, target):
        if next(left, None) is None:
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(os, "replace", replace_or_die)
        set_batching(version, batching(*wanted))

    set_batching(version, batching(*wanted))

    assert sizes_of(version) == list(wanted)
    assert parse_batching((version / VERSION_BATCHING_FILE).read_text()) == batching(*wanted)
    assert not list(version.rglob(".*"))


def test_set_batching_when_nothing_changes_then_touches_nothing(version, replaced):
    set_batching(version, batching(2, 8))
    assert replaced == []


def test_set_batching_when_the_parameters_are_broken_then_mends_them(version):
    (version / VERSION_BATCHING_FILE).write_text("max_batch_size { value: ")
    set_batching(version, batching(4))
    assert sizes_of(version) == [4]
    assert parse_batching((version / VERSION_BATCHING_FILE).read_text()) == batching(4)


def test_set_batching_when_there_are_no_warmup_requests_then_makes_none(version):
    (version / WARMUP_FILE).unlink()
    set_batching(version, batching(4))
    assert not (version / WARMUP_FILE).exists()
    assert parse_batching((version / VERSION_BATCHING_FILE).read_text()) == batching(4)
