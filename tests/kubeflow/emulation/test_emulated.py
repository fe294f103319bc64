"""The compiled pipeline, every container's command executed, as both platforms would.

This is emulation of what the specification says; no cluster is involved.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.kubeflow.emulation.emulator import DONE, FAILED, SKIPPED

pytestmark = [pytest.mark.kubeflow, pytest.mark.timeout(3600)]


def explained(run):
    """Returns the logs of what failed, for a message."""
    return "\n".join(
        run.logs[name][-3000:] for name, state in run.states.items() if state == FAILED
    )


def pushed(emulator) -> list[Path]:
    """Returns the versions in the emulated volume, oldest first."""
    models = emulator.folder / "volume" / "digits" / "serving" / "digits"
    return sorted(models.glob("[0-9]*"), key=lambda path: int(path.name))


def weights(saved_model: Path) -> dict[str, np.ndarray]:
    from trainer_module.warm_start import read_weights

    return read_weights(str(saved_model))


def assert_same_bits(one: Path, other: Path) -> None:
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys() and first
    for name, value in first.items():
        assert value.tobytes() == second[name].tobytes(), name


@pytest.fixture(params=["open_source", "vertex"])
def finished(request):
    """The emulator and the run of each target."""
    return request.getfixturevalue(request.param)


def test_run_then_does_every_node_and_pushes_a_model(finished):
    emulator, run = finished
    assert set(run.states.values()) == {DONE}, explained(run)
    assert run.states.keys() == emulator.spec["root"]["dag"]["tasks"].keys()
    (version,) = pushed(emulator)
    assert (version / "saved_model.pb").is_file()
    (artifact,) = run.artifacts["Pusher"]["pushed_model"]
    assert artifact["metadata"]["pushed_destination"] == str(version)


def test_run_then_has_the_weights_of_the_local_run_to_the_last_bit(finished, local):
    emulator, _ = finished
    (version,) = pushed(emulator)
    assert_same_bits(version, local)


def test_run_then_its_artifacts_are_in_the_store_and_the_driver_has_looked_at_the_data(finished):
    emulator, run = finished
    (examples,) = run.artifacts["ExampleGen"]["examples"]
    assert examples["uri"].startswith(emulator.root)
    assert "input_fingerprint" in examples["metadata"]  # empty: these data come with a library
    where = "store" if emulator.open_source else "staging"
    assert list(emulator.local(examples["uri"], where).glob("Split-train/*"))


def test_run_when_there_was_none_before_then_starts_and_compares_with_nothing(finished):
    _, run = finished
    for node, output in (("WarmStart", "model"), ("Baseline", "model"), ("AcceptedData", "schema")):
        (artifact,) = run.artifacts[node][output]
        assert artifact["metadata"]["absent"] == 1.0
    (blessing,) = run.artifacts["Evaluator"]["blessing"]
    assert "baseline_model_id" not in blessing["metadata"]


def test_second_run_when_a_model_is_served_then_starts_with_it_and_is_held_to_it(open_source):
    emulator, first = open_source
    assert set(first.states.values()) == {DONE}, explained(first)
    before = pushed(emulator)
    again = {"AcceptedData", "WarmStart", "Trainer", "Baseline", "Evaluator", "Pusher"}
    run = emulator.run(given=first, only=again)
    assert set(run.states.values()) == {DONE}, explained(run)
    for node in ("WarmStart", "Baseline"):
        (model,) = run.artifacts[node]["model"]
        assert model["metadata"]["version"] == before[-1].name
        assert_same_bits(emulator.local(model["uri"], "store") / "Format-Serving", before[-1])
    (blessing,) = run.artifacts["Evaluator"]["blessing"]
    assert "baseline_model_id" in blessing["metadata"]
    assert len(pushed(emulator)) == len(before) + 1
    # The same data: they were the first that there were, and are held to none still.
    (schema,) = run.artifacts["AcceptedData"]["schema"]
    assert schema["metadata"]["absent"] == 1.0


def test_stock_entrypoint_when_open_source_then_fails_at_the_first_artifact(emulated):
    run = emulated("kubeflow", stock=True).run(only={"ExampleGen", "StatisticsGen"})
    assert run.states["ExampleGen"] == FAILED
    assert run.states["StatisticsGen"] == SKIPPED
    assert "minio" in run.logs["ExampleGen"]


def test_step_when_it_fails_then_what_follows_is_skipped(emulated):
    failing = {"StatisticsGen": ["python", "-c", "raise SystemExit('out of memory')"]}
    emulator = emulated("kubeflow", "train.warm_start=false", commands=failing)
    run = emulator.run()
    done = {name for name, state in run.states.items() if state == DONE}
    assert done == {"ExampleGen"}, explained(run)
    assert run.states["StatisticsGen"] == FAILED
    assert {run.states[name] for name in ("Trainer", "Evaluator", "Pusher")} == {SKIPPED}
    assert pushed(emulator) == []


def test_model_when_it_is_not_blessed_then_is_not_pushed(open_source, compile_spec):
    emulator, first = open_source
    metric = "{name: accuracy, head: class, at_least: 0.9999}"
    spec = compile_spec("kubeflow", emulator.folder / "volume", f"evaluate.metrics=[{metric}]")
    strict = dataclasses.replace(emulator, spec=spec)
    before = pushed(emulator)
    run = strict.run(given=first, only={"Evaluator", "Pusher"})
    (blessing,) = run.artifacts["Evaluator"]["blessing"]
    assert blessing["metadata"]["blessed"] == 0.0
    assert run.states.pop("Pusher") == SKIPPED
    assert set(run.states.values()) == {DONE}, explained(run)
    assert pushed(emulator) == before


def test_span_when_the_run_gives_one_then_is_the_one_that_is_read(emulated):
    data = "{source: csv, path: '/gcs/bucket/tapeline/data/span-{SPAN}.csv', label: digit}"
    emulator = emulated("vertex", f"data={data}")
    folder = emulator.folder / "volume" / "data"
    folder.mkdir(parents=True)
    for span in (1, 2):
        rows = "".join(f"{index % 2},{index}\n" for index in range(200 * span))
        (folder / f"span-{span}.csv").write_text("digit,value\n" + rows)
    latest, asked = (emulator.run(found, only={"ExampleGen"}) for found in ({}, {"span": "1"}))
    found = [run.artifacts["ExampleGen"]["examples"][0]["metadata"] for run in (latest, asked)]
    assert [metadata["span"] for metadata in found] == [2.0, 1.0], explained(latest)
    assert found[0]["input_fingerprint"] != found[1]["input_fingerprint"]
