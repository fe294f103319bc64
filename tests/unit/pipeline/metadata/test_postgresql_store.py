"""Texts with backslashes, which another character stands for in PostgreSQL."""

from __future__ import annotations

import json

import pytest
from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.metadata.postgresql_store import (
    PostgresqlStore,
    change_texts,
    with_backslashes,
    without_backslashes,
)

TEXTS = [
    "plain",
    "\\",
    r"C:\data",
    json.dumps({"a": json.dumps({"b": 'say "x"'})}),
    "\ue05c",
    "\ue05cb\\\ue05cm\\\\",
]


@pytest.mark.parametrize("text", TEXTS)
def test_text_when_put_in_and_taken_out_then_is_the_same(text) -> None:
    stored = without_backslashes(text)
    assert "\\" not in stored
    assert with_backslashes(stored) == text
    if "\\" not in text and "\ue05c" not in text:
        assert stored == text


def test_texts_of_a_request_when_changed_then_all_are() -> None:
    request = mlmd.ArtifactType(name="a\\", properties={"p\\": mlmd.INT, "q": mlmd.STRING})
    artifact = mlmd.Artifact(uri="u\\", id=7)
    artifact.custom_properties["k\\"].string_value = "v\\"
    artifact.custom_properties["number"].int_value = 3
    artifact.custom_properties["struct"].struct_value.update({"x\\": ["y\\", 1.0]})
    event = mlmd.Event()
    event.path.steps.add(key="s\\")
    for message in (request, artifact, event):
        before = message.SerializeToString(deterministic=True)
        change_texts(message, without_backslashes)
        assert b"\\" not in message.SerializeToString()
        change_texts(message, with_backslashes)
        assert message.SerializeToString(deterministic=True) == before


def test_store_when_texts_have_backslashes_then_the_client_gets_none_and_the_caller_all(
    monkeypatch,
) -> None:
    connection = mlmd.ConnectionConfig()
    connection.fake_database.SetInParent()
    requests = []
    call = metadata_store.MetadataStore._pywrap_cc_call

    def record(self, method, request, response):
        requests.append(request.SerializeToString())
        return call(self, method, request, response)

    monkeypatch.setattr(metadata_store.MetadataStore, "_pywrap_cc_call", record)
    store = PostgresqlStore(connection)
    type_id = store.put_artifact_type(mlmd.ArtifactType(name="Data"))
    artifact = mlmd.Artifact(type_id=type_id, uri="u")
    for text in TEXTS:
        artifact.custom_properties[text].string_value = text
    given = artifact.SerializeToString(deterministic=True)
    (artifact_id,) = store.put_artifacts([artifact])
    (found,) = store.get_artifacts_by_id([artifact_id])

    assert artifact.SerializeToString(deterministic=True) == given
    assert {name: value.string_value for name, value in found.custom_properties.items()} == {
        text: text for text in TEXTS
    }
    assert not [request for request in requests if b"\\" in request]
