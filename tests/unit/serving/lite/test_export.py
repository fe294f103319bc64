"""Variants in files: which are there, what they answer, and what becomes of those that differ."""

from __future__ import annotations

import json
import signal
import textwrap

import numpy as np
import pytest
import tensorflow as tf

from serving.lite import export
from serving.lite.config import VARIANTS
from serving.lite.examples import transform
from serving.lite.export import REPORT_FILE, export_lite
from serving.lite.interpreter import LiteModel
from serving.lite.job import SIGNATURE, Job, LiteExportFailed
from serving.session import SavedModelSession


def files(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def session(lite_source):
    return SavedModelSession(lite_source.folder)


@pytest.fixture(scope="module")
def models(report):
    return {
        name: LiteModel((report.folder / f"{name}.tflite").read_bytes(), SIGNATURE)
        for name in VARIANTS
    }


def test_export_when_all_is_within_tolerance_then_the_folder_holds_what_the_report_lists(report):
    expected = sorted([*(f"{name}.tflite" for name in VARIANTS), "conversion.log", REPORT_FILE])
    assert files(report.folder) == expected
    written = json.loads((report.folder / REPORT_FILE).read_text())
    assert written == json.loads(report.model_dump_json())
    for verdict in report.variants:
        size = (report.folder / f"{verdict.variant}.tflite").stat().st_size
        assert (verdict.refusal, verdict.size) == (None, size)
        assert set(verdict.latency_ms) == {"1", "2"}
        assert min(verdict.latency_ms.values()) > 0
    assert report.failure is None
    assert (report.setting.representative_rows, report.setting.test_rows) == (200, 200)


def test_sizes_when_the_weights_are_quantized_then_are_fractions_of_float32(report):
    ratios = {verdict.variant: verdict.ratio for verdict in report.variants}
    assert ratios["float32"] == 1
    assert ratios["dynamic_range"] <= 0.3
    assert ratios["int8"] <= 0.3
    assert ratios["int8_float"] <= 0.3
    assert 0.45 <= ratios["float16"] <= 0.55


def test_float32_on_200_raw_examples_answers_as_the_saved_model_within_1e_5(
    lite_source, models, session
):
    examples = lite_source.test_examples
    assert len(examples) == 200
    expected = session.run("serving_default", {"examples": np.array(examples, object)})
    found = models["float32"].run({"image": transform(session, examples)["image"]})
    assert set(found) == set(expected) - {"label"}
    for name, value in found.items():
        assert value.dtype == expected[name].dtype
        np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("rows", [1, 7])
def test_variant_when_asked_about_any_number_of_rows_then_figures_hold(
    variant, rows, lite_source, models, session
):
    """Seen from outside: classes as the SavedModel's, and probabilities that are some."""
    image = transform(session, lite_source.test_examples[:rows])["image"]
    expected = session.run(SIGNATURE, {"image": image})
    found = models[variant].run({"image": image})
    np.testing.assert_array_equal(found["class_id"], expected["class_id"])
    np.testing.assert_allclose(found["probabilities"], expected["probabilities"], atol=0.1)
    np.testing.assert_allclose(found["ink"], expected["ink"], atol=0.02)
    np.testing.assert_allclose(found["probabilities"].sum(axis=1), 1.0, atol=0.02)


@pytest.mark.parametrize("variant", VARIANTS)
def test_variant_when_made_then_only_int8_takes_and_gives_8_bits(variant, models):
    details = {**models[variant].inputs, **models[variant].outputs}
    dtypes = {name: np.dtype(found["dtype"]).name for name, found in details.items()}
    number = "int8" if variant == "int8" else "float32"
    assert dtypes == {"image": number, "probabilities": number, "ink": number, "class_id": "int64"}
    assert all(found["shape_signature"][0] == -1 for found in details.values())


def test_metrics_when_measured_then_are_those_of_the_labels(report, lite_source, models, session):
    features = transform(session, lite_source.test_examples)
    for name, model in models.items():
        classes = model.run({"image": features["image"]})["probabilities"].argmax(axis=1)
        (verdict,) = [verdict for verdict in report.variants if verdict.variant == name]
        accuracy = np.mean(classes == features["kind"])
        assert verdict.metrics == {"kind/accuracy": pytest.approx(accuracy)}
        assert accuracy > 0.9


def test_export_when_a_tolerance_cannot_be_held_then_the_variant_is_refused_and_its_file_goes(
    make_job, tmp_path
):
    tolerances = {"int8": {"error": 1e-9}}
    (tmp_path / "int8.tflite").write_text("of an earlier export")
    (tmp_path / "float16.tflite").write_text("of an earlier export")
    (tmp_path / "notes.txt").write_text("somebody's")
    (tmp_path / ".tapeline-lite-killed").mkdir()

    report = export_lite(
        make_job(variants=["float32", "int8"], tolerances=tolerances, representative_rows=20),
        tmp_path,
    )

    refused = {verdict.variant: verdict.refusal for verdict in report.variants}
    assert refused["float32"] is None
    assert refused["int8"].startswith("error of ink 0.0")
    assert refused["int8"].endswith("> 1e-09")
    assert files(tmp_path) == ["conversion.log", "float32.tflite", REPORT_FILE, "notes.txt"]
    assert json.loads((tmp_path / REPORT_FILE).read_text())["variants"][1]["refusal"]
    assert report.failure is None  # only float32 is required
    assert report.setting.representative_rows == 20


class Uneven(tf.Module):
    """Classes by the smaller of two inputs that share one range: 8 bits cannot tell them."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def transform_features(self, examples):
        parsed = tf.io.parse_example(examples, {"image": tf.io.FixedLenFeature([64], tf.float32)})
        image = parsed["image"]
        return {"pair": tf.stack([image[:, 0] * 1000.0, image[:, 1] / 16.0 - 0.5], axis=1)}

    @tf.function(input_signature=[tf.TensorSpec([None, 2], name="pair")])
    def transformed(self, pair):
        logits = tf.matmul(pair, [[0.0, 0.0], [1.0, -1.0]])
        return {"class_id": tf.argmax(logits, axis=1)}


@pytest.fixture(scope="module")
def uneven(make_job, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uneven")
    module = Uneven()
    names = ("transform_features", "transformed")
    tf.saved_model.save(
        module, str(folder / "model"), {name: getattr(module, name) for name in names}
    )
    job = make_job(folder=folder / "model", variants=["float32", "int8", "int8_float"])
    return export_lite(job, folder / "out")


def test_export_when_8_bits_cannot_hold_the_classes_then_those_variants_are_refused(uneven):
    verdicts = {verdict.variant: verdict for verdict in uneven.variants}
    assert verdicts["float32"].refusal is None
    for name in ("int8", "int8_float"):
        agreement = verdicts[name].comparison.agreement["class_id"]
        assert agreement < 0.9
        assert verdicts[name].refusal == f"agreement of class_id {agreement:.4f} < 0.97"
    found = files(uneven.folder)
    assert found == ["conversion.log", "float32.tflite", REPORT_FILE]


DYING_WORKER = """
    import json, os, sys
    from pathlib import Path

    folder, variants = Path(sys.argv[2]), sys.argv[3:]
    setting = {"representative_rows": 1, "test_rows": 1, "metrics": {}}
    dies = os.environ["DIES"].split()
    if "to say" in os.environ["DIES"]:
        (folder / "error.json").write_text(json.dumps("no examples"))
        sys.exit(1)
    if "at once" not in os.environ["DIES"]:
        (folder / "setting.json").write_text(json.dumps(setting))
    for variant in variants:
        if variant in dies:
            os.abort()
        (folder / f"{variant}.tflite").write_bytes(b"a model")
        figures = {"agreement": {"y": 1.0}, "difference": {}, "error": {"x": float("inf")}}
        measured = {"variant": variant, "size": 7, "comparison": figures}
        (folder / f"{variant}.json").write_text(json.dumps(measured))
"""


@pytest.fixture
def dying_worker(tmp_path, monkeypatch):
    """A worker that ends as the converter can end it, on the variants that DIES names."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "dying_worker.py").write_text(textwrap.dedent(DYING_WORKER))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "modules"))
    monkeypatch.setattr(export, "WORKER", "dying_worker")
    return lambda *variants: monkeypatch.setenv("DIES", " ".join(variants))


def plain_job(tmp_path, **lite):
    nothing = tmp_path / "nothing"
    return Job(saved_model=nothing, name="m", representative=[], test=[], config=lite)


def test_export_when_the_process_is_aborted_then_that_variant_is_refused_and_the_others_go_on(
    dying_worker, tmp_path
):
    dying_worker("dynamic_range", "int8_float")
    report = export_lite(plain_job(tmp_path), tmp_path / "out")

    verdicts = {verdict.variant: verdict for verdict in report.variants}
    for name in ("dynamic_range", "int8_float"):
        assert f"was ended by {signal.Signals(signal.SIGABRT).name}" in verdicts[name].refusal
        assert str(report.log) in verdicts[name].refusal
    # int8's infinite error is refused on its own account.
    assert verdicts["int8"].refusal == "error of x inf > 0.2"
    assert verdicts["float32"].refusal is None
    assert files(report.folder) == ["conversion.log", "float32.tflite", REPORT_FILE]
    assert report.failure is None


def test_export_when_a_required_variant_is_lost_then_is_a_failure_that_names_it(
    dying_worker, tmp_path
):
    dying_worker("int8")
    job = plain_job(tmp_path, variants=["float32", "int8"], required=["int8"])
    report = export_lite(job, tmp_path / "out")
    assert report.failure.startswith("int8 refused: the process that converts and runs it was")


def test_export_when_no_variant_is_accepted_then_is_a_failure_though_none_is_required(
    dying_worker, tmp_path
):
    dying_worker("float16")
    report = export_lite(plain_job(tmp_path, variants=["float16"], required=[]), tmp_path / "out")
    assert report.failure.startswith("float16 refused")


def test_export_when_the_process_ends_before_there_is_anything_to_measure_by_then_raises(
    dying_worker, tmp_path
):
    dying_worker("at once", "float32")
    with pytest.raises(LiteExportFailed, match=r"was ended by SIGABRT; see .*conversion\.log"):
        export_lite(plain_job(tmp_path), tmp_path / "out")
    assert files(tmp_path / "out") == ["conversion.log"]


def test_export_when_there_is_nothing_to_measure_by_then_raises_and_leaves_what_was_there(
    dying_worker, tmp_path
):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "int8.tflite").write_text("of an earlier export")
    dying_worker("to say why")
    with pytest.raises(LiteExportFailed, match=r"^no examples$"):
        export_lite(plain_job(tmp_path), tmp_path / "out")
    assert files(tmp_path / "out") == ["conversion.log", "int8.tflite"]
