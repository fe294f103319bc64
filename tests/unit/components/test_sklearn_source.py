"""The bundled data sets as named columns."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn import datasets

from components.example_gen.columns import COLUMNS, LABELS
from components.example_gen.sklearn_source import load_columns, rows

REPOSITORY = Path(__file__).parents[3]


def test_digits_when_loaded_then_are_images_of_64_pixels_and_their_digit():
    columns = load_columns("digits")
    assert list(columns) == ["image", "digit"]
    assert (columns["image"].shape, columns["image"].dtype) == ((1797, 64), np.float32)
    assert (columns["digit"].shape, columns["digit"].dtype) == ((1797,), np.int64)
    assert (columns["image"].min(), columns["image"].max()) == (0, 16)
    assert set(columns["digit"]) == set(range(10))


def test_breast_cancer_when_loaded_then_is_thirty_measurements_and_the_diagnosis():
    columns = load_columns("breast_cancer")
    assert len(columns) == 31
    assert list(columns)[-1] == "diagnosis"
    assert {"mean_radius", "worst_concave_points"} < set(columns)
    for name, column in columns.items():
        assert column.shape == (569,)
        assert column.dtype == (np.int64 if name == "diagnosis" else np.float32)
        assert name.isidentifier(), "signatures take it as an argument's name"


def test_breast_cancer_when_loaded_then_each_column_is_that_of_scikit_learn():
    columns, loaded = load_columns("breast_cancer"), datasets.load_breast_cancer()
    for index, title in enumerate(loaded.feature_names):
        expected = loaded.data[:, index].astype(np.float32)
        np.testing.assert_array_equal(columns[title.replace(" ", "_")], expected)
    malignant = list(loaded.target_names).index("malignant")
    assert malignant == 0
    np.testing.assert_array_equal(columns["diagnosis"], loaded.target)


@pytest.mark.parametrize("dataset", list(LABELS))
def test_columns_when_known_without_loading_then_are_those_that_are_loaded(dataset):
    assert list(load_columns(dataset, limit=1)) == list(COLUMNS[dataset])
    assert COLUMNS[dataset][-1] == LABELS[dataset]


@pytest.mark.parametrize("dataset", list(LABELS))
def test_limit_when_given_then_takes_the_first_rows_of_every_column(dataset):
    every, few = load_columns(dataset), load_columns(dataset, limit=7)
    assert list(few) == list(every)
    for name, column in few.items():
        np.testing.assert_array_equal(column, every[name][:7])


def test_limit_when_larger_than_the_data_then_takes_all():
    assert len(load_columns("digits", limit=10**6)["digit"]) == 1797


def test_load_columns_when_the_data_set_is_unknown_then_names_it():
    with pytest.raises(KeyError, match="iris"):
        load_columns("iris")


def test_rows_when_columns_are_vectors_and_scalars_then_are_plain_python():
    columns = {"image": np.eye(2, dtype=np.float32), "digit": np.array([3, 4])}
    found = list(rows(columns))
    assert found == [{"image": [1.0, 0.0], "digit": 3}, {"image": [0.0, 1.0], "digit": 4}]
    assert type(found[0]["digit"]) is int
    assert type(found[0]["image"][0]) is float


def test_rows_when_columns_differ_in_length_then_is_an_error():
    with pytest.raises(ValueError, match="shorter"):
        list(rows({"a": np.arange(3), "b": np.arange(2)}))


def test_module_when_imported_then_tensorflow_is_not():
    program = (
        "import sys, components.example_gen.sklearn_source; print('tensorflow' in sys.modules)"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
