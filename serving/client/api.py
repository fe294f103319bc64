"""The messages of TF Serving's API that a client needs, without TensorFlow.

`tensorflow_serving.apis` imports TensorFlow for the sake of TensorProto, which takes seconds; a
client has no other use for it. Names and numbers are those of `tensorflow_serving/apis/*.proto`
and `tensorflow/core/{framework,protobuf,example}/*.proto`; enums are int32 and a oneof is plain
fields, which are the same on the wire. Fields that no client reads are left out: protobuf skips
them.
"""

from __future__ import annotations

from serving.message_table import Table, build_messages

TABLE: Table = {
    # tensorflow/core/framework/tensor_shape.proto, tensor.proto
    "Dim": (("size", 1, "int64"), ("name", 2, "string")),
    "TensorShapeProto": (("dim", 2, "repeated Dim"), ("unknown_rank", 3, "bool")),
    "TensorProto": (
        ("dtype", 1, "int32"),
        ("tensor_shape", 2, "TensorShapeProto"),
        ("tensor_content", 4, "bytes"),
        ("float_val", 5, "repeated float"),
        ("double_val", 6, "repeated double"),
        ("int_val", 7, "repeated int32"),
        ("string_val", 8, "repeated bytes"),
        ("scomplex_val", 9, "repeated float"),
        ("int64_val", 10, "repeated int64"),
        ("bool_val", 11, "repeated bool"),
        ("dcomplex_val", 12, "repeated double"),
        ("half_val", 13, "repeated int32"),
        ("uint32_val", 16, "repeated uint32"),
        ("uint64_val", 17, "repeated uint64"),
    ),
    # tensorflow/core/example/feature.proto, example.proto
    "BytesList": (("value", 1, "repeated bytes"),),
    "FloatList": (("value", 1, "repeated float"),),
    "Int64List": (("value", 1, "repeated int64"),),
    "Feature": (
        ("bytes_list", 1, "BytesList"),
        ("float_list", 2, "FloatList"),
        ("int64_list", 3, "Int64List"),
    ),
    "Features": (("feature", 1, "map<string, Feature>"),),
    "Example": (("features", 1, "Features"),),
    # tensorflow/core/protobuf/meta_graph.proto, saved_model.proto
    "TensorInfo": (
        ("name", 1, "string"),
        ("dtype", 2, "int32"),
        ("tensor_shape", 3, "TensorShapeProto"),
    ),
    "SignatureDef": (
        ("inputs", 1, "map<string, TensorInfo>"),
        ("outputs", 2, "map<string, TensorInfo>"),
        ("method_name", 3, "string"),
    ),
    "MetaInfoDef": (("tags", 4, "repeated string"),),
    "MetaGraphDef": (
        ("meta_info_def", 1, "MetaInfoDef"),
        ("signature_def", 5, "map<string, SignatureDef>"),
    ),
    "SavedModel": (("meta_graphs", 2, "repeated MetaGraphDef"),),
    # tensorflow_serving/apis/model.proto, input.proto
    "Int64Value": (("value", 1, "int64"),),
    "ModelSpec": (
        ("name", 1, "string"),
        ("version", 2, "Int64Value"),
        ("signature_name", 3, "string"),
        ("version_label", 4, "string"),
    ),
    "ExampleList": (("examples", 1, "repeated Example"),),
    "ExampleListWithContext": (("examples", 1, "repeated Example"), ("context", 2, "Example")),
    "Input": (
        ("example_list", 1, "ExampleList"),
        ("example_list_with_context", 2, "ExampleListWithContext"),
    ),
    # tensorflow_serving/apis/predict.proto, classification.proto, regression.proto
    "PredictRequest": (
        ("model_spec", 1, "ModelSpec"),
        ("inputs", 2, "map<string, TensorProto>"),
        ("output_filter", 3, "repeated string"),
    ),
    "PredictResponse": (
        ("outputs", 1, "map<string, TensorProto>"),
        ("model_spec", 2, "ModelSpec"),
    ),
    "Class": (("label", 1, "string"), ("score", 2, "float")),
    "Classifications": (("classes", 1, "repeated Class"),),
    "ClassificationResult": (("classifications", 1, "repeated Classifications"),),
    "ClassificationRequest": (("model_spec", 1, "ModelSpec"), ("input", 2, "Input")),
    "ClassificationResponse": (
        ("result", 1, "ClassificationResult"),
        ("model_spec", 2, "ModelSpec"),
    ),
    "Regression": (("value", 1, "float"),),
    "RegressionResult": (("regressions", 1, "repeated Regression"),),
    "RegressionRequest": (("model_spec", 1, "ModelSpec"), ("input", 2, "Input")),
    "RegressionResponse": (("result", 1, "RegressionResult"), ("model_spec", 2, "ModelSpec")),
    # tensorflow_serving/apis/get_model_metadata.proto
    "Any": (("type_url", 1, "string"), ("value", 2, "bytes")),
    "SignatureDefMap": (("signature_def", 1, "map<string, SignatureDef>"),),
    "GetModelMetadataRequest": (
        ("model_spec", 1, "ModelSpec"),
        ("metadata_field", 2, "repeated string"),
    ),
    "GetModelMetadataResponse": (
        ("model_spec", 1, "ModelSpec"),
        ("metadata", 2, "map<string, Any>"),
    ),
    # tensorflow_serving/apis/get_model_status.proto, util/status.proto
    "StatusProto": (("error_code", 1, "int32"), ("error_message", 2, "string")),
    "ModelVersionStatus": (
        ("version", 1, "int64"),
        ("state", 2, "int32"),
        ("status", 3, "StatusProto"),
    ),
    "GetModelStatusRequest": (("model_spec", 1, "ModelSpec"),),
    "GetModelStatusResponse": (("model_version_status", 1, "repeated ModelVersionStatus"),),
    # tensorflow_serving/apis/prediction_log.proto, for the requests of a warmup file
    "PredictLog": (("request", 1, "PredictRequest"),),
    "ClassifyLog": (("request", 1, "ClassificationRequest"),),
    "RegressLog": (("request", 1, "RegressionRequest"),),
    "PredictionLog": (
        ("classify_log", 2, "ClassifyLog"),
        ("regress_log", 3, "RegressLog"),
        ("predict_log", 6, "PredictLog"),
    ),
}

MESSAGES = build_messages("tapeline.serving.client.api", TABLE)
"""The class of each message of the table."""

VERSION_STATES = {
    0: "UNKNOWN",
    10: "START",
    20: "LOADING",
    30: "AVAILABLE",
    40: "UNLOADING",
    50: "END",
}
"""`ModelVersionStatus.State`."""
