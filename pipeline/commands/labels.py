"""`tapeline rollback` and `tapeline promote`: move the labels of a model's versions."""

from __future__ import annotations

import contextlib
import enum
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from pipeline.commands.arguments import Model, Set
from pipeline.config_file import ConfigError, Problem, load_config
from pipeline.served_model import pushed_model_folder, readable_models_config

if TYPE_CHECKING:
    from serving.operations import Moved


class Label(str, enum.Enum):
    """serving.version_policy.LABELS."""

    stable = "stable"
    canary = "canary"


PollSeconds = Annotated[
    Optional[float],
    typer.Option(
        "--poll-seconds",
        min=0,
        metavar="S",
        help="The servers' --model_config_file_poll_wait_seconds: CONFIG's serve key, else 1. A "
        "version that they have not loaded is named to them two of these before its label moves.",
    ),
]


def rollback(
    model: Model,
    version: Annotated[
        Optional[int],
        typer.Argument(
            metavar="[VERSION]", help="The one before the stable one, if none is named."
        ),
    ] = None,
    set_: Set = None,
    poll_seconds: PollSeconds = None,
) -> None:
    """Make an older version stable; a running server follows within its poll interval.

    Versions that a rollback went back over are passed by when the next one names none. The next
    push takes over: it is a newer model that passed the evaluation.

    Example: tapeline rollback configs/digits.yaml
    """
    from serving import operations

    with _refusals(model):
        base = pushed_model_folder(model, set_ or [])
        seconds = _poll_seconds(model, set_ or [], poll_seconds)
        with readable_models_config(base):
            moved = operations.rollback(base, version, seconds)
    _say(moved)


def promote(
    model: Model,
    version: Annotated[int, typer.Argument(metavar="VERSION", help="See `tapeline versions`.")],
    label: Annotated[Label, typer.Option(help="What clients ask for.")],
    set_: Set = None,
    poll_seconds: PollSeconds = None,
) -> None:
    """Put a label on a version; a running server follows within its poll interval.

    To end a trial, put `stable` on the canary's version, or `canary` on the stable one's.

    Example: tapeline promote configs/digits.yaml 1795250438 --label canary
    """
    from serving import operations

    with _refusals(model):
        base = pushed_model_folder(model, set_ or [])
        seconds = _poll_seconds(model, set_ or [], poll_seconds)
        with readable_models_config(base):
            moved = operations.promote(base, version, label.value, seconds)
    _say(moved)


def _poll_seconds(model: str, overrides: list[str], given: float | None) -> float:
    if given is not None:
        return given
    if Path(model).is_dir():
        return 1.0
    return load_config(model, overrides).serve.model_config_file_poll_wait_seconds


@contextlib.contextmanager
def _refusals(model: str) -> Iterator[None]:
    from serving.operations import OperationRefused

    try:
        yield
    except OperationRefused as error:
        problem = Problem(model, error.argument, error.found, error.allowed)
        raise ConfigError(problem) from error


def _say(moved: Moved) -> None:
    from serving.inventory import default_warning

    if moved.before == moved.after:
        print(f"nothing to do: {_text(moved.after)}")
    else:
        print(f"was     {_text(moved.before)}")
        print(f"is      {_text(moved.after)}")
    print(f"served  {', '.join(map(str, moved.served))}")
    warning = default_warning(moved.after, moved.served)
    if warning:
        print(f"note: {warning}", file=sys.stderr)


def _text(labels: Mapping[str, int]) -> str:
    return "  ".join(f"{label} {version}" for label, version in sorted(labels.items())) or "-"
