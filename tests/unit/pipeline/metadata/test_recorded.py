"""Where the metadata of a pipeline are, as its folder tells."""

from __future__ import annotations

from pipeline.metadata.config import SqliteConfig
from pipeline.metadata.recorded import recorded_metadata


def test_recorded_when_there_are_runs_then_is_the_latest_one_s(tmp_path, section) -> None:
    assert recorded_metadata(tmp_path) == SqliteConfig()
    for run_id, text in {
        "20261128-1": "name: digits\n",
        "20261129-1": "metadata: {backend: mysql, host: 127.0.0.1, database: lineage, user: ann, "
        "password_env: METADATA_PASSWORD}\n",
    }.items():
        (tmp_path / "runs" / run_id).mkdir(parents=True)
        (tmp_path / "runs" / run_id / "config.yaml").write_text(text)
    (tmp_path / "runs" / "20261130-1").mkdir()
    assert recorded_metadata(tmp_path) == section("mysql")
