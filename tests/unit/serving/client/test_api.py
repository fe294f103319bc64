"""Our messages are TF Serving's and TensorFlow's on the wire, and cost no TensorFlow."""

from __future__ import annotations

import subprocess
import sys

import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

from google.protobuf import any_pb2, wrappers_pb2  # isort: skip
from google.protobuf.descriptor import FieldDescriptor  # isort: skip
from tensorflow.core.example import example_pb2, feature_pb2  # isort: skip
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2  # isort: skip
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2  # isort: skip
from tensorflow_serving.apis import (  # isort: skip
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    input_pb2,
    model_pb2,
    predict_pb2,
    prediction_log_pb2,
    regression_pb2,
    status_pb2,
)


from serving.client.api import MESSAGES, TABLE, VERSION_STATES

MODULES = [
    any_pb2, wrappers_pb2, example_pb2, feature_pb2, tensor_pb2, tensor_shape_pb2, meta_graph_pb2,
    saved_model_pb2, classification_pb2, get_model_metadata_pb2, get_model_status_pb2, input_pb2,
    model_pb2, predict_pb2, prediction_log_pb2, regression_pb2, status_pb2,
]  # fmt: skip
NESTED = {
    "Dim": tensor_shape_pb2.TensorShapeProto.Dim,
    "MetaInfoDef": meta_graph_pb2.MetaGraphDef.MetaInfoDef,
}


def original(name: str):
    if name in NESTED:
        return NESTED[name]
    (found,) = {
        getattr(module, name).DESCRIPTOR.full_name: getattr(module, name)
        for module in MODULES
        if name in module.DESCRIPTOR.message_types_by_name
    }.values()
    return found


def wire(field) -> tuple:
    """What of a field goes over the wire."""
    kind = field.type
    if kind == FieldDescriptor.TYPE_ENUM:
        kind = FieldDescriptor.TYPE_INT32
    message = field.message_type
    inner = None
    if message is not None and message.GetOptions().map_entry:
        inner = [wire(inside) for inside in message.fields]
    elif message is not None:
        inner = message.name
    repeated = field.label == FieldDescriptor.LABEL_REPEATED
    return field.name, field.number, kind, repeated, inner


@pytest.mark.parametrize("name", list(TABLE))
def test_message_of_the_table_when_compared_then_its_fields_are_the_originals(name) -> None:
    theirs = {field.name: wire(field) for field in original(name).DESCRIPTOR.fields}
    ours = {field.name: wire(field) for field in MESSAGES[name].DESCRIPTOR.fields}
    assert ours == {name: theirs.get(name) for name in ours}


def test_states_when_compared_then_are_the_originals() -> None:
    assert {
        number: name for name, number in get_model_status_pb2.ModelVersionStatus.State.items()
    } == VERSION_STATES


def test_messages_when_imported_then_tensorflow_is_not() -> None:
    program = (
        "import sys, serving.client.api, serving.tensor_protos; "
        "print([name for name in ('tensorflow', 'tensorflow_serving') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
