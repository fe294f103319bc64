"""Runs the data nodes of a configuration, and tells what each took.

    python -m benchmarks.engines.child CONFIG [KEY=VALUE ...]

The last line of stdout is JSON: seconds by node.
"""

from __future__ import annotations

import json
import logging
import sys

from pipeline.beam.engine import running_engine
from pipeline.config_file import load_config
from trainer_module.progress import LOGGER_NAME

DATA_NODES = ("ExampleGen", "StatisticsGen", "SchemaGen", "ExampleValidator", "Transform")


class _Seconds(logging.Handler):
    """Collects what the nodes took from the events of their ends."""

    def __init__(self) -> None:
        super().__init__()
        self.nodes: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        event = getattr(record, "event", {})
        if event.get("kind") == "node_end":
            self.nodes[event["node"]] = event["seconds"]


def main() -> None:
    from pipeline.compiler import compile_pipeline
    from pipeline.runners.local import LocalRunner
    from trainer_module.tasks import make_task

    path, *overrides = sys.argv[1:]
    config = load_config(path, overrides)
    config.pipeline_root.mkdir(parents=True)
    seconds = _Seconds()
    logging.getLogger(LOGGER_NAME).addHandler(seconds)
    ir = compile_pipeline(config, make_task(config.task))
    for node in [node for node in ir.nodes if node.pipeline_node.node_info.id not in DATA_NODES]:
        ir.nodes.remove(node)
    with running_engine(config.beam, config.data):
        LocalRunner().run_compiled(ir, "bench", config, {})
    print(json.dumps(seconds.nodes))


if __name__ == "__main__":
    main()
