"""`tapeline lineage`: what made a version."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from pipeline.commands.arguments import Set

if TYPE_CHECKING:
    from rich.tree import Tree

    from pipeline.provenance.tree import Branch


def lineage(
    version: Annotated[
        str,
        typer.Argument(
            metavar="VERSION", help="A version's folder; or CONFIG of a run, or a model's folder."
        ),
    ],
    number: Annotated[
        Optional[int],
        typer.Argument(
            metavar="[NUMBER]", help="Which version of it; without: the one that answers."
        ),
    ] = None,
    set_: Set = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object, with all executions and artifacts.")
    ] = False,
) -> None:
    """Tell which data, schema, code, parameters and metrics made a version.

    Each file that its rows come from is named with a hash of what was in it, and each step with the
    run that took it, which is an earlier one where the cache gave what the step had made.

    Example: tapeline lineage configs/digits.yaml
    """
    from components.json_values import finite
    from pipeline.provenance.account import account
    from pipeline.provenance.records import open_records
    from pipeline.provenance.version import find_version

    found = find_version(version, number, set_ or [])
    with open_records(found.config) as records:
        told = account(records, found)
    if as_json:
        print(json.dumps(finite(told), ensure_ascii=False))
        return
    from pipeline.provenance.tree import tree

    if sys.stdout.isatty():
        from rich.console import Console

        Console().print(_drawn(tree(told)))
        return
    for line in tree(told).lines():
        print(line)


def _drawn(branch: Branch) -> Tree:
    """Returns a tree with lines between its branches."""
    from rich.text import Text
    from rich.tree import Tree

    drawn = Tree(Text(branch.text))
    for inner in branch.branches:
        drawn.children.append(_drawn(inner))
    return drawn
