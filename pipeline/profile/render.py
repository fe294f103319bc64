"""A configuration that runs, as commented YAML, from what was found in the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from pipeline.profile.columns import Suspicion
from pipeline.profile.features import suggest
from pipeline.profile.images import ImageProfile
from pipeline.profile.report import label_text, one_line, reason, rows_text
from pipeline.profile.table import TableProfile

_BATCHES = """\
  batching:
    max_batch_size: 64
    allowed_batch_sizes: [1, 2, 4, 8, 16, 32, 64]
    batch_timeout_micros: 1000
    max_enqueued_batches: 100
    num_batch_threads: 2
"""
_TRAIN_SHARE = 0.7
_STEPS = 3000
_BATCH_SIZES = ((2_000, 32), (20_000, 128), (200_000, 256), (1_500_000, 512))
_LARGEST_BATCH = 2048
_UNKNOWN_ROWS = 5000


class _OneLine(yaml.SafeDumper):
    """Writes the ends of lines in a text as escapes: as a key of YAML it must be on one line."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        node = super().represent_str(data)
        if data.splitlines() not in ([], [data]):
            node.style = '"'
        return node


_OneLine.add_representer(str, _OneLine.represent_str)


def flow(value: Any) -> str:
    """Returns a value as YAML on one line."""
    text = yaml.dump(
        value, Dumper=_OneLine, default_flow_style=True, allow_unicode=True, width=10**6,
        sort_keys=False,
    )  # fmt: skip
    return text.removesuffix("\n").removesuffix("\n...")


def render_table(found: TableProfile, name: str, command: str) -> str:
    """Returns the configuration of a run on a table.

    Args:
        name: of the pipeline.
        command: by which it is run, for its head.
    """
    label, rows = found.label, found.rows
    head = [
        f"# {one_line(label.name)} of {found.data['path']}: {label_text(label)}.",
        "#",
        f"#   {command}",
        "#",
        f"# Made from {rows_text(found)}; every key is explained in docs/configuration.md.",
        f"name: {flow(name)}",
        "root: runs",
        "",
        "data:",
        *(f"  {key}: {flow(value)}" for key, value in found.data.items()),
        *_column_types(found),
        f"  bad_rows: {'quarantine' if found.bad else 'fail'}           # or "
        f"{'fail' if found.bad else 'quarantine'}: "
        f"{'a bad row ends the run' if found.bad else 'put bad rows aside and go on'}",
        "  splits: {by: hash, train: 70, eval: 15, test: 15}   # by: group or time, with a column",
        "",
        *_validation(found),
        "task:",
        "  name: tabular",
        "  options:",
        f"    problem: {label.problem}",
    ]
    if label.classes:
        head.append(f"    classes: {flow(list(label.classes))}")
    head += ["    hidden: [64, 32]", "    dropout: 0.3", "    features:"]
    for column in found.columns:
        options = suggest(column, rows)
        if column.suspicion:
            head.append(f"      # {flow(column.name)}: {flow(options)}")
            head.append(f"      #   left out: {reason(column, label)}")
        else:
            about = (
                f"{column.distinct} different"
                if options["kind"] != "numeric"
                else (f"{column.low:g} to {column.high:g}")
            )
            missing = f", {column.missing:.1%} missing" if column.missing else ""
            head.append(f"      {flow(column.name)}: {flow(options)}   # {about}{missing}")
    return "\n".join(
        [*head, "", *_training(found.about_rows or rows), "", *_evaluation(found), "", _serving()]
    )


def _column_types(found: TableProfile) -> list[str]:
    if found.data["source"] == "npz":
        return []
    return [
        "  columns:                 # a value of another type is a bad row",
        *(f"    {flow(column.name)}: {column.type}" for column in found.columns),
    ]


def _validation(found: TableProfile) -> list[str]:
    """Returns what is not compared with the data of before: other identifiers and later times."""
    columns = [
        column.name
        for column in found.columns
        if column.date or column.suspicion is Suspicion.IDENTIFIER
    ]
    if not columns:
        return []
    return [
        "validate:",
        "  drift:                   # columns that are never as before, and need not be",
        f"    features: {flow(dict.fromkeys(columns))}",
        "",
    ]


def _training(rows: int) -> list[str]:
    train = int(_TRAIN_SHARE * rows)
    batch = next((size for most, size in _BATCH_SIZES if train <= most), _LARGEST_BATCH)
    steps = max(1, train // batch)
    epochs = min(60, max(3, round(_STEPS / steps)))
    return [
        "train:",
        f"  epochs: {epochs}",
        f"  batch_size: {min(batch, max(1, train // 2))}",
        "  seed: 0",
        "  steps_per_call: auto",
        "  optimizer: {name: adamw, learning_rate: 0.001, weight_decay: 0.01}",
        "  schedule: {kind: cosine, warmup_epochs: 1}",
        "  clip: {by: global_norm, at: 1.0}",
        "  callbacks:",
        "    early_stop: {metric: loss, mode: min, patience: 5}",
    ]


def _evaluation(found: TableProfile) -> list[str]:
    label = found.label
    guess = max(label.classes.values(), default=0.0)
    bounds: Mapping[str, tuple[str, float, str]] = {
        "binary": ("auc", 0.55, "0.5 is a coin's"),
        "multiclass": (
            "accuracy",
            round(guess + 0.02 * (1 - guess), 3),
            f"{guess:.3f} is the commonest class's share",
        ),
        "regression": ("r2", 0.01, "0 is the mean's"),
    }
    name, least, why = bounds[label.problem]
    lines = [
        "evaluate:",
        "  metrics:                 # on the test split; raise the mark once you know more",
        f"    - {{name: {name}, head: label, at_least: {least}, max_regression: 0.02}}   # {why}",
    ]
    if label.problem == "binary":
        lines.append("    - {name: binary_accuracy, head: label}")
    if label.problem == "regression":
        lines.append("    - {name: mae, head: label}")
    return lines


def _serving() -> str:
    return "serve:\n  keep_versions: 3\n" + _BATCHES


def render_images(found: ImageProfile, name: str, command: str) -> str:
    """Returns the configuration of a run on pictures.

    Args:
        name: of the pipeline.
        command: by which it is run, for its head.
    """
    classes, size, data = found.classes, found.size, found.data
    rows = found.rows or _UNKNOWN_ROWS
    batch = 64 if rows > 1000 else 16
    steps = max(1, int(_TRAIN_SHARE * rows) // batch)
    epochs = min(30, max(5, round(2000 / steps)))
    guess = 1 / len(classes)
    network = "residual" if size >= 32 else "small"
    lines = [
        f"# {len(classes)} classes of pictures in {data['path']}.",
        "#",
        f"#   {command}",
        "#",
        "# Every key is explained in docs/configuration.md; pictures in docs/images.md.",
        f"name: {flow(name)}",
        "root: runs",
        "",
        "data:",
        *(f"  {key}: {flow(value)}" for key, value in data.items()),
        "  bad_rows: fail           # or quarantine: put aside what is no picture, and go on",
        "  splits: {train: 70, eval: 15, test: 15}   # a split that has a folder stays",
        "",
        "task:",
        "  name: image",
        "  options:",
        f"    classes: {flow(list(classes))}",
        f"    image_size: {size}         # pixels of the side; other sizes are resized",
        f"    channels: {found.channels}",
        f"    network: {network}",
        *(["    filters: [32, 64, 128]", "    stem_stride: 2"] if network == "residual" else []),
        *([f"    column: {flow(found.column)}"] if found.column != "image" else []),
        "",
        "train:",
        f"  epochs: {epochs}",
        f"  batch_size: {batch}",
        "  seed: 0",
        "  steps_per_call: auto",
        "  best: {metric: class/accuracy, mode: max}",
        "  input:",
        "    augment: {translation: 0.08, rotation: 8, zoom: 0.08}   # flip: horizontal, if it may",
        "  optimizer: {name: adamw, learning_rate: 0.002, weight_decay: 0.05}",
        "  schedule: {kind: cosine, warmup_epochs: 1}",
        "  clip: {by: global_norm, at: 1.0}",
        "",
        "evaluate:",
        "  metrics:                 # on the test split; raise the mark once you know more",
        f"    - {{name: accuracy, head: class, at_least: {round(guess + 0.05 * (1 - guess), 3)}, "
        f"max_regression: 0.02}}   # {guess:.3f} by guessing",
        "",
        _serving(),
    ]
    return "\n".join(lines)
