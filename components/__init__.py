"""TFX components of our own, a folder each, for what TFX's do not do."""

import importlib
from typing import Any

# Before anything imports TensorFlow: this sets which Keras it uses.
import trainer_module  # noqa: F401
from components import lazy_tfx

# Before anything imports TFX.
lazy_tfx.install()

_ARTIFACTS = {
    "GateVerdict": "components.anomaly_gate.strategy",
    "LiteModels": "components.tflite.component",
}
"""Types of our own: containers on Kubeflow import one by its name, a package and a class."""


def __getattr__(name: str) -> Any:
    if name in _ARTIFACTS:
        return getattr(importlib.import_module(_ARTIFACTS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
