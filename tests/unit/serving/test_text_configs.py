"""The configuration files are what TF Serving reads and writes."""

import pytest
from google.protobuf import text_format
from pydantic import ValidationError
from tensorflow_serving.config import model_server_config_pb2

from serving.config import BatchingConfig
from serving.text_configs import (
    Monitoring,
    Tls,
    batching_text,
    models_text,
    monitoring_text,
    parse_batching,
    parse_model_list,
    parse_models,
    parse_monitoring,
    parse_ssl,
)
from serving.version_policy import VersionPolicy

OTHER_MODELS = """
model_config_list {
  config { name: "taxi" base_path: "/models/taxi" model_platform: "tensorflow"
           model_version_policy { specific { versions: 3 versions: 5 } }
           version_labels { key: "stable" value: 3 } }
  config { name: "fares" base_path: "/models/fares" model_platform: "tensorflow" }
}
"""


def models_of(text):
    """Parses models.config with TF Serving's own message."""
    server = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    return {model.name: model for model in server.model_config_list.config}


@pytest.mark.parametrize(
    "config",
    [
        BatchingConfig(),
        BatchingConfig(batch_timeout_micros=0),
        BatchingConfig(
            max_batch_size=32,
            batch_timeout_micros=500,
            max_enqueued_batches=7,
            num_batch_threads=3,
            allowed_batch_sizes=[1, 4, 32],
        ),
        BatchingConfig(
            max_batch_size=32,
            pad_variable_length_inputs=True,
            enable_large_batch_splitting=True,
            max_execution_batch_size=8,
        ),
    ],
)
def test_batching_text_when_parsed_then_is_the_same_configuration(config):
    assert parse_batching(batching_text(config)) == config


def test_batching_text_when_written_then_has_the_form_of_tf_servings_documentation():
    config = BatchingConfig(
        max_batch_size=4,
        batch_timeout_micros=10,
        max_enqueued_batches=5,
        num_batch_threads=6,
        allowed_batch_sizes=[2, 4],
    )
    assert " ".join(batching_text(config).split()) == (
        "max_batch_size { value: 4 } batch_timeout_micros { value: 10 } "
        "max_enqueued_batches { value: 5 } num_batch_threads { value: 6 } "
        "allowed_batch_sizes: 2 allowed_batch_sizes: 4"
    )


def test_parse_batching_when_nothing_is_set_then_has_tf_servings_defaults(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 2, 5})
    assert parse_batching("") == BatchingConfig(
        max_batch_size=1000, batch_timeout_micros=0, max_enqueued_batches=10, num_batch_threads=3
    )


def test_parse_batching_when_every_field_is_set_then_all_that_count_are_read():
    text = """
        max_batch_size { value: 16 }
        batch_timeout_micros { value: 7 }
        max_enqueued_batches { value: 6 }
        num_batch_threads { value: 5 }
        thread_pool_name { value: "pool" }
        allowed_batch_sizes: [2, 16]
        pad_variable_length_inputs: true
        enable_large_batch_splitting { value: true }
        max_execution_batch_size { value: 4 }
    """
    config = parse_batching(text)
    assert config == BatchingConfig(
        max_batch_size=16,
        batch_timeout_micros=7,
        max_enqueued_batches=6,
        num_batch_threads=5,
        allowed_batch_sizes=[2, 16],
        pad_variable_length_inputs=True,
        enable_large_batch_splitting=True,
        max_execution_batch_size=4,
    )
    assert config.execution_batch_size == 4


def test_parse_batching_when_no_batch_may_wait_then_one_may_as_with_tf_serving():
    assert parse_batching("max_enqueued_batches { value: 0 }").max_enqueued_batches == 1


@pytest.mark.parametrize(
    "text",
    [
        "max_batch_size { value: 8 } allowed_batch_sizes: 2 allowed_batch_sizes: 4",
        "max_batch_size { value: 8 } allowed_batch_sizes: 4 allowed_batch_sizes: 2",
        "max_batch_size { value: 8 } allowed_batch_sizes: 8 allowed_batch_sizes: 8",
        "max_batch_size { value: 8 } allowed_batch_sizes: 0 allowed_batch_sizes: 8",
        "max_batch_size { value: 0 }",
        "num_batch_threads { value: 0 }",
        "batch_timeout_micros { value: -1 }",
        "max_enqueued_batches { value: -1 }",
        "max_enqueued_batches { value: 0 } enable_large_batch_splitting { value: true }",
        "max_batch_size { value: 8 } max_execution_batch_size { value: 9 }",
        "max_execution_batch_size { value: -1 }",
    ],
)
def test_parse_batching_when_tf_serving_would_not_start_with_it_then_is_refused(text):
    with pytest.raises(ValidationError):
        parse_batching(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("max_batchsize { value: 8 }", "max_batchsize"),
        ("max_batch_size: 8", "Expected"),
        ('max_batch_size { value: "8" }', "integer"),
        ("max_batch_size { value: 8", "Expected"),
    ],
)
def test_parse_batching_when_the_text_is_not_batching_parameters_then_says_where(text, found):
    with pytest.raises(text_format.ParseError, match=rf"\d+:\d+.*{found}"):
        parse_batching(text)


def test_models_text_when_there_is_no_file_yet_then_tf_serving_reads_the_one_model():
    models = models_of(models_text("", "digits", "/serving/digits"))
    assert list(models) == ["digits"]
    assert models["digits"].base_path == "/serving/digits"
    assert models["digits"].model_platform == "tensorflow"


def test_models_text_when_other_models_are_served_then_they_stay_as_they_were():
    before = models_of(OTHER_MODELS)
    after = models_of(models_text(OTHER_MODELS, "digits", "/serving/digits"))
    assert list(after) == ["taxi", "fares", "digits"]
    assert after["taxi"] == before["taxi"]
    assert after["fares"] == before["fares"]


def test_models_text_when_the_name_is_there_then_its_entry_is_replaced_and_not_doubled():
    text = models_text(OTHER_MODELS, "fares", "/serving/fares")
    server = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    assert [model.name for model in server.model_config_list.config] == ["taxi", "fares"]
    assert models_of(text)["fares"].base_path == "/serving/fares"
    assert models_of(text)["taxi"] == models_of(OTHER_MODELS)["taxi"]


def test_models_text_when_the_platform_was_another_then_it_becomes_tensorflow():
    existing = (
        'model_config_list { config { name: "m" base_path: "/m" model_platform: "pytorch" } }'
    )
    assert models_of(models_text(existing, "m", "/m"))["m"].model_platform == "tensorflow"


def test_models_text_when_given_its_own_answer_then_returns_the_same_text():
    once = models_text(OTHER_MODELS, "digits", "/serving/digits")
    assert models_text(once, "digits", "/serving/digits") == once


def test_models_text_when_the_existing_text_is_broken_then_is_an_error_and_not_overwritten():
    with pytest.raises(text_format.ParseError):
        models_text("model_config_list { config {", "digits", "/serving/digits")


@pytest.mark.parametrize("name", ['quo"ted', "é", "back\\slash"])
def test_models_text_when_the_path_needs_escapes_then_it_reads_back_the_same(name):
    models = models_of(models_text("", "digits", f"/serving/{name}"))
    assert models["digits"].base_path == f"/serving/{name}"


def test_models_text_when_labels_and_a_policy_are_given_then_they_take_the_place_of_those_there():
    policy = VersionPolicy(latest=2)
    text = models_text(OTHER_MODELS, "taxi", "/models/taxi", {"stable": 7, "canary": 8}, policy)
    taxi = models_of(text)["taxi"]
    assert dict(taxi.version_labels) == {"stable": 7, "canary": 8}
    assert VersionPolicy.read(taxi.model_version_policy) == policy
    assert models_of(text)["fares"] == models_of(OTHER_MODELS)["fares"]
    again = models_text(text, "taxi", "/models/taxi", {"canary": 8, "stable": 7}, policy)
    assert again == text, "the order of labels is no difference"


def test_models_text_when_none_are_given_then_those_there_stay():
    text = models_text(OTHER_MODELS, "taxi", "/models/taxi")
    assert models_of(text)["taxi"] == models_of(OTHER_MODELS)["taxi"]


def test_model_list_when_the_file_is_of_the_other_kind_then_says_so():
    with pytest.raises(ValueError, match="custom_model_config; allowed: model_config_list"):
        parse_model_list("custom_model_config { }")


def test_monitoring_text_when_written_then_has_the_form_of_tf_servings_documentation():
    assert " ".join(monitoring_text().split()) == (
        'prometheus_config { enable: true path: "/monitoring/prometheus/metrics" }'
    )


def test_parse_models_when_given_tf_servings_own_text_then_reads_every_field():
    [taxi, fares] = parse_models(OTHER_MODELS).model_config_list.config
    assert list(taxi.model_version_policy.specific.versions) == [3, 5]
    assert dict(taxi.version_labels) == {"stable": 3}
    assert fares.base_path == "/models/fares"


@pytest.mark.parametrize(
    ("text", "monitoring"),
    [
        ("", Monitoring(False, "/monitoring/prometheus/metrics")),
        ("prometheus_config { enable: true }", Monitoring(True, "/monitoring/prometheus/metrics")),
        ('prometheus_config { enable: true path: "/metrics" }', Monitoring(True, "/metrics")),
        ('prometheus_config { path: "/metrics" }', Monitoring(False, "/metrics")),
    ],
    ids=["nothing", "on", "on elsewhere", "off"],
)
def test_parse_monitoring_when_given_tf_servings_text_then_reads_whether_and_where(
    text, monitoring
):
    assert parse_monitoring(text) == monitoring


def test_monitoring_text_when_parsed_then_is_on_at_tf_servings_path():
    assert parse_monitoring(monitoring_text()) == Monitoring(is_enabled=True)


def test_parse_monitoring_when_the_path_is_relative_then_says_found_and_allowed():
    with pytest.raises(ValueError, match="found 'metrics'; allowed: one that begins with /"):
        parse_monitoring('prometheus_config { enable: true path: "metrics" }')


def test_parse_ssl_when_all_is_set_then_reads_the_pem_that_is_in_it():
    text = """
        server_key: "the key" server_cert: "the\\ncert" custom_ca: "the ca" client_verify: true
    """
    assert parse_ssl(text) == Tls("the key", "the\ncert", "the ca", client_verify=True)


@pytest.mark.parametrize("missing", ["server_key", "server_cert"])
def test_parse_ssl_when_the_key_or_certificate_is_missing_then_names_it(missing):
    fields = {"server_key": "k", "server_cert": "c"}
    text = " ".join(f'{name}: "{value}"' for name, value in fields.items() if name != missing)
    with pytest.raises(ValueError, match=missing):
        parse_ssl(text)


@pytest.mark.parametrize("parse", [parse_monitoring, parse_ssl, parse_models])
def test_parse_when_the_text_is_of_no_such_message_then_says_where(parse):
    with pytest.raises(text_format.ParseError, match=r"\d+:\d+"):
        parse("nonsense { }")
