"""docs/metadata.md, followed word for word."""

from __future__ import annotations

import re

import pytest
import yaml
from pydantic import TypeAdapter

from pipeline.metadata.config import MetadataConfig
from pipeline.metadata.opening import open_mlmd


@pytest.mark.parametrize(("name", "block"), [("postgresql", 0), ("mysql", 1)])
def test_page_when_its_statements_are_run_then_its_configuration_opens(
    name, block, database_server, repository, monkeypatch, tmp_path
) -> None:
    page = (repository / "docs" / "metadata.md").read_text()
    statements = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)[block]
    (shown,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    server = database_server(name)
    server.sql(*(line.removesuffix(";") for line in statements.splitlines()))
    section = {**yaml.safe_load(shown)["metadata"], "backend": name, "port": server.port}
    monkeypatch.setenv(section["password_env"], "change it")
    store = open_mlmd(TypeAdapter(MetadataConfig).validate_python(section), tmp_path)
    assert store.get_artifact_types() == []
