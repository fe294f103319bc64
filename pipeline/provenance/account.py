"""All that made a version, gathered from the metadata, from its model card and from its data."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from components.example_gen.file_access import exists, open_binary
from components.example_gen.spans import has_span, span_name
from pipeline.config_file import ConfigError, Problem
from pipeline.provenance.ancestry import ancestry
from pipeline.provenance.records import Artifact, Execution, Records
from pipeline.provenance.version import Version

Account = dict[str, Any]

_SOURCES, _INTAKE = "sources.json", "intake.json"
"""What ExampleGen leaves beside the examples: the files that it read, and the count of rows."""


def account(records: Records, version: Version) -> Account:
    """Returns plain JSON; None, or an empty list or object, for what is not known.

    Raises:
        ConfigError: if the metadata do not know the version's model.
    """
    model = _model(records, version)
    push = _push(records, version, model)
    trained = records.maker(model.id)
    read = _maker(records, trained, "raw_examples")
    evaluated = _maker(records, push, "evaluation")
    return {
        "model_name": version.folder.parent.name,
        "version": version.folder.name,
        "folder": str(version.folder),
        "digest": version.manifest.get("digest"),
        "pushed": {**_when(push), "serving_root": push.parameters.get("serving_root")},
        "decision": _decision(records, version, evaluated),
        "training": {**_when(trained), **_training(records, trained)},
        "transform": _transform(_maker(records, trained, "transform_graph")),
        "schema": _schema(records, version, trained),
        "data": _data(records, version, trained, read),
        "gate": _gate(records, version, push),
        "libraries": dict(version.card.get("libraries") or {}),
        **ancestry(records, push),
    }


def _model(records: Records, version: Version) -> Artifact:
    """Returns the artifact of the model; by its number, or by its folder in another store."""
    number, uri = version.manifest["model_artifact_id"], version.manifest["model_uri"]
    try:
        if records.artifact(number).uri == uri:
            return records.artifact(number)
    except LookupError:
        pass
    known = records.by_uri(uri)
    if not known:
        found = f"metadata that know no model {uri}"
        allowed = "those of the pipeline that pushed it; say which by CONFIG and the number"
        raise ConfigError(Problem(str(version.folder), "VERSION", found, allowed))
    return known[0]


def _push(records: Records, version: Version, model: Artifact) -> Execution:
    """Returns the execution that made the version of the model."""
    pushes = [found for found in records.users(model.id) if _pushed_version(records, found)]
    exact = [found for found in pushes if _pushed_version(records, found) == version.folder.name]
    if not exact:
        found = f"metadata that know no push of model {model.uri} as {version.folder.name}"
        allowed = "those of the pipeline that pushed it"
        raise ConfigError(Problem(str(version.folder), "VERSION", found, allowed))
    # Later ones found the version in place.
    return exact[0]


def _pushed_version(records: Records, push: Execution) -> str | None:
    for number in push.outputs.get("pushed_model", ()):
        found = records.artifact(number).properties.get("pushed_version")
        return str(found) if found else None
    return None


def _decision(records: Records, version: Version, evaluated: Execution | None) -> Account:
    card = version.card
    return {
        **(_when(evaluated) if evaluated else {}),
        "metrics": dict(card.get("metrics") or {}),
        "slices": dict(card.get("slices") or {}),
        "thresholds": list(card.get("thresholds") or []),
        "baseline": _other_model(records, evaluated, "baseline_model"),
        "baseline_metrics": card.get("baseline"),
    }


def _training(records: Records, trained: Execution) -> Account:
    settings = trained.parameters.get("custom_config") or {}
    return {
        "code": settings.get("code"),
        "task": settings.get("task"),
        "label": settings.get("label"),
        "train": settings.get("train") or {},
        "warm_start": _other_model(records, trained, "base_model"),
    }


def _transform(transformed: Execution | None) -> Account:
    if transformed is None:
        return {}
    settings = transformed.parameters.get("custom_config") or {}
    return {
        **_when(transformed),
        "code": settings.get("code"),
        "options": settings.get("options") or {},
    }


def _schema(records: Records, version: Version, trained: Execution) -> Account:
    maker = _maker(records, trained, "schema")
    if maker is None:
        return {}
    return {
        **_when(maker),
        "sha256": version.card.get("schema_sha256"),
        # None: it was inferred from the statistics.
        "file": maker.parameters.get("schema_file"),
        "uri": records.artifact(trained.inputs["schema"][0]).uri,
    }


def _data(
    records: Records, version: Version, trained: Execution, read: Execution | None
) -> Account:
    if read is None:
        return {}
    examples = records.artifact(trained.inputs["raw_examples"][0])
    splits = (read.parameters.get("input_config") or {}).get("splits") or [{}]
    asked = splits[0].get("pattern")
    query: Mapping[str, Any] = asked if isinstance(asked, dict) else {}
    settings = query.get("data") or version.card.get("data") or {}
    span = examples.properties.get("span")
    intake = _beside(examples, _INTAKE) or {}
    return {
        **_when(read),
        "settings": settings,
        "code": query.get("code"),
        "fingerprint": examples.properties.get("input_fingerprint") or query.get("fingerprint"),
        "span": settings.get("span") or _span_name(version, span),
        "rows": dict(version.card.get("rows") or {}),
        "put_aside": intake.get("bad"),
        "sources": _beside(examples, _SOURCES),
        "uri": examples.uri,
    }


def _gate(records: Records, version: Version, push: Execution) -> Account:
    """Returns what the gate went by when it let the data through in the run of the push."""
    let_through = [
        found
        for number in push.inputs.get("statistics", ())
        for found in records.users(number)
        if found.outputs.get("verdict") and found.run_id == push.run_id
    ]
    if not let_through:
        return {}
    made = records.maker(let_through[-1].outputs["verdict"][0])
    verdict = records.artifact(made.outputs["verdict"][0])
    before = made.inputs.get("previous_statistics", ())
    return {
        **_when(made),
        "accepted_by": verdict.properties.get("accepted_by"),
        "accepted_why": verdict.properties.get("accepted_why"),
        "compared_with": (
            {
                "run_id": records.maker(before[0]).run_id,
                "span": _span_name(version, records.artifact(before[0]).properties.get("span")),
            }
            if before
            else None
        ),
    }


def _other_model(records: Records, execution: Execution | None, key: str) -> Account | None:
    """Returns which model another one was compared with, or began with; None without any."""
    if execution is None or not execution.inputs.get(key):
        return None
    model = records.artifact(execution.inputs[key][0])
    versions = [_pushed_version(records, user) for user in records.users(model.id)]
    return {
        "artifact": model.id,
        "uri": model.uri,
        "run_id": records.maker(model.id).run_id,
        "version": next(filter(None, versions), None),
    }


def _maker(records: Records, execution: Execution, key: str) -> Execution | None:
    """Returns what made an input; None where the execution had no such input."""
    numbers = execution.inputs.get(key)
    return records.maker(numbers[0]) if numbers else None


def _span_name(version: Version, number: int | None) -> int | str | None:
    """Returns a span as the configuration names it; None where the data have none."""
    path = str(getattr(version.config.data, "path", ""))
    return span_name(path, number) if number and has_span(path) else None


def _when(execution: Execution) -> Account:
    return {
        "run_id": execution.run_id,
        "node": execution.node,
        "execution": execution.id,
        "began": execution.began.isoformat(timespec="seconds"),
        "seconds": round((execution.ended - execution.began).total_seconds(), 1),
    }


def _beside(examples: Artifact, name: str) -> Any:
    """Returns what a file beside the examples says; None if it is not there."""
    path = os.path.join(examples.uri, name)
    if not exists(path):
        return None
    with open_binary(path) as file:
        return json.load(file)
