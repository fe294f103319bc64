"""The rules that data are held to, each made of the kinds of anomaly that TFDV tells apart.

The kinds are the values of `AnomalyInfo.Type` in tensorflow_metadata/proto/v0/anomalies.proto, in
lower case; a test holds this list to them. A policy names a rule or a kind.
"""

from __future__ import annotations

COLUMN_MISSING, COLUMN_NEW, TYPE_CHANGED = "column_missing", "column_new", "type_changed"
NEW_CATEGORY, OUT_OF_RANGE, MISSING_VALUES = "new_category", "out_of_range", "missing_values"
VALUE_COUNT, NOT_FINITE, UNIQUENESS = "value_count", "not_finite", "uniqueness"
DRIFT, SKEW, ROWS, LABEL_CONSTANT = "drift", "skew", "rows", "label_constant"
SCHEMA_INVALID, OTHER = "schema_invalid", "other"

KINDS: dict[str, tuple[str, ...]] = {
    COLUMN_MISSING: ("schema_missing_column", "feature_type_not_present"),
    COLUMN_NEW: ("schema_new_column",),
    TYPE_CHANGED: (
        "unexpected_data_type",
        "bool_type_bytes_not_int",
        "bool_type_bytes_not_string",
        "bool_type_float_not_int",
        "bool_type_float_not_string",
        "bool_type_int_not_string",
        "bool_type_string_not_int",
        "bool_type_unexpected_float",
        "enum_type_bytes_not_string",
        "enum_type_float_not_string",
        "enum_type_int_not_string",
        "float_type_not_float",
        "float_type_string_not_float",
        "float_type_non_string",
        "float_type_unknown_type_number",
        "int_type_int_expected",
        "int_type_not_int_string",
        "int_type_not_string",
        "int_type_string_expected",
        "int_type_unknown_type_number",
        "string_type_now_float",
        "string_type_now_int",
        "semantic_domain_update",
    ),
    NEW_CATEGORY: (
        "enum_type_unexpected_string_values",
        "enum_type_invalid_utf8",
        "bool_type_unexpected_string",
    ),
    OUT_OF_RANGE: (
        "bool_type_big_int",
        "bool_type_small_int",
        "float_type_big_float",
        "float_type_small_float",
        "int_type_big_int",
        "int_type_small_int",
    ),
    MISSING_VALUES: ("feature_type_low_fraction_present", "feature_type_low_number_present"),
    VALUE_COUNT: (
        "feature_type_low_number_values",
        "feature_type_high_number_values",
        "feature_type_no_values",
        "feature_type_unexpected_repeated",
        "invalid_feature_shape",
        "value_nestedness_mismatch",
    ),
    NOT_FINITE: ("float_type_has_nan", "float_type_has_inf"),
    UNIQUENESS: ("feature_type_high_unique", "feature_type_low_unique", "feature_type_no_unique"),
    DRIFT: (
        "comparator_control_data_missing",
        "comparator_treatment_data_missing",
        "comparator_l_infty_high",
        "comparator_jensen_shannon_divergence_high",
        "comparator_normalized_absolute_difference_high",
    ),
    SKEW: ("schema_training_serving_skew",),
    ROWS: (
        "no_data_in_span",
        "dataset_low_num_examples",
        "dataset_high_num_examples",
        "comparator_low_num_examples",
        "comparator_high_num_examples",
    ),
    LABEL_CONSTANT: (),
    SCHEMA_INVALID: (
        "feature_missing_name",
        "feature_missing_type",
        "invalid_schema_specification",
        "invalid_domain_specification",
        "domain_invalid_for_type",
        "bool_type_invalid_config",
        "embedding_shape_invalid",
        "nlp_wrong_location",
        "sparse_feature_name_collision",
        "weighted_feature_name_collision",
        "derived_feature_bad_lifecycle",
        "derived_feature_invalid_source",
    ),
    OTHER: (
        "unknown_type",
        "multiple_reasons",
        "low_supported_image_fraction",
        "max_image_byte_size_exceeded",
        "sparse_feature_missing_value",
        "sparse_feature_missing_index",
        "sparse_feature_length_mismatch",
        "weighted_feature_missing_value",
        "weighted_feature_missing_weight",
        "weighted_feature_length_mismatch",
        "sequence_value_too_few_occurrences",
        "sequence_value_too_many_occurrences",
        "sequence_value_too_small_fraction",
        "sequence_value_too_large_fraction",
        "feature_coverage_too_low",
        "feature_coverage_too_short_avg_token_length",
        "stats_not_available",
        "custom_validation",
    ),
}

RULE_OF = {kind: rule for rule, kinds in KINDS.items() for kind in kinds}
"""The rule of each kind."""
