"""A serving directory that no server could start with is refused, with what to do."""

from __future__ import annotations

import pytest

from serving.serving_root import SERVER_FILES, IncompleteRoot, ServedModel, root_of, served_models
from serving.text_configs import models_text


@pytest.fixture
def root(tmp_path, write_serving_root):
    return write_serving_root(tmp_path / "serving")


@pytest.mark.parametrize("below", ["", "digits"])
def test_root_of_when_given_the_root_or_a_models_folder_then_is_the_root(root, below):
    assert root_of(root / below) == root


def test_root_of_when_no_models_config_is_near_then_says_where_it_looked(tmp_path):
    with pytest.raises(IncompleteRoot, match=r"with no models\.config in it or beside it"):
        root_of(tmp_path)


def test_root_of_when_the_path_is_relative_then_is_absolute(root, monkeypatch):
    monkeypatch.chdir(root.parent)
    assert root_of(root.relative_to(root.parent)) == root


def test_served_models_when_there_are_several_then_names_each_with_its_folder(root, tmp_path):
    (tmp_path / "taxi" / "1").mkdir(parents=True)
    text = models_text((root / "models.config").read_text(), "taxi", str(tmp_path / "taxi"))
    (root / "models.config").write_text(text)
    assert served_models(root) == (
        ServedModel("digits", root / "digits"),
        ServedModel("taxi", tmp_path / "taxi"),
    )


def test_served_models_when_a_model_is_in_an_object_store_then_it_is_not_looked_for(root):
    text = models_text((root / "models.config").read_text(), "taxi", "gs://bucket/taxi")
    (root / "models.config").write_text(text)
    assert served_models(root)[1] == ServedModel("taxi", None)


@pytest.mark.parametrize("name", SERVER_FILES)
def test_served_models_when_a_file_is_missing_then_says_which_and_to_push_again(root, name):
    (root / name).unlink()
    with pytest.raises(IncompleteRoot, match=rf"without {name}; allowed: .* run it again"):
        served_models(root)


def test_served_models_when_the_directory_was_moved_then_says_where_versions_were_looked_for(root):
    moved = root.rename(root.parent / "moved")
    with pytest.raises(IncompleteRoot, match=f"no version of digits in {root}/digits"):
        served_models(moved)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model_config_list {", "Expected"),
        ("custom_model_config {}", "custom_model_config"),
        ("", "without a model"),
    ],
)
def test_served_models_when_models_config_cannot_be_used_then_says_why(root, text, said):
    (root / "models.config").write_text(text)
    with pytest.raises(IncompleteRoot, match=said):
        served_models(root)
