"""What a version's TF Lite variants are made from, found by its manifest and its run's metadata."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.config_file import ConfigError, load_config
from pipeline.lite import Origin, Wanted, export_job, lite_labels, lite_metrics, origin_of
from serving.lite.config import VARIANTS


class Run:
    """A pipeline's folder as a run leaves it, as far as an export looks at it."""

    def __init__(self, folder: Path, config: str) -> None:
        self.root = folder / "runs" / "digits"
        self.model = self.root / "artifacts" / "Trainer" / "model" / "5"
        self.examples = self.root / "artifacts" / "ExampleGen" / "examples" / "1"
        self.version = self.root / "serving" / "digits" / "1700000000"
        self.config = self.root / "runs" / "run-1" / "config.yaml"
        for split in ("train", "test"):
            (self.examples / f"Split-{split}").mkdir(parents=True)
            (self.examples / f"Split-{split}" / "data.gz").touch()
        self.config.parent.mkdir(parents=True)
        self.config.write_text(config)
        (self.version / "assets.extra").mkdir(parents=True)
        (self.version / "saved_model.pb").touch()
        self.write_manifest(model_uri=str(self.model))
        self._store()

    @property
    def metadata(self) -> Path:
        return self.root / "metadata.sqlite"

    def write_manifest(self, **values: object) -> None:
        (self.version / "assets.extra" / "tapeline.json").write_text(json.dumps(values))

    def _store(self) -> None:
        """Writes what TFX writes of a training: once as it ran, once from the cache."""
        connection = mlmd.ConnectionConfig()
        connection.sqlite.filename_uri = str(self.metadata)
        store = metadata_store.MetadataStore(connection)
        types = {
            name: store.put_artifact_type(mlmd.ArtifactType(name=name))
            for name in ("Model", "Examples")
        }
        trainer = store.put_execution_type(mlmd.ExecutionType(name="Trainer"))
        run_type = store.put_context_type(mlmd.ContextType(name="pipeline_run"))
        node_type = store.put_context_type(mlmd.ContextType(name="node"))
        model, raw, transformed = store.put_artifacts(
            [
                mlmd.Artifact(type_id=types["Model"], uri=str(self.model)),
                mlmd.Artifact(type_id=types["Examples"], uri=str(self.examples)),
                mlmd.Artifact(type_id=types["Examples"], uri="/transformed"),
            ]
        )
        (node,) = store.put_contexts([mlmd.Context(type_id=node_type, name="digits.Trainer")])
        for run_id in ("run-0", "run-1"):
            (run,) = store.put_contexts([mlmd.Context(type_id=run_type, name=run_id)])
            (execution,) = store.put_executions([mlmd.Execution(type_id=trainer)])
            store.put_attributions_and_associations(
                [], [mlmd.Association(execution_id=execution, context_id=c) for c in (node, run)]
            )
            links = [
                ("examples", transformed, mlmd.Event.INPUT),
                ("raw_examples", raw, mlmd.Event.INPUT),
                ("model", model, mlmd.Event.OUTPUT),
            ]
            events = []
            for key, artifact, kind in links:
                event = mlmd.Event(artifact_id=artifact, execution_id=execution, type=kind)
                event.path.steps.add(key=key)
                events.append(event)
            store.put_events(events)


@pytest.fixture
def run(tmp_path, write_config) -> Run:
    return Run(tmp_path, write_config().read_text())


def test_origin_when_the_run_is_there_then_is_the_last_one_that_put_the_model_out(run) -> None:
    assert origin_of(run.version) == Origin(run.root, run.config, run.examples)


def spoil_manifest(run: Run) -> None:
    run.write_manifest()


def point_at_a_bare_folder(run: Run) -> None:
    run.write_manifest(model_uri="/model")


def remove_metadata(run: Run) -> None:
    run.metadata.unlink()


def damage_metadata(run: Run) -> None:
    run.metadata.write_bytes(b"no SQLite" * 200)


def point_at_another_model(run: Run) -> None:
    run.write_manifest(model_uri=str(run.model.with_name("6")))


def remove_examples(run: Run) -> None:
    shutil.rmtree(run.examples)


def remove_config(run: Run) -> None:
    run.config.unlink()


def remove_config_of_training(run: Run) -> None:
    run.config.parent.rename(run.config.parent.with_name("run-2"))


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (spoil_manifest, "a version that does not say which run it comes from"),
        (point_at_a_bare_folder, "a version that does not say which run it comes from"),
        (remove_metadata, "metadata.sqlite, the metadata of the run that it comes from"),
        (damage_metadata, "metadata.sqlite, which does not tell: "),
        (point_at_another_model, "which does not tell: nothing put out "),
        (remove_examples, "ExampleGen/examples/1, the examples that it was trained on"),
        (remove_config, "no run's folder under "),
        (remove_config_of_training, "run-1/config.yaml, the configuration of its run"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_origin_when_it_cannot_be_found_then_says_what_is_missing_and_what_to_do(
    run, spoil, found
) -> None:
    spoil(run)
    with pytest.raises(ConfigError) as caught:
        origin_of(run.version)
    message = str(caught.value)
    assert message.startswith(f"{run.version}: MODEL: found ")
    assert found in message
    assert message.endswith("a version whose run is on this machine; or --examples and --out")


def test_job_when_the_run_is_there_then_has_its_examples_metrics_and_classes(run) -> None:
    job, folder = export_job(str(run.version), [], Wanted())
    assert folder == run.root / "lite" / "1700000000"
    assert (job.saved_model, job.name, job.version) == (run.version, "digits", "1700000000")
    assert job.representative == [run.examples / "Split-train" / "data.gz"]
    assert job.test == [run.examples / "Split-test" / "data.gz"]
    assert job.config.variants == list(VARIANTS)
    assert [(m.key, m.kind, m.output, m.label) for m in job.metrics] == [
        ("class/accuracy", "accuracy", "probabilities", "class"),
        ("attribute/r2", "r2", "attribute", "attribute"),
    ]
    assert job.labels["class_id"] == job.labels["probabilities"] == list("0123456789")


def test_job_when_the_configuration_and_the_command_say_more_then_both_hold(run) -> None:
    overrides = ["lite={required: [int8, float32], test_rows: 9}"]
    job, _ = export_job(str(run.version), overrides, Wanted(variants=["int8"]))
    assert (job.config.variants, job.config.required_variants) == (["int8"], ["int8"])
    assert job.config.test_rows == 9


def test_job_when_examples_and_folder_are_given_then_needs_no_run(run, tmp_path) -> None:
    examples = shutil.move(run.examples, tmp_path / "elsewhere")
    remove_metadata(run)
    wanted = Wanted(out=tmp_path / "out", examples=Path(examples))
    job, folder = export_job(str(run.version), [], wanted)
    assert folder == tmp_path / "out"
    assert job.test == [tmp_path / "elsewhere" / "Split-test" / "data.gz"]
    assert (job.metrics, job.labels) == ([], {})
    with pytest.raises(ConfigError, match="--set: lite=null: found no configuration to override"):
        export_job(str(run.version), ["lite=null"], wanted)


@pytest.mark.parametrize(
    ("variants", "found"),
    [(["int9"], "int9"), (["int8", "int8"], "int8,int8"), ([""], "")],
    ids=["unknown", "twice", "empty"],
)
def test_job_when_a_variant_is_wrong_then_says_which_there_are(run, variants, found) -> None:
    with pytest.raises(ConfigError) as caught:
        export_job(str(run.version), [], Wanted(variants=variants))
    assert str(caught.value) == (
        f"tflite: --variants: found {found}; allowed: some of float32, dynamic_range, float16, "
        "int8, int8_float, each once"
    )


def test_job_when_a_split_is_not_there_then_says_so(run, tmp_path) -> None:
    shutil.rmtree(run.examples / "Split-test")
    with pytest.raises(ConfigError, match=r"examples: found no file in .*Split-test; allowed"):
        export_job(str(run.version), [], Wanted())


def test_metrics_when_one_is_not_of_single_rows_then_is_left_out(repository) -> None:
    from trainer_module.tasks import make_task

    config = load_config(str(repository / "configs" / "gan.yaml"))
    task = make_task(config.task)
    assert lite_metrics(config.evaluate, task) == []
    assert lite_labels(task) == {}
