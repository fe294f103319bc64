"""The names of our artifact types, by which containers on Kubeflow import them."""

from __future__ import annotations

import pytest
from tfx.types import artifact
from tfx.utils import import_utils

import components
from components.anomaly_gate.strategy import GateVerdict
from components.tflite.component import LiteModels


@pytest.mark.parametrize("artifact_class", [GateVerdict, LiteModels])
def test_type_when_imported_by_its_name_then_is_the_class(artifact_class):
    assert issubclass(artifact_class, artifact.Artifact)
    assert import_utils.import_class_by_path(artifact_class.TYPE_NAME) is artifact_class


def test_package_when_asked_for_another_name_then_has_none():
    with pytest.raises(AttributeError, match="'components' has no attribute 'Verdict'"):
        components.Verdict  # noqa: B018
