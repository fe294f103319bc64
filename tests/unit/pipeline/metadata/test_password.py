"""Where a password is read, when, and by whom else it may be."""

from __future__ import annotations

import os

import pytest

from pipeline.metadata.errors import MetadataError
from pipeline.metadata.password import read_password


def test_password_when_in_the_environment_then_is_read_as_it_is_now(section, monkeypatch) -> None:
    config = section("mysql")
    for password in ("first", " second "):
        monkeypatch.setenv("METADATA_PASSWORD", password)
        assert read_password(config) == password


@pytest.mark.parametrize(("mode", "text"), [(0o600, "pass word\n"), (0o440, "pass word\r\n")])
def test_password_when_in_a_file_then_its_last_line_break_is_not_part_of_it(
    section, tmp_path, mode, text
) -> None:
    path = tmp_path / "secret"
    path.write_bytes(text.encode())
    path.chmod(mode)
    assert read_password(section("postgresql", password_file=str(path))) == "pass word"


@pytest.mark.parametrize("value", [None, ""])
def test_password_when_its_variable_is_not_set_then_says_which(section, monkeypatch, value) -> None:
    monkeypatch.delenv("METADATA_PASSWORD", raising=False)
    if value is not None:
        monkeypatch.setenv("METADATA_PASSWORD", value)
    with pytest.raises(MetadataError) as caught:
        read_password(section("mysql"))
    assert str(caught.value).startswith(
        "metadata.password_env: found METADATA_PASSWORD, which is not set or empty; allowed: "
    )


@pytest.mark.parametrize(
    ("value", "found"),
    [(b"s3cret\xff", "which is not UTF-8"), (b"s3cret\n", "which has more than one line")],
)
@pytest.mark.parametrize("backend", ["postgresql", "mysql"])
def test_password_when_its_variable_holds_no_line_of_text_then_says_why_without_it(
    section, monkeypatch, backend, value, found
) -> None:
    monkeypatch.setitem(os.environb, b"METADATA_PASSWORD", value)
    with pytest.raises(MetadataError) as caught:
        read_password(section(backend))
    assert str(caught.value).startswith(
        f"metadata.password_env: found METADATA_PASSWORD, {found}; allowed: "
    )
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in repr(caught.value.__context__)


@pytest.mark.parametrize(
    ("content", "mode", "found"),
    [
        (None, 0, "No such file or directory"),
        (b"s3cret", 0o604, "with mode 0604, open to others; allowed: 0600 or 0440: chmod 600 "),
        (b"s3cret", 0o620, "with mode 0620, open to others"),
        (b"", 0o600, "which is empty"),
        (b"\n", 0o600, "which is empty"),
        (b"s3cret\nuser: ann\n", 0o600, "which has more than one line"),
        (b"s3cret\xff", 0o600, "which is not UTF-8"),
    ],
)
def test_password_when_its_file_is_wrong_then_says_why_without_its_content(
    section, tmp_path, content, mode, found
) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
        path.chmod(mode)
    with pytest.raises(MetadataError) as caught:
        read_password(section("mysql", password_file=str(path)))
    assert str(caught.value).startswith(f"metadata.password_file: found {path}")
    assert found in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in repr(caught.value.__cause__)
