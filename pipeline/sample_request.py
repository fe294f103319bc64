"""A request that a model answers: made of its own signature and of a real example."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config_file import ConfigError, Problem
from pipeline.predict.arrays import to_arrays
from pipeline.predict.record_rows import read_records
from pipeline.predict.rows import Row
from pipeline.predict.sample_rows import sample_features
from pipeline.predict.writers import plain
from serving.array_values import STRING
from serving.client.api import MESSAGES
from serving.client.examples import parse_example, to_examples, to_json
from serving.client.metadata import CLASSIFY_METHOD, REGRESS_METHOD, Signature
from serving.client.rest_json import to_bytes
from serving.tensor_protos import to_array
from serving.version_folders import WARMUP_FILE

# Bytes; an argument of a command may have 128 KiB on Linux.
_LONGEST_ARGUMENT = 100_000

Inputs = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Sample:
    """Inputs of a signature.

    Attributes:
        note: where they are from, if not from the data that the model was trained on.
    """

    signature_name: str
    signature: Signature
    inputs: Inputs
    note: str | None

    @property
    def verb(self) -> str:
        """What the REST interface is asked to do."""
        verbs = {CLASSIFY_METHOD: "classify", REGRESS_METHOD: "regress"}
        return verbs.get(self.signature.method, "predict")

    def body(self, in_columns: bool) -> str:
        """Returns the JSON of a REST request.

        Args:
            in_columns: a list for each input, in place of an object for each row.
        """
        body: dict[str, Any] = {"signature_name": self.signature_name}
        if self.verb != "predict":
            ((_, serialized),) = self.inputs.items()
            body["examples"] = [to_json(parse_example(one)) for one in serialized.tolist()]
            return to_bytes(body).decode()
        # Serialized messages may be text by chance: they are bytes all the same.
        suffix = "_bytes" if self.signature.takes_examples else ""
        columns = {
            name: plain(array.tolist(), name + suffix) for name, array in self.inputs.items()
        }
        if in_columns:
            body["inputs"] = columns
        else:
            rows = zip(*columns.values(), strict=True)
            body["instances"] = [dict(zip(columns, row, strict=True)) for row in rows]
        return to_bytes(body).decode()


def sample_request(
    version: Path | None, name: str, signatures: Mapping[str, Signature], rows: int
) -> Sample:
    """Returns inputs of a signature: of the data that the version names, else of its warmup
    requests, else zeros.

    Args:
        version: its folder, None if it is on a server alone.

    Raises:
        ConfigError: if there is no such signature, or it takes what a client cannot send.
    """
    if name not in signatures:
        allowed = ", ".join(signatures) or "a model with signatures"
        raise ConfigError(Problem(str(version or "server"), "--signature", repr(name), allowed))
    signature = signatures[name]
    if version is None:
        return Sample(name, signature, _zeros(signature, rows), "zeros: no version at hand")
    try:
        return Sample(name, signature, _of_data(version, signature, rows), None)
    except ConfigError as error:
        why = str(error)
    inputs = _of_warmup(version, name, signature, rows)
    if inputs is not None:
        return Sample(name, signature, inputs, f"from {version / WARMUP_FILE}; {why}")
    return Sample(name, signature, _zeros(signature, rows), f"zeros; {why}")


def curl_line(url: str, body: str, files: Mapping[str, Path | None], again: str) -> str:
    """Returns a command of a shell that sends the request.

    Args:
        url: of the request.
        files: of TLS, by curl's option.
        again: the line of a shell that prints the body, for one that is too long for an argument.
    """
    options = [part for name, file in files.items() if file for part in (name, str(file))]
    if len(body.encode()) > _LONGEST_ARGUMENT:
        return f"{again} | {shlex.join(['curl', *options, '-d', '@-', url])}"
    return shlex.join(["curl", *options, "-d", body, url])


def python_snippet(
    target: str,
    model: str,
    chosen: Mapping[str, Any],
    sample: Sample,
    tls: Mapping[str, Path | None] | None = None,
) -> str:
    """Returns a program that asks by gRPC.

    Args:
        chosen: further arguments of the question; None is left out.
        tls: files of `TLS` by its arguments; None to ask in the clear.
    """
    if sample.verb == "predict":
        asked = repr({name: array.tolist() for name, array in sample.inputs.items()})
    else:
        asked = repr(next(iter(sample.inputs.values())).tolist())
    keywords = {"signature": sample.signature_name, **chosen}
    given = "".join(f", {name}={value!r}" for name, value in keywords.items() if value is not None)
    secured = ""
    if tls is not None:
        files = [f"{name}=Path({str(file)!r})" for name, file in tls.items() if file]
        secured = f", tls=TLS({', '.join(files)})"
    return (
        "from math import inf, nan  # what the inputs may hold\n"
        "from pathlib import Path\n\n"
        "from serving.client import TLS, GrpcClient\n\n"
        f"with GrpcClient({target!r}, {model!r}{secured}) as client:\n"
        f"    print(client.{sample.verb}({asked}{given}))"
    )


def _of_data(version: Path, signature: Signature, rows: int) -> Inputs:
    features = sample_features(version, rows)
    if signature.takes_examples:
        serialized = [example.SerializeToString() for example in to_examples(features)]
        return {next(iter(signature.inputs)): np.array(serialized, object)}
    return to_arrays(
        [
            Row(str(version), f"row {number}", row, {})
            for number, row in enumerate(features, start=1)
        ],
        signature,
    )


def _of_warmup(version: Path, name: str, signature: Signature, rows: int) -> Inputs | None:
    """Returns the first rows of the warmup request of a signature that has most of them."""
    path = version / WARMUP_FILE
    if not path.is_file():
        return None
    largest: Inputs | None = None
    size = 0
    for record in read_records(str(path)):
        inputs = _logged(MESSAGES["PredictionLog"].FromString(record), name, signature)
        found = min((len(array) for array in inputs.values()), default=0)
        if size < min(found, rows):
            largest, size = inputs, found
    return largest and {alias: array[:rows] for alias, array in largest.items()}


def _logged(log: Any, name: str, signature: Signature) -> Inputs:
    """Returns the inputs that a log has for a signature; {} if it is of another."""
    for kind in ("predict_log", "classify_log", "regress_log"):
        if not log.HasField(kind):
            continue
        request = getattr(log, kind).request
        if (request.model_spec.signature_name or "serving_default") != name:
            continue
        if kind == "predict_log":
            return {alias: to_array(request.inputs[alias]) for alias in sorted(request.inputs)}
        examples = request.input.example_list.examples
        serialized = [example.SerializeToString() for example in examples]
        return {next(iter(signature.inputs)): np.array(serialized, object)}
    return {}


def _zeros(signature: Signature, rows: int) -> Inputs:
    inputs = {}
    for name, spec in signature.inputs.items():
        if spec.dtype is None or spec.shape is None:
            raise ConfigError(
                Problem("request-sample", name, str(spec), "an input of known type and shape")
            )
        shape = (rows, *(1 if size is None else size for size in spec.shape[1:]))
        zero = b"" if spec.dtype == STRING else 0
        inputs[name] = np.full(shape, zero, spec.dtype)
    return inputs
