"""Makes the folder of known models that the suite asks an endpoint about.

    python -m tests.contract.models FOLDER [--served-as PATH]

FOLDER then has the SavedModels, models.config, monitoring.config and batching.config that
tensorflow_model_server is started with. `--served-as` is where the server will see the folder, if
not at FOLDER: models.config has absolute paths.

`half_plus_two` is TF Serving's own example, with the signatures of its test data. Here version 1
adds two and version 2 adds three, so that an answer tells which version gave it.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
_CLASSIFY = "tensorflow/serving/classify"
_REGRESS = "tensorflow/serving/regress"
_PREDICT = "tensorflow/serving/predict"

LABELS = {"stable": 1, "canary": 2}
"""Of `half_plus_two`."""

MODELS = ("half_plus_two", "every_type", "sizes", "errors", "unrestored")
"""What models.config lists."""


def write_half_plus_two(folder: Path, plus: float = 2.0) -> Path:
    """Writes y = x / 2 + plus, with predict, classify and regress signatures; returns the folder.

    A V1 graph saved by the V1 builder, as models from before TensorFlow 2 are.
    """
    with tf.Graph().as_default(), v1.Session() as session:
        half = v1.get_variable("half", initializer=0.5)
        offset = v1.get_variable("plus", initializer=plus)
        x = v1.placeholder(tf.float32, [None], name="x")
        examples = v1.placeholder(tf.string, [None], name="tf_example")
        parsed = v1.io.parse_example(
            examples,
            {
                "x": tf.io.FixedLenFeature([1], tf.float32),
                "x2": tf.io.FixedLenFeature([1], tf.float32, default_value=[0.0]),
            },
        )
        y = tf.add(half * x, offset, name="y")
        of_example = half * parsed["x"] + offset
        of_context = half * parsed["x2"] + offset
        scores = tf.concat([of_example, -of_example], axis=1)
        names = tf.tile([["plus", "minus"]], [tf.size(examples), 1])
        session.run(v1.global_variables_initializer())
        _build(
            session,
            folder,
            {
                "serving_default": ({"x": x}, {"y": y}, _PREDICT),
                "regress_x_to_y": (
                    {"inputs": examples},
                    {"outputs": tf.reshape(of_example, [-1])},
                    _REGRESS,
                ),
                "regress_x2_to_y": ({"inputs": examples}, {"outputs": of_context}, _REGRESS),
                "classify_x_to_y": ({"inputs": examples}, {"scores": of_example}, _CLASSIFY),
                "classify_with_labels": (
                    {"inputs": examples},
                    {"classes": names, "scores": scores},
                    _CLASSIFY,
                ),
                "classify_labels_only": ({"inputs": examples}, {"classes": names}, _CLASSIFY),
            },
        )
    return folder


class EveryType(tf.Module):
    """Several inputs and outputs, one of each type that JSON has a form for."""

    def __init__(self) -> None:
        super().__init__()
        self.twice = tf.Variable([[2.0, 0.0], [0.0, 2.0]])

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.int64, "count"),
            tf.TensorSpec([None], tf.int32, "index"),
            tf.TensorSpec([None, 2], tf.float32, "weights"),
            tf.TensorSpec([None], tf.float64, "ratio"),
            tf.TensorSpec([None], tf.bool, "flag"),
            tf.TensorSpec([None], tf.string, "text"),
            tf.TensorSpec([None], tf.string, "image_bytes"),
        ]
    )
    def convert(self, count, index, weights, ratio, flag, text, image_bytes):
        return {
            "count": count + 1,
            "index": index + 1,
            # A product of matrices: of another rank it fails in TensorFlow as well.
            "weights": tf.matmul(weights, self.twice),
            "ratio": ratio / 2,
            "flag": tf.logical_not(flag),
            "text": tf.strings.join([text, "!"]),
            "image_bytes": tf.identity(image_bytes),
            "length": tf.strings.length(image_bytes),
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def total(self, x):
        """A scalar, so without a batch in its answer."""
        return {"total": tf.reduce_sum(x)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")])
    def echo(self, image_bytes):
        """Bytes in and out, as the only input and output."""
        return {"copy_bytes": tf.identity(image_bytes)}


def write_every_type(folder: Path) -> Path:
    """Writes `EveryType` as TensorFlow 2 does."""
    module = EveryType()
    tf.saved_model.save(
        module,
        str(folder),
        signatures={
            "serving_default": module.convert,
            "total": module.total,
            "echo": module.echo,
        },
    )
    return folder


class Sizes(tf.Module):
    """Answers with the size of the batch that ran, and takes as long as it is asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = tf.Variable(0)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def seen(self, x):
        return {"x": tf.identity(x), "batch": tf.fill(tf.shape(x), tf.size(x))}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, "turns")])
    def spin(self, turns):
        """Turns a loop on one core, about as long for every call with the same number."""
        spun = tf.while_loop(
            lambda done, _: done < tf.reduce_max(turns),
            lambda done, value: (done + 1, tf.math.sin(value) + 1.0),
            [tf.constant(0, tf.int64), tf.constant(0.0)],
            parallel_iterations=1,
        )
        return {"spun": tf.fill(tf.shape(turns), spun[0])}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def count(self, x):
        """How often this was called since the model was loaded, this time included."""
        return {"calls": tf.fill(tf.shape(x), self.calls.assign_add(1))}


def write_sizes(folder: Path, batching: str | None = None) -> Path:
    """Writes `Sizes`; with a `batching_params.pbtxt` of that text if there is one."""
    module = Sizes()
    tf.saved_model.save(
        module,
        str(folder),
        signatures={
            "serving_default": module.seen,
            "spin": module.spin,
            "count": module.count,
        },
    )
    if batching is not None:
        (folder / "batching_params.pbtxt").write_text(batching)
    return folder


def write_errors(folder: Path) -> Path:
    """Writes a model whose operations fail, each signature in its own way."""
    with tf.Graph().as_default(), v1.Session() as session:
        path = v1.placeholder(tf.string, [None], name="path")
        content = tf.map_fn(tf.io.read_file, path)
        turn = v1.placeholder(tf.float32, [None], name="turn")
        size = v1.placeholder(tf.int64, [None], name="size")
        queue = v1.FIFOQueue(1, [tf.float32], shapes=[[]], shared_name="closed")
        nothing = v1.data.make_one_shot_iterator(tf.data.Dataset.range(0)).get_next()
        with (
            tf.control_dependencies([turn, queue.close()]),
            tf.control_dependencies([queue.enqueue([1.0])]),
        ):
            put = tf.identity(turn)
        taken = tf.fill(tf.shape(turn), nothing)
        large = tf.zeros(tf.reshape(size[0], [1]))
        packed = v1.placeholder(tf.string, [None], name="packed")
        _build(
            session,
            folder,
            {
                "read": ({"path": path}, {"content": content}, _PREDICT),
                "take": ({"turn": turn}, {"taken": taken}, _PREDICT),
                "put": ({"turn": turn}, {"put": put}, _PREDICT),
                "allocate": ({"size": size}, {"large": large}, _PREDICT),
                "unpack": (
                    {"packed": packed},
                    {"unpacked": tf.io.decode_compressed(packed, "GZIP")},
                    _PREDICT,
                ),
            },
        )
    return folder


def write_unrestored(folder: Path) -> Path:
    """Writes a model that loads without one of its variables."""
    with tf.Graph().as_default(), v1.Session() as session:
        restored = v1.get_variable("restored", initializer=1.0, use_resource=True)
        missing = v1.get_variable("missing", initializer=1.0, use_resource=True)
        x = v1.placeholder(tf.float32, [None], name="x")
        session.run(v1.global_variables_initializer())
        _build(
            session,
            folder,
            {"serving_default": ({"x": x}, {"y": x * restored + missing}, _PREDICT)},
            saver=v1.train.Saver([restored]),
        )
    return folder


def _build(session, folder, signatures, saver=None) -> None:
    builder = v1.saved_model.Builder(str(folder))
    info = v1.saved_model.utils.build_tensor_info
    builder.add_meta_graph_and_variables(
        session,
        [tf.saved_model.SERVING],
        signature_def_map={
            name: v1.saved_model.build_signature_def(
                {alias: info(tensor) for alias, tensor in inputs.items()},
                {alias: info(tensor) for alias, tensor in outputs.items()},
                method,
            )
            for name, (inputs, outputs, method) in signatures.items()
        },
        saver=saver,
    )
    builder.save()


def model_config(name: str, base_path: Path | str, rest: str = "") -> str:
    """Returns a model's entry of models.config."""
    fields = f'name: "{name}" base_path: "{base_path}" model_platform: "tensorflow"'
    return f"  config {{ {fields} {rest} }}"


def models_text(*entries: str) -> str:
    """Returns a models.config of these entries."""
    return "\n".join(["model_config_list {", *entries, "}", ""])


def write_all(folder: Path, served_as: Path | str | None = None) -> Path:
    """Writes the models and the configuration files; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    seen = Path(served_as or folder.resolve())
    first = write_half_plus_two(folder / "half_plus_two" / "1", 2.0)
    write_half_plus_two(folder / "half_plus_two" / "2", 3.0)
    # What is not a number is not a version, whatever is in it.
    shutil.copytree(first, folder / "half_plus_two" / "backup")
    write_every_type(folder / "every_type" / "1")
    write_sizes(folder / "sizes" / "1")
    write_errors(folder / "errors" / "1")
    write_unrestored(folder / "unrestored" / "1")
    labels = " ".join(
        f'version_labels {{ key: "{name}" value: {version} }}' for name, version in LABELS.items()
    )
    both = f"model_version_policy {{ specific {{ versions: 1 versions: 2 }} }} {labels}"
    entries = [
        model_config(name, seen / name, both if name == "half_plus_two" else "") for name in MODELS
    ]
    (folder / "models.config").write_text(models_text(*entries))
    (folder / "monitoring.config").write_text("prometheus_config { enable: true }\n")
    (folder / "batching.config").write_text(
        "max_batch_size { value: 8 } batch_timeout_micros { value: 1000 }\n"
        "max_enqueued_batches { value: 100 } num_batch_threads { value: 2 }\n"
        "allowed_batch_sizes: 2 allowed_batch_sizes: 8\n"
    )
    return folder


def write_warmup(version: Path, *records: bytes) -> None:
    """Puts warmup records into a version's folder."""
    extra = version / "assets.extra"
    extra.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(extra / "tf_serving_warmup_requests")) as writer:
        for record in records:
            writer.write(record)


def floats(*values: float) -> np.ndarray:
    """Returns a batch of numbers as `half_plus_two` takes them."""
    return np.array(values, np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--served-as", type=Path, help="where the server sees the folder")
    arguments = parser.parse_args()
    print(write_all(arguments.folder, arguments.served_as))


if __name__ == "__main__":
    main()
