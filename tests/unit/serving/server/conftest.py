"""Small models as any TensorFlow writes them, and a manager that serves them in this process."""

import asyncio
import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def model_root(tmp_path_factory):
    """`plain`: versions 1 and 2 with predict signatures; `examples`: classify and regress."""
    root = tmp_path_factory.mktemp("models")
    for version in (1, 2):
        _write_plain(root / "plain" / str(version), version)
    _write_examples(root / "examples" / "1")
    return root


def _write_plain(folder, version):
    import tensorflow as tf

    class Plain(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
        def add(self, x):
            return {"y": x + float(version)}

        @tf.function(
            input_signature=[
                tf.TensorSpec([None], tf.int64, name="count"),
                tf.TensorSpec([None], tf.string, name="text"),
            ]
        )
        def several(self, count, text):
            return {"next": count + 1, "text": text, "text_bytes": text}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
        def divide(self, x):
            return {"y": 1.0 / x}

    module = Plain()
    signatures = {
        "serving_default": module.add,
        "several": module.several,
        "divide": module.divide,
    }
    tf.saved_model.save(module, str(folder), signatures=signatures)


def _write_examples(folder):
    """Writes a model whose signatures share one placeholder, as TensorFlow 1 makes them."""
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        serialized = v1.placeholder(tf.string, [None], name="examples")
        other = v1.placeholder(tf.string, [None], name="others")
        spec = {"a": tf.io.FixedLenFeature([], tf.float32, 0.0)}

        def value(of):
            return tf.io.parse_example(of, spec)["a"]

        scores = tf.stack([value(serialized), -value(serialized)], axis=1)
        labels = tf.broadcast_to(tf.constant([["up", "down"]]), tf.shape(scores))
        signatures = {
            "serving_default": _signature(
                "classify", serialized, {"classes": labels, "scores": scores}
            ),
            "scores": _signature("classify", serialized, {"scores": scores}),
            "value": _signature("regress", serialized, {"outputs": value(serialized)}),
            "elsewhere": _signature("regress", other, {"outputs": value(other)}),
            "flat": _signature("classify", serialized, {"scores": value(serialized)}),
        }
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(session, ["serve"], signatures)
        builder.save()


def _signature(method, inputs, outputs):
    import tensorflow as tf

    info = tf.compat.v1.saved_model.build_tensor_info
    return tf.compat.v1.saved_model.build_signature_def(
        {"inputs": info(inputs)},
        {name: info(tensor) for name, tensor in outputs.items()},
        f"tensorflow/serving/{method}",
    )


@pytest.fixture(scope="session")
def models_config(model_root):
    """A ModelServerConfig of both; `plain` has two versions and the label `stable` on the first."""
    from tensorflow_serving.config import model_server_config_pb2

    config = model_server_config_pb2.ModelServerConfig()
    for name in ("plain", "examples"):
        config.model_config_list.config.add(
            name=name, base_path=str(model_root / name), model_platform="tensorflow"
        )
    config.model_config_list.config[0].model_version_policy.all.SetInParent()
    config.model_config_list.config[0].version_labels["stable"] = 1
    return config


@pytest.fixture(scope="module")
def loop():
    """The event loop of a module's tests."""
    made = asyncio.new_event_loop()
    yield made
    made.close()


@pytest.fixture(scope="module")
def manager(models_config, loop):
    """A started manager; it lives on `loop`."""
    from serving.server.manager import ManagerOptions, ModelManager

    options = ManagerOptions(allow_version_labels_for_unavailable_models=True)

    async def start():
        made = ModelManager(models_config, options)
        await made.start()
        while len(made.status(_wanted("plain"))) < 2 or any(
            status.state != 30 for status in made.status(_wanted("plain"))
        ):
            await asyncio.sleep(0.01)
        return made

    made = loop.run_until_complete(start())
    yield made
    loop.run_until_complete(made.close())


def _wanted(name):
    from serving.server.manager import Wanted

    return Wanted(name)


@pytest.fixture(scope="session")
def saved_scale(tmp_path_factory):
    """A SavedModel whose signatures are of every kind; `weight` is 2."""
    import tensorflow as tf

    class Scale(tf.Module):
        def __init__(self):
            super().__init__()
            self.weight = tf.Variable(2.0)

        @tf.function(
            input_signature=[
                tf.TensorSpec([None, 2], tf.float32, name="x"),
                tf.TensorSpec([None], tf.int64, name="count"),
            ]
        )
        def scale(self, x, count):
            return {"y": x * self.weight, "count": count + 1, "rows": tf.reduce_sum(x, axis=1)}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
        def loud(self, text):
            return {"loud": tf.strings.join([text, "!"])}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
        def classify(self, inputs):
            parsed = tf.io.parse_example(inputs, {"x": tf.io.FixedLenFeature([], tf.float32)})
            scores = tf.stack([parsed["x"], 1 - parsed["x"]], axis=1)
            return {"scores": scores}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
        def picky(self, x):
            tf.debugging.assert_non_negative(x, message="x is negative")
            return {"y": tf.sqrt(x)}

        @tf.function(input_signature=[tf.TensorSpec(None, tf.float32, name="x")])
        def any_rank(self, x):
            return {"total": tf.reduce_sum(x)}

        @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32, name="x")])
        def any_width(self, x):
            return {"total": tf.reduce_sum(x, axis=1)}

    folder = tmp_path_factory.mktemp("scale") / "model"
    module = Scale()
    names = ("loud", "classify", "picky", "any_rank", "any_width")
    signatures = {name: getattr(module, name) for name in names}
    tf.saved_model.save(module, str(folder), {"serving_default": module.scale, **signatures})
    return folder


@pytest.fixture
def put_version(saved_scale, tmp_path):
    """Puts the model under `tmp_path/<name>` as a version, at once and whole; returns its folder.

    `prepare` is given the folder before it is in place.
    """

    def put(version, name="m", prepare=lambda folder: None):
        folder = tmp_path / name / str(version)
        staged = Path(shutil.copytree(saved_scale, tmp_path / f".staged-{name}-{version}"))
        prepare(staged)
        folder.parent.mkdir(exist_ok=True)
        return staged.rename(folder)

    return put


@pytest.fixture(scope="session")
def write_warmup():
    """Writes PredictionLogs, or any bytes, beside a SavedModel as its warmup requests."""
    import tensorflow as tf

    def write(folder, *records):
        path = folder / "assets.extra" / "tf_serving_warmup_requests"
        path.parent.mkdir(exist_ok=True)
        with tf.io.TFRecordWriter(str(path)) as writer:
            for record in records:
                is_message = hasattr(record, "SerializeToString")
                writer.write(record.SerializeToString() if is_message else record)
        return path

    return write


@pytest.fixture
def config_text(tmp_path):
    """Writes models.config's text: `name="fields"` for each model."""

    def write(**models):
        entries = [
            f'config {{ name: "{name}" base_path: "{tmp_path / name}" '
            f'model_platform: "tensorflow" {fields} }}'
            for name, fields in models.items()
        ]
        return f"model_config_list {{ {' '.join(entries)} }}"

    return write


@pytest.fixture
async def start_manager(config_text):
    """Starts a manager of the models given; others than `m` by their fields."""
    from serving.server.manager import ManagerOptions, ModelManager
    from tests.unit.serving.server.managed import POLL, parsed

    managers = []

    async def begin(on_event=None, models=None, is_replacement=False, **options):
        defaults = {
            "file_system_poll_wait_seconds": POLL,
            "max_num_load_retries": 1,
            "load_retry_interval_micros": 1000,
        }
        config = parsed(config_text(**(models if models is not None else {"m": ""})))
        manager = ModelManager(config, ManagerOptions(**defaults | options), on_event)
        await manager.start(is_replacement)
        managers.append(manager)
        return manager

    yield begin
    for manager in managers:
        await manager.close()


@pytest.fixture
def queue_of():
    """Makes a queue over a model; `threads` of its own."""
    from serving.server.batching import BatchQueue, BatchScheduler
    from tests.unit.serving.server.batched import batching

    schedulers = []

    def make(model, threads=1, on_run=None, scheduler=None, **values):
        scheduler = scheduler or BatchScheduler(threads)
        schedulers.append(scheduler)
        return BatchQueue(model, batching(**values), scheduler, on_run)

    yield make
    for scheduler in schedulers:
        scheduler.close()
