"""Reads a RunConfig from YAML and `--set` overrides, and says plainly what is wrong with it."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from pipeline.config import RunConfig
from trainer_module.config.yaml_text import Dumper, parse_yaml


@dataclass(frozen=True)
class Problem:
    """One mistake: where it is, what was found there, and what is allowed."""

    source: str
    key: str
    found: str
    allowed: str

    def __str__(self) -> str:
        return f"{self.source}: {self.key}: found {self.found}; allowed: {self.allowed}"


class ConfigError(Exception):
    """A configuration or input that cannot run; nothing has been written."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class NotNow(ConfigError):
    """What the same command may get past at another time: another run, or a full disk."""


class Source:
    """Where a configuration comes from: a file, and the `--set` overrides on top of it."""

    def __init__(self, path: str, overrides: Sequence[str] = ()) -> None:
        self.path = path
        self._changed = {_parse_override(text)[0]: f"--set {text}" for text in overrides}

    def of(self, key: str) -> str:
        """Returns the override that set a key or the section it is in, else the file."""
        location = tuple(key.split("."))
        for keys, override in self._changed.items():
            if location[: len(keys)] == keys:
                return override
        return self.path

    def of_unknown(self, key: str) -> str:
        """Returns the override that brought in a key that does not exist, else the file."""
        location = tuple(key.split("."))
        for keys, override in self._changed.items():
            if keys[: len(location)] == location:
                return override
        return self.of(key)

    def problem(self, key: str, found: str, allowed: str) -> Problem:
        return Problem(self.of(key), key, found, allowed)

    def told(self, text: str) -> Problem:
        """Returns the problem that a text such as `key: found X; allowed: Y` tells."""
        key, _, rest = text.partition(": found ")
        found, _, allowed = rest.partition("; allowed: ")
        return self.problem(key, found, allowed)


def load_config(path: str, overrides: Sequence[str] = ()) -> RunConfig:
    """Returns the configuration of a file with overrides applied.

    Args:
        path: of a YAML file.
        overrides: `dotted.key=value` each, the value in YAML.

    Raises:
        ConfigError: with every mistake found.
    """
    values = _read_yaml(path)
    source = Source(path, overrides)
    for override in overrides:
        keys, value = _parse_override(override)
        _assign(values, keys, value, override)
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError(*section_problems(error, source, RunConfig)) from error


def dump_config(config: RunConfig) -> str:
    """Returns the resolved configuration as YAML that `load_config` takes."""
    return yaml.dump(config.model_dump(mode="json"), Dumper=Dumper, sort_keys=False)


def _read_yaml(path: str) -> dict[str, Any]:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        ready = ", ".join(sorted(str(found) for found in Path("configs").glob("*.yaml")))
        raise ConfigError(
            Problem(path, "(file)", "no such file", f"a YAML file, such as {ready or 'your own'}")
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(Problem(path, "(file)", str(error), "a YAML file in UTF-8")) from error
    try:
        values = parse_yaml(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "(file)"
        found = getattr(error, "problem", None) or str(error)
        raise ConfigError(Problem(path, where, found, "YAML")) from error
    if not isinstance(values, dict):
        raise ConfigError(
            Problem(path, "(file)", _show(values), f"keys: {', '.join(RunConfig.model_fields)}")
        )
    return values


def _parse_override(override: str) -> tuple[tuple[str, ...], Any]:
    key, equals, text = override.partition("=")
    keys = tuple(key.strip().split("."))
    if not equals or not all(keys):
        raise ConfigError(Problem("--set", override, "no key=value", "for example train.epochs=5"))
    try:
        return keys, parse_yaml(text)
    except yaml.YAMLError as error:
        raise ConfigError(Problem("--set", key, text, "a value in YAML")) from error


def _assign(values: dict[str, Any], keys: tuple[str, ...], value: Any, override: str) -> None:
    """Sets a value deep in nested dicts and lists; list items go by their index."""
    inner: Any = values
    for depth, key in enumerate(keys):
        last = depth == len(keys) - 1
        if isinstance(inner, list):
            if not key.isdecimal() or int(key) >= len(inner):
                found = ".".join(keys[: depth + 1])
                raise ConfigError(
                    Problem("--set", override, found, f"an index from 0 to {len(inner) - 1}")
                )
            index: Any = int(key)
        elif isinstance(inner, dict):
            index = key
            if not last and not isinstance(inner.get(key), (dict, list)):
                inner[key] = {}
        else:
            found = f"{'.'.join(keys[:depth])}, which is {_show(inner)}"
            raise ConfigError(Problem("--set", override, found, "a key of a section or a list"))
        if last:
            inner[index] = value
        else:
            inner = inner[index]


def section_problems(
    error: ValidationError, source: Source, section: type[BaseModel], prefix: str = ""
) -> list[Problem]:
    """Returns the mistakes that the validation of a section found.

    Args:
        source: where its values come from.
        section: what was validated.
        prefix: the key of the section in the file; "" for that of the whole file.
    """
    problems = []
    for item in error.errors():
        location, inner = _without_tags([part for part in item["loc"] if part != "[key]"], section)
        key = ".".join([*([prefix] if prefix else []), *location]) or "(file)"
        found = "nothing" if item["type"] == "missing" else _show(item["input"])
        if "[key]" in item["loc"]:
            found = f"the key {found}"
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            found, allowed = "a key that does not exist", _known_keys(location[-1], inner)
            problems.append(Problem(source.of_unknown(key), key, found, allowed))
            continue
        if item["type"] == "union_tag_invalid":
            name = item["ctx"]["discriminator"].strip("'")
            key, found = f"{key}.{name}", _show(item["input"][name])
            allowed = item["ctx"]["expected_tags"]
        elif item["type"] == "union_tag_not_found":
            key = f"{key}.{item['ctx']['discriminator'].strip(chr(39))}"
            found, allowed = "nothing", "a value: this key is required"
        elif item["type"] == "value_error" and "; allowed: " in message:
            # A rule over several keys names the one at fault itself.
            name, _, rest = message.partition(": found ")
            found, _, allowed = rest.partition("; allowed: ")
            key = f"{key}.{name}" if location or prefix else name
        elif item["type"] == "value_error":
            allowed = message.removeprefix("allowed: ")
        else:
            allowed = _allowed(item)
        problems.append(source.problem(key, found, allowed))
    return problems


def _allowed(item: Any) -> str:
    """Says what a pydantic error of one value allows, in the words of a configuration file."""
    context = item.get("ctx", {})
    kinds = {
        "int_type": "an integer",
        "finite_number": "a finite number",
        "float_type": "a number",
        "string_type": "a text",
        "bool_type": "true or false",
        "list_type": "a list",
        "dict_type": "keys and values",
        "model_type": "keys and values",
        "model_attributes_type": "keys and values",
        "missing": "a value: this key is required",
    }
    limits = {
        "greater_than": ("gt", "a number above {}"),
        "greater_than_equal": ("ge", "a number of at least {}"),
        "less_than": ("lt", "a number below {}"),
        "less_than_equal": ("le", "a number of at most {}"),
        "literal_error": ("expected", "{}"),
        "string_pattern_mismatch": ("pattern", "a text that matches {}"),
        "string_too_short": ("min_length", "a text of at least {} character"),
        "too_short": ("min_length", "a list of at least {}"),
        "too_long": ("max_length", "a list of at most {}"),
    }
    if item["type"] in limits:
        name, text = limits[item["type"]]
        return text.format(context[name])
    return kinds.get(item["type"], item["msg"])


def _known_keys(key: str, section: type[BaseModel]) -> str:
    """Returns the keys of the section that an unknown key is in, the nearest first."""
    known = list(section.model_fields)
    nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]}? " if nearest else ""
    return f"{hint}known keys: {', '.join(known)}"


def _without_tags(
    location: Sequence[str | int], section: type[BaseModel]
) -> tuple[tuple[str, ...], type[BaseModel]]:
    """Returns the keys that a place in the file goes by, and the section that the last one is in.

    Pydantic puts the kind of a section that comes in several kinds between the keys.

    Args:
        section: that the location begins in.
    """
    inner: Any = section
    keys: list[str] = []
    for part in map(str, location):
        kinds = _kinds(inner)
        if part in kinds:
            inner = kinds[part]
            continue
        keys.append(part)
        container = _container(inner)
        if container is not None:
            inner = typing.get_args(container)[-1]
            continue
        found = [s for s in _sections(inner) if part in s.model_fields] or _sections(inner)
        section = found[0] if found else section
        field = section.model_fields.get(part) if found else None
        inner = typing.Annotated[field.annotation, field] if field else None
    return tuple(keys), section


def _kinds(annotation: Any) -> dict[str, type[BaseModel]]:
    """Returns the sections that may stand here by what their discriminator says; {} without one."""
    fields = [m for m in getattr(annotation, "__metadata__", ()) if isinstance(m, FieldInfo)]
    discriminator = next((f.discriminator for f in fields if f.discriminator), None)
    if not isinstance(discriminator, str):
        return {}
    tagged: dict[str, type[BaseModel]] = {}
    for section in _sections(annotation):
        tags = typing.get_args(section.model_fields[discriminator].annotation)
        tagged |= dict.fromkeys(tags, section)
    return tagged


def _container(annotation: Any) -> Any:
    """Returns the list or dict that may stand here; None for neither."""
    if typing.get_origin(annotation) in (list, dict):
        return annotation
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) in (
        typing.Annotated,
        typing.Union,
    ):
        parts = typing.get_args(annotation)
        inside = parts[:1] if typing.get_origin(annotation) is typing.Annotated else parts
        return next((found for part in inside if (found := _container(part)) is not None), None)
    return None


def _sections(annotation: Any) -> list[type[BaseModel]]:
    """Returns the model classes in an annotation such as `list[MetricConfig]` or a union."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [found for part in typing.get_args(annotation) for found in _sections(part)]


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
