"""The TFLiteExport component on real artifacts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tfx.types import artifact_utils, channel, standard_artifacts

from components.tflite.component import ACCEPTED, EXPORTED, Executor, LiteModels, TFLiteExport
from serving.lite.config import LiteConfig
from serving.lite.job import LiteExportFailed
from serving.lite.metrics import Metric

METRICS = [Metric(key="kind/accuracy", kind="accuracy", output="probabilities", label="kind")]
LABELS = {"class_id": ["cat", "dog", "frog", "horse"]}


def component(lite):
    return TFLiteExport(
        model=channel.Channel(type=standard_artifacts.Model),
        examples=channel.Channel(type=standard_artifacts.Examples),
        model_blessing=channel.Channel(type=standard_artifacts.ModelBlessing),
        model_name="pictures",
        lite=lite,
        metrics=METRICS,
        labels=LABELS,
        code="abc",
    )


@pytest.fixture
def export(artifact, lite_source):
    """Runs the executor on the shared model; returns the artifact that it put out."""

    def run(blessed, **lite):
        model = artifact(standard_artifacts.Model, 5)
        shutil.copytree(lite_source.folder, Path(model.uri, "Format-Serving"))
        examples = artifact(standard_artifacts.Examples, 6)
        shutil.copytree(lite_source.examples, examples.uri, dirs_exist_ok=True)
        examples.split_names = artifact_utils.encode_split_names(["train", "test"])
        blessing = artifact(standard_artifacts.ModelBlessing, 7, blessed=blessed)
        exported = artifact(LiteModels, 8)
        properties = dict(component(LiteConfig.model_validate(lite)).exec_properties)
        inputs = {"model": [model], "examples": [examples], "model_blessing": [blessing]}
        Executor().Do(inputs, {"lite_models": [exported]}, properties)
        return exported

    return run


def files(artifact_):
    return sorted(path.name for path in Path(artifact_.uri).iterdir())


def test_export_when_the_model_is_not_blessed_then_says_so_and_makes_nothing(export):
    exported = export(blessed=0)
    assert exported.get_int_custom_property(EXPORTED) == 0
    assert not exported.has_custom_property(ACCEPTED)
    assert files(exported) == []


def test_export_when_an_optional_variant_is_refused_then_the_others_are_there_and_told(
    export, capsys
):
    exported = export(
        blessed=1,
        variants=["float32", "float16", "int8"],
        tolerances={"int8": {"error": 1e-9}},
        representative_rows=20,
        test_rows=50,
    )
    assert exported.get_int_custom_property(EXPORTED) == 1
    assert exported.get_string_custom_property(ACCEPTED) == "float32,float16"
    expected = ["conversion.log", "float16.tflite", "float32.tflite", "lite.json"]
    assert files(exported) == expected
    report = json.loads(Path(exported.uri, "lite.json").read_text())
    assert report["setting"]["test_rows"] == 50
    assert report["setting"]["representative_rows"] == 20
    assert report["variants"][0]["metrics"].keys() == {"kind/accuracy"}
    assert "int8 refused: error of ink" in capsys.readouterr().out


def test_export_when_a_required_variant_is_refused_then_fails_with_its_figures(export):
    with pytest.raises(LiteExportFailed, match=r"^float32 refused: .*difference of \w+ .* > 1e-30"):
        export(
            blessed=1,
            variants=["float32"],
            tolerances={"float32": {"difference": 1e-30}},
            test_rows=50,
        )


def test_component_when_made_then_its_properties_carry_all_that_decides():
    lite = LiteConfig(variants=["int8"], tolerances={"int8": {"agreement": 0.99}})
    made = component(lite)
    properties = made.exec_properties
    assert LiteConfig.model_validate_json(properties["lite"]) == lite
    assert [Metric.model_validate(item) for item in json.loads(properties["metrics"])] == METRICS
    assert json.loads(properties["labels"]) == LABELS
    assert (properties["model_name"], properties["code"]) == ("pictures", "abc")
    assert set(made.outputs) == {"lite_models"}
