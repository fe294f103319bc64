"""The wheel that Dataflow's workers install."""

from __future__ import annotations

import zipfile

from pipeline.beam.wheel import build_wheel


def test_wheel_holds_the_packages_with_their_data_and_nothing_of_the_clone_is_touched(
    tmp_path, repository
):
    before = {path.name for path in repository.iterdir()}
    wheel = build_wheel(tmp_path)
    assert {path.name for path in repository.iterdir()} == before
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "pipeline/beam/worker.py",
        "pipeline/beam/flink/pom.xml",
        "components/example_gen/executor.py",
        "trainer_module/tasks/gan/classifier.npz",
        "serving/config.py",
    } < names
    assert not any(name.startswith(("tests/", "build/")) for name in names)
