"""`tapeline gc`: frees what is not needed any more."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands.arguments import Config, Set, Wait
from pipeline.config_file import ConfigError, Problem, load_config

if TYPE_CHECKING:
    from pipeline.collection.plan import Plan
    from pipeline.config import RunConfig

_UNITS = {"h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}


def gc(
    config: Config,
    set_: Set = None,
    keep_runs: Annotated[
        int, typer.Option(min=1, metavar="N", help="The newest runs, of which all is kept.")
    ] = 3,
    older_than: Annotated[
        str, typer.Option(metavar="AGE", help="Keep what changed since: 12h, 14d, 8w.")
    ] = "0d",
    delete: Annotated[
        bool, typer.Option("--delete", help="Free it; without, it is only listed.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    wait: Wait = 0.0,
) -> None:
    """Free old artifacts, checkpoints and run folders that nothing needs any more.

    What a version that can be served, the last blessed model and its baseline, the last accepted
    data, the newest runs and those that can be resumed need is kept. Without --delete nothing is
    changed.

    Example: tapeline gc configs/digits.yaml --keep-runs 5 --older-than 14d
    """
    from pipeline.collection.collect import collect, look
    from pipeline.program import shell_line

    age = _seconds(older_than)
    loaded = load_config(config, set_ or [])
    _check_root(loaded, config)
    if delete:
        say = partial(print, file=sys.stderr, flush=True)
        plan = collect(loaded, config, keep_runs, age, wait, say)
    else:
        plan = look(loaded, config, keep_runs, age)
    if as_json:
        print(json.dumps(_as_json(plan, delete)))
        return
    for line in _lines(plan, delete):
        print(line)
    if plan.freed and not delete:
        sets = [part for item in set_ or [] for part in ("--set", item)]
        options = ["--keep-runs", str(keep_runs), "--older-than", older_than, "--delete"]
        print(f"free it    {shell_line('gc', config, *sets, *options)}")


def _seconds(age: str) -> float:
    match = re.fullmatch(r"(\d{1,5})([hdw])", age)
    if match is None:
        allowed = "hours, days or weeks, such as 12h, 14d, 8w, at most 99999"
        raise ConfigError(Problem("gc", "--older-than", repr(age), allowed))
    return float(int(match[1]) * _UNITS[match[2]])


def _check_root(config: RunConfig, path: str) -> None:
    from pipeline.metadata.connection import has_metadata, place

    if not config.pipeline_root.is_dir() or not has_metadata(config):
        found = f"no metadata at {place(config.metadata, config.pipeline_root)}"
        raise ConfigError(Problem(path, "root", found, "the root of a pipeline that has run"))


def _as_json(plan: Plan, deleted: bool) -> dict[str, object]:
    return {
        "deleted": deleted,
        "bytes": plan.bytes,
        "freed": [
            {"kind": folder.kind, "path": str(folder.path), "bytes": folder.bytes}
            for folder in plan.freed
        ],
        "kept": [
            {"kind": folder.kind, "path": str(folder.path), "why": list(folder.why)}
            for folder in plan.kept
        ],
    }


def _lines(plan: Plan, deleted: bool) -> Iterator[str]:
    from pipeline.collection.plan import KINDS

    for kind in KINDS:
        folders = [folder for folder in plan.freed if folder.kind == kind]
        if folders:
            yield f"{kind:<12} {_size(sum(folder.bytes for folder in folders)):>8}"
            yield from (f"  {_size(folder.bytes):>8}  {folder.path}" for folder in folders)
    whys: dict[str, dict[str, int]] = {}
    for folder in plan.kept:
        for why in folder.why:
            kinds = whys.setdefault(why, {})
            kinds[folder.kind] = kinds.get(folder.kind, 0) + 1
    if whys:
        yield "kept for"
    for why, kinds in whys.items():
        yield f"  {why}: " + ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    verb = "freed" if deleted else "would free"
    yield f"{verb:<10} {_size(plan.bytes)} in {len(plan.freed)} folders and files"


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"
