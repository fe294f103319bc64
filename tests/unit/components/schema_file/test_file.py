"""The schema as a text file: what is wrong with one, and how one is written."""

from __future__ import annotations

import pytest
from tensorflow_metadata.proto.v0 import schema_pb2

from components.schema_file.file import (
    SchemaFileError,
    read_schema,
    schema_digest,
    schema_text,
    write_schema,
)


@pytest.fixture
def write(tmp_path):
    def make(content, name="schema.pbtxt"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return make


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('feature { name: "x" type: INT }\nfeature { nam: "y" }', "line 2, .*nam"),
        ('feature { name: "x"\n  type: NUMBER }', "line 2, .*NUMBER"),
        ('feature { name: "x" type: INT', "Expected"),
        ("", "no feature"),
        ("# only a comment\n", "no feature"),
        ('feature { name: "x" }\nfeature { type: INT }', "feature 2 without a name"),
        ('feature { name: "x" }\nfeature { name: "x" }', "feature x twice"),
        (b"\xff\xfe", "no UTF-8"),
    ],
)
def test_file_when_it_is_no_schema_then_the_error_says_where_and_what(write, content, message):
    with pytest.raises(SchemaFileError, match=message):
        read_schema(write(content))


def test_text_when_written_has_a_header_and_the_features_in_the_order_of_the_data(write):
    schema = schema_pb2.Schema()
    for name in ("b", "extra", "a", "ü"):
        schema.feature.add(name=name, type=schema_pb2.INT)
    for name in ("z", "y"):
        schema.string_domain.add(name=name, value=["1"])
    text = schema_text(schema, ["a", "ü", "b"], ["Made by", "a test"])
    assert text.startswith("# Made by\n# a test\nfeature {\n")
    assert '"ü"' in text
    read = read_schema(write(text))
    assert [feature.name for feature in read.feature] == ["a", "ü", "b", "extra"]
    assert [domain.name for domain in read.string_domain] == ["y", "z"]
    assert [feature.name for feature in schema.feature] == ["b", "extra", "a", "ü"], "unchanged"


def test_write_leaves_the_whole_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "schema.pbtxt"
    path.write_text("old")
    write_schema(path, "new")
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [
        ("schema.pbtxt", "new")
    ]


def test_write_when_it_fails_then_the_old_file_is_whole(tmp_path):
    path = tmp_path / "schema.pbtxt"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_schema(path, "\udcff")
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [
        ("schema.pbtxt", "old")
    ]


def test_digest_when_the_content_changes_then_is_another(write):
    before = schema_digest(write("a"))
    assert schema_digest(write("a", "copy.pbtxt")) == before
    assert schema_digest(write("b")) != before
