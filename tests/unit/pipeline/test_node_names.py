"""The names that are told without TFX are those of the graph."""

from __future__ import annotations

import pytest

from pipeline.config_file import load_config
from pipeline.node_names import node_names

QUERY = "{source: bigquery, query: SELECT 1, project: p, temp_location: 'gs://b/t', label: digit}"


@pytest.mark.parametrize(
    "overrides",
    [[], ["train.warm_start=true", "lite={variants: [float32]}"], [f"data={QUERY}"]],
)
@pytest.mark.parametrize("records", [False, True])
def test_names_when_the_graph_is_built_then_are_those_of_its_nodes(
    repository, tmp_path, overrides, records
):
    from pipeline.graph import build_pipeline
    from pipeline.lookups import FolderLookups
    from trainer_module.tasks import make_task

    config = load_config(str(repository / "configs" / "digits.yaml"), overrides)
    lookups = FolderLookups(tmp_path, tmp_path) if records else None
    components = build_pipeline(config, make_task(config.task), lookups=lookups).components
    assert sorted(node_names(config, records)) == sorted(found.id for found in components)
