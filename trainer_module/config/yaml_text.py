"""YAML as configurations are written in it: numbers of YAML 1.2, no dates, no key twice."""

from __future__ import annotations

import re
from typing import Any

import yaml


class Loader(yaml.SafeLoader):
    """YAML's safe loader with the numbers of YAML 1.2, where 1e-3 is one, and without dates."""

    yaml_implicit_resolvers = {
        first: [entry for entry in entries if not entry[0].endswith((":timestamp", ":float"))]
        for first, entries in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuses a key given twice, where YAML's loaders let the last one win."""
        keys = [key.value for key, _ in node.value]
        for index, (key, _) in enumerate(node.value):
            if key.value in keys[:index]:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key {key.value!r} twice", problem_mark=key.start_mark
                )
        return super().construct_mapping(node, deep)


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|^[-+]?\.(inf|nan)$"),
    list("-+.0123456789"),
)


class Dumper(yaml.SafeDumper):
    """Quotes the texts that the loader would take for something else."""

    yaml_implicit_resolvers = Loader.yaml_implicit_resolvers


def parse_yaml(text: str) -> Any:
    try:
        return yaml.load(text, Loader)  # noqa: S506  a subclass of SafeLoader
    except (ValueError, RecursionError) as error:
        raise yaml.YAMLError(str(error)) from error
