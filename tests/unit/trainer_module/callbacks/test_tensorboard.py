"""What TensorBoard reads of a training that was cut short and went on."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from trainer_module.callbacks import Callback, TensorBoard, make_callbacks  # isort: skip
from trainer_module.callbacks.tensorboard import first_images, flatten  # isort: skip
from trainer_module.config import TensorBoardConfig, TrainConfig  # isort: skip
from trainer_module.data import MemorySplit  # isort: skip
from trainer_module.loop import train  # isort: skip
from trainer_module.tasks.digits import Digits  # isort: skip

# Three steps an epoch, in calls of two steps and one.
CONFIG: dict[str, Any] = {
    "epochs": 6,
    "batch_size": 32,
    "eval_batch_size": 64,
    "steps_per_call": 2,
    "schedule": {"kind": "constant", "warmup_epochs": 0.0},
    "plateau": {"patience": 1, "min_delta": 100.0},
    "debug": {"layer_report": True},
    "callbacks": {
        "csv": True,
        "early_stop": {"patience": 2, "min_delta": 100.0},
        "tensorboard": {"histograms": True, "images": 4, "graph": True, "profile": [1, 4]},
    },
}


class Die(Callback):
    """Fails after a call, as a machine might: what was written since the checkpoint stays."""

    def __init__(self, step: int) -> None:
        self._step = step

    def on_call_end(self, step: int, values: object) -> None:
        if step == self._step:
            raise ConnectionError("the machine is gone")


class Watch(Callback):
    """Keeps what the loop says."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, dict[str, float]]] = []

    def on_call_end(self, step: int, values: Any) -> None:
        self.calls.append((step, dict(values)))


@dataclass
class Story:
    folder: Path
    result: Any
    watched: Watch

    def run(self, name: str) -> EventAccumulator:
        accumulator = EventAccumulator(str(self.folder / "tensorboard" / name), {"tensors": 0})
        return accumulator.Reload()


@pytest.fixture(scope="module")
def story(tmp_path_factory, train_rows, eval_rows) -> Story:
    """Dies at step 5, two steps past its checkpoint, and is run again."""
    folder = tmp_path_factory.mktemp("training")
    config = TrainConfig.model_validate(CONFIG)
    rows = MemorySplit({name: values[:100] for name, values in train_rows.items()})
    watched = Watch()

    def run(last: Callback) -> Any:
        callbacks = [*make_callbacks(config, str(folder)), last]
        task = Digits(filters=4, embedding=8)
        return train(task, {}, rows, MemorySplit(eval_rows), config, str(folder), callbacks)

    with pytest.raises(ConnectionError):
        run(Die(5))
    return Story(folder, run(watched), watched)


def _steps(events: list[Any]) -> list[int]:
    return [event.step for event in events]


def _scalars(run: EventAccumulator, tag: str) -> dict[int, float]:
    return {event.step: float(tf.make_ndarray(event.tensor_proto)) for event in run.Tensors(tag)}


def test_training_when_run_again_then_goes_on_from_its_checkpoint_and_stops_early(story):
    assert story.result.resumed_from == 3
    assert story.result.stopped.endswith("for 2 epochs, at epoch 3")
    assert story.result.last_step == 9


def test_plateau_when_the_training_resumes_then_the_rate_falls_as_configured(story):
    rates = {step: values["learning_rate"] for step, values in story.watched.calls}
    assert rates == pytest.approx({5: 1e-3, 6: 1e-3, 8: 5e-4, 9: 5e-4})


def test_tensorboard_when_a_training_resumes_then_every_step_is_there_once(story):
    events = story.run("train").Tensors("loss")
    assert _steps(events) == [2, 3, 5, 6, 8, 9]
    assert _steps(story.run("eval").Tensors("loss")) == [3, 6, 9]


def test_tensorboard_when_calls_end_then_their_means_are_scalars(story):
    run = story.run("train")
    assert set(run.PluginTagToContent("scalars")) >= {"loss", "loss/class", "gradient_norm"}
    losses = _scalars(run, "loss")
    for step, values in story.watched.calls:
        assert losses[step] == pytest.approx(values["loss"], rel=1e-6)


def test_tensorboard_when_layers_are_reported_then_their_norms_are_there_an_epoch(story):
    run = story.run("train")
    for kind in ("gradient", "weight", "update"):
        values = _scalars(run, f"{kind}/conv1/kernel")
        assert list(values) == [3, 6, 9]
        assert all(value > 0 for value in values.values())


def test_tensorboard_when_histograms_are_asked_for_then_weights_and_gradients_are_there(story):
    run = story.run("train")
    tags = set(run.PluginTagToContent("histograms"))
    names = [weight.name.partition(":")[0] for weight in story.result.model.trainable_weights]
    assert tags == {f"{kind}/{name}" for kind in ("weights", "gradients") for name in names}
    for tag, size in (("weights/conv2/kernel", 144), ("gradients/conv2/kernel", 144)):
        events = run.Tensors(tag)
        assert _steps(events) == [3, 6, 9]
        buckets = tf.make_ndarray(events[-1].tensor_proto)  # [n, 3]: left, right, count
        assert buckets[:, 2].sum() == size
        assert buckets[0, 0] < buckets[-1, 1]


def test_tensorboard_when_images_are_asked_for_then_the_first_batch_is_there_once(
    story, train_rows
):
    run = story.run("train")
    events = run.Tensors("first_batch/image")
    assert _steps(events) == [0]
    width, height, *pictures = tf.make_ndarray(events[0].tensor_proto)
    assert (width, height, len(pictures)) == (b"8", b"8", 4)
    known = {np.round(image * 255).astype(np.uint8).tobytes() for image in train_rows["image"]}
    for picture in pictures:
        assert struct.unpack(">II", picture[16:24]) == (8, 8)
        assert tf.io.decode_png(picture).numpy().tobytes() in known


def test_tensorboard_when_the_graph_is_asked_for_then_it_holds_the_steps_operations(story):
    run = story.run("graph")
    (tag,) = run.PluginTagToContent("graph_run_metadata_graph") or run.Tags()["tensors"]
    assert tag == "train"
    metadata = tf.compat.v1.RunMetadata.FromString(
        tf.make_ndarray(run.Tensors(tag)[0].tensor_proto).item()
    )
    graphs = [g.pre_optimization_graph for g in metadata.function_graphs]
    kinds = {
        node.op
        for graph in graphs
        for nodes in (graph.node, *(f.node_def for f in graph.library.function))
        for node in nodes
    }
    assert {"Conv2D", "Conv2DBackpropFilter"} <= kinds


def test_tensorboard_when_training_begins_then_hyperparameters_are_there(story):
    content = story.run("eval").PluginTagToContent("hparams")
    data = plugin_data_pb2.HParamsPluginData.FromString(content["_hparams_/session_start_info"])
    found = data.session_start_info.hparams
    assert found["batch_size"].number_value == 32
    assert found["optimizer.name"].string_value == "adamw"
    assert found["optimizer.learning_rate"].number_value == 1e-3


def test_tensorboard_when_a_window_is_asked_for_then_the_profile_is_there(story):
    assert list((story.folder / "tensorboard" / "train").glob("plugins/profile/*/*.xplane.pb"))


def test_tables_when_a_training_resumes_then_every_epoch_is_there_once(story):
    rows = (story.folder / "history.csv").read_text().splitlines()
    assert [row.split(",")[:2] for row in rows[1:]] == [["1", "3"], ["2", "6"], ["3", "9"]]
    assert not any("weight/" in name for name in rows[0].split(","))
    layers = (story.folder / "layers.csv").read_text().splitlines()
    variables = len(story.result.model.trainable_weights)
    assert [row.split(",")[1] for row in layers[1:]] == [
        step for step in "369" for _ in range(variables)
    ]


def test_tensorboard_when_an_epoch_ends_then_its_scalars_can_be_read(tmp_path, make_training):
    board = TensorBoard(str(tmp_path))
    board.on_train_begin(make_training())
    board.on_call_end(2, {"loss": 2.0})
    board.on_epoch_end(1, 2, {"loss": 2.0}, {"loss": 1.5})
    for name, value in (("train", 2.0), ("eval", 1.5)):
        run = EventAccumulator(str(tmp_path / name), {"tensors": 0}).Reload()
        assert _scalars(run, "loss") == {2: value}
    board.on_train_end(2)


def test_tensorboard_when_the_training_never_began_then_ends_without_a_trace(tmp_path):
    TensorBoard(str(tmp_path / "board")).on_train_end(0)
    assert not (tmp_path / "board").exists()


def test_tensorboard_when_the_training_dies_in_the_window_then_the_profile_is_written(
    tmp_path, make_training
):
    config = TensorBoardConfig(profile=[0, 100], graph=True)
    for name in ("first", "second"):  # one process has one profiler: it has to be free again
        board = TensorBoard(str(tmp_path / name), config)
        board.on_train_begin(make_training())
        board.on_train_end(0)
        assert list((tmp_path / name).glob("train/plugins/profile/*/*.xplane.pb"))
        assert not (tmp_path / name / "graph").exists()


@pytest.mark.parametrize(
    ("size", "window", "resumed", "boundaries", "profiled"),
    [
        (10, [12, 18], 0, [10, 20, 30, 40], (10, 20)),
        (10, [2, 8], 0, [10, 20], (0, 10)),
        (10, [10, 20], 0, [10, 20, 30], (10, 20)),
        (10, [9, 21], 0, [10, 20, 30, 40], (0, 30)),
        (4, [8, 9], 0, [4, 8, 10, 14], (8, 10)),
        (4, [12, 13], 0, [4, 8, 10, 14], (10, 14)),
        (10, [12, 18], 10, [20, 30], (10, 20)),
        (10, [2, 18], 10, [20, 30], (10, 20)),
        ("auto", [3, 4], 0, [1, 2, 4, 6, 8], (4, 6)),
        ("auto", [5, 6], 0, [1, 2, 4, 6, 8], (4, 6)),
        ("auto", [1, 3], 0, [1, 6, 10], (1, 6)),
        ("auto", [3, 5], 0, [1, 6, 10], (6, 10)),
        (10, [12, 18], 20, [30, 40], ()),
        (10, [45, 50], 0, [10, 20, 30, 40], ()),
    ],
)
def test_tensorboard_when_a_window_is_within_calls_then_profiles_whole_calls_once(
    tmp_path, make_training, monkeypatch, size, window, resumed, boundaries, profiled
):
    """Ten steps an epoch; under auto the length of a call is known once it was taken."""
    config = TrainConfig(epochs=4, batch_size=32, steps_per_call=size)
    said: list[int] = []
    at = resumed
    monkeypatch.setattr(tf.profiler.experimental, "start", lambda _folder: said.append(at))
    monkeypatch.setattr(tf.profiler.experimental, "stop", lambda: said.append(at))
    board = TensorBoard(str(tmp_path), TensorBoardConfig(profile=window))
    board.on_train_begin(make_training(config=config, resumed_from=resumed))
    for at in boundaries:
        board.on_call_end(at, {"loss": 1.0})
    board.on_train_end(boundaries[-1])
    assert tuple(said) == profiled


def test_tensorboard_when_it_resumes_past_the_window_then_there_is_no_profile(
    tmp_path, make_training
):
    board = TensorBoard(str(tmp_path), TensorBoardConfig(profile=[0, 10]))
    board.on_train_begin(make_training(resumed_from=10))
    board.on_call_end(12, {"loss": 1.0})
    board.on_train_end(12)
    assert not list(tmp_path.glob("train/plugins"))


def test_images_when_floats_leave_0_to_1_then_are_stretched(make_training, train_rows):
    rows = {**train_rows, "image": train_rows["image"] * 4.0 - 2.0}
    images = first_images(make_training(train_split=MemorySplit(rows)), 3)
    assert list(images) == ["image"]
    assert images["image"].shape == (3, 8, 8, 1)
    assert (images["image"].min(), images["image"].max()) == (0, 255)


def test_images_when_pixels_are_bytes_then_stay_as_they_are(make_training, train_rows):
    pixels = np.round(train_rows["image"] * 16).astype(np.uint8)
    split = MemorySplit({**train_rows, "image": pixels})
    images = first_images(make_training(train_split=split), 3)["image"]
    assert images.dtype == np.uint8
    assert images.max() <= 16


def test_images_when_no_feature_is_one_then_names_key_and_shapes(
    tmp_path, make_training, train_rows
):
    split = MemorySplit({name: train_rows[name] for name in ("class", "attribute")})
    board = TensorBoard(str(tmp_path), TensorBoardConfig(images=2))
    message = r"^train\.callbacks\.tensorboard\.images: found 2; allowed: 0, .*attribute \(2,\)"
    with pytest.raises(ValueError, match=message):
        board.on_train_begin(make_training(train_split=split))


def test_flatten_when_given_a_configuration_then_returns_plain_values_by_key():
    config = TrainConfig.model_validate(
        {
            "epochs": 1,
            "batch_size": 32,
            "clip": None,
            "optimizer": {"groups": [{"pattern": "bias"}]},
            "class_weights": {"class": {3: 2.0}},
        }
    )
    flat = flatten(config)
    assert flat["epochs"] == 1
    assert flat["class_weights.class.3"] == 2.0
    assert '"pattern": "bias"' in flat["optimizer.groups"]
    assert "clip" not in flat
    assert not any(key.startswith(("callbacks", "debug")) for key in flat)
