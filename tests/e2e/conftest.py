"""The runs that the end-to-end tests share, each made once a session."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

Weights = dict[str, np.ndarray]


@pytest.fixture(scope="session")
def tapeline(warm_tapeline):
    """Here without another import of TFX, since most commands take less long than that.

    `cold_tapeline` is for the first run of each kind: what its output says is then all of it, and
    what is to repeat it to the last bit has another seed of Python's hashes.
    """
    return warm_tapeline


@pytest.fixture(scope="session")
def workdir(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """A folder such as a user works in: the ready configurations, and `runs` to come.

    Runs in it must leave no other blessed model behind: tests rely on which one is the last.
    """
    return _make_workdir(tmp_path_factory, repository)


@pytest.fixture(scope="session")
def digits_run(workdir: Path, cold_tapeline):
    """The default job, from nothing to a pushed model."""
    return cold_tapeline("run", "configs/digits.yaml", "--json", cwd=workdir)


@pytest.fixture(scope="session")
def digits_again(digits_run, workdir: Path, typed):
    """The same a second time, as the README types it."""
    return typed("tapeline run configs/digits.yaml --json", workdir)


@pytest.fixture(scope="session")
def digits_lite(digits_run, workdir: Path, cold_tapeline):
    """Every variant of the digits for TF Lite, as the page says it."""
    return cold_tapeline("tflite", "configs/digits.yaml", "--json", cwd=workdir)


@pytest.fixture(scope="session")
def breast_cancer_workdir(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """A folder as `workdir`, for another worker's runs."""
    return _make_workdir(tmp_path_factory, repository)


@pytest.fixture(scope="session")
def breast_cancer_run(breast_cancer_workdir: Path, cold_tapeline):
    """The second ready job, from nothing to a pushed model."""
    return cold_tapeline("run", "configs/breast_cancer.yaml", "--json", cwd=breast_cancer_workdir)


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """A copy of the code, for a test to edit."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("pipeline", "components", "trainer_module", "serving", "configs"):
        shutil.copytree(
            repository / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    return folder


@pytest.fixture(scope="session")
def run_in_checkout(checkout: Path, tapeline):
    """Runs the second ready job, in a process of its own, by the copied code as it is by now."""

    def run(*arguments: str):
        return tapeline(
            "run", "configs/breast_cancer.yaml", "--json", *arguments,
            cwd=checkout, env={"PYTHONPATH": str(checkout)},
        )  # fmt: skip

    return run


@pytest.fixture(scope="session")
def checkout_run(run_in_checkout):
    """The second ready job again from nothing, by the copied code before any edit."""
    return run_in_checkout()


def _make_workdir(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    folder = tmp_path_factory.mktemp("workdir")
    (folder / "configs").symlink_to(repository / "configs")
    return folder


@pytest.fixture(scope="session")
def serving_weights() -> Callable[[str], Weights]:
    """Reads the variables of a pushed version, by name."""
    import tensorflow as tf

    def read(version: str) -> Weights:
        reader = tf.train.load_checkpoint(str(Path(version, "variables", "variables")))
        return {
            name: reader.get_tensor(name)
            for name in reader.get_variable_to_shape_map()
            if name != "_CHECKPOINTABLE_OBJECT_GRAPH"
        }

    return read


@pytest.fixture(scope="session")
def assert_same_bits() -> Callable[[Weights, Weights], None]:
    def check(found: Weights, expected: Weights) -> None:
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert found[name].tobytes() == value.tobytes(), f"{name} differs"

    return check


@pytest.fixture(scope="session")
def contents() -> Callable[[Path], dict[str, bytes]]:
    """Returns every file under a folder, its name and bytes."""

    def read(folder: Path) -> dict[str, bytes]:
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    return read
