"""Where the metadata of a pipeline are, for those who have its folder and no configuration."""

from __future__ import annotations

from pathlib import Path

from pydantic import TypeAdapter

from pipeline.metadata.config import MetadataConfig, SqliteConfig
from pipeline.run_folder import CONFIG_FILE
from trainer_module.config.yaml_text import parse_yaml

_SECTION: TypeAdapter[MetadataConfig] = TypeAdapter(MetadataConfig)


def recorded_metadata(pipeline_root: Path) -> MetadataConfig:
    """Returns the `metadata` section that the pipeline's latest run was resolved to."""
    for path in sorted(pipeline_root.glob(f"runs/*/{CONFIG_FILE}"), reverse=True):
        values = parse_yaml(path.read_text(encoding="utf-8"))
        if isinstance(values, dict):
            return _SECTION.validate_python(values.get("metadata", {}))
    return SqliteConfig()
