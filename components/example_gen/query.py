"""What ExampleGen is asked for: a JSON object that stands as the pattern of its one input split."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError
from tfx.proto import example_gen_pb2
from tfx.types import standard_component_specs as specs
from tfx.utils import proto_utils

from components.example_gen.config import DataConfig, TableConfig, where
from components.example_gen.source import DataError, DataSource
from components.example_gen.sources import make_source
from components.example_gen.spans import has_span, span_name

SPAN_WANTED = "span_wanted"
"""Parameter: the last span that is read, a number or a date, or AS_CONFIGURED."""

AS_CONFIGURED = "configured"
"""TFX takes an empty text for no value at all."""


@dataclass(frozen=True)
class Query:
    """The `data` section of a configuration, and what else decides on the examples.

    Attributes:
        code: hash of the source code that reads the rows.
        label_values: what the label may be; None for anything.
        fingerprint: of the data, once a driver has looked at them; "" before.
    """

    data: Any
    code: str
    label_values: Sequence[Any] | None
    fingerprint: str = ""

    def source(self) -> DataSource:
        return make_source(self.data, self.label_values)

    def resolved(self) -> Query:
        """Returns the query of the span that there is now, with the fingerprint of its data.

        The latest span is another one tomorrow: what was read must not depend on when.

        Raises:
            DataError: if the data are not there.
        """
        data, fingerprint = self.data, self.source().fingerprint()
        if isinstance(data, TableConfig) and has_span(data.path):
            span = span_name(data.path, self.source().span())
            data = data.model_copy(update={"span": span})
        return replace(self, data=data, fingerprint=fingerprint)

    def to_proto(self) -> example_gen_pb2.Input:
        text = json.dumps(
            {
                "data": self.data.model_dump(mode="json"),
                "fingerprint": self.fingerprint,
                "code": self.code,
                "label_values": self.label_values,
            }
        )
        split = example_gen_pb2.Input.Split(name="single", pattern=text)
        return example_gen_pb2.Input(splits=[split])


def make_query(
    data: DataConfig, code: str, label_values: Sequence[Any] | None
) -> example_gen_pb2.Input:
    """Returns the query of data that nobody has looked at yet."""
    return Query(data, code, label_values).to_proto()


def read_query(exec_properties: Mapping[str, Any]) -> Query:
    """Returns the query of a node's parameters, of the span that these want.

    Raises:
        DataError: if a span is wanted of data without any, or one that is no number nor a date.
    """
    inputs = example_gen_pb2.Input()
    proto_utils.json_to_proto(exec_properties[specs.INPUT_CONFIG_KEY], inputs)
    found = json.loads(inputs.splits[0].pattern)
    data: DataConfig = TypeAdapter(DataConfig).validate_python(found["data"])
    span = exec_properties.get(SPAN_WANTED, AS_CONFIGURED)
    if span != AS_CONFIGURED:
        data = of_span(data, span)
    return Query(data, found["code"], found["label_values"], found["fingerprint"])


def of_span(data: DataConfig, span: str) -> DataConfig:
    """Returns the configuration of the data up to a span.

    Args:
        span: a number, or a date as ISO 8601 has it.

    Raises:
        DataError: for one that is neither, or for data without any.
    """
    if not isinstance(data, TableConfig) or not has_span(data.path):
        raise DataError.at(where(data), f"span {span} wanted", "none: the data have no spans")
    wanted: int | str = int(span) if span.isdecimal() else span
    try:
        return type(data).model_validate({**data.model_dump(mode="json"), "span": wanted})
    except ValidationError:
        allowed = "a number, or a date such as 2026-01-31"
        raise DataError.at(data.path, f"span {span!r} wanted", allowed) from None
