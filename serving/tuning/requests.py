"""The request that a model is tuned with: a real one, of one row."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from serving.version_folders import read_manifest

_SERVICE = "/tensorflow.serving.PredictionService"
_METHODS = {"predict_log": "Predict", "classify_log": "Classify", "regress_log": "Regress"}


class NoRequest(ValueError):
    """A version that holds no request to ask it.

    Attributes:
        found: what it holds instead.
    """

    def __init__(self, found: str) -> None:
        super().__init__(found)
        self.found = found


@dataclass(frozen=True)
class TuningRequest:
    """What to ask.

    Attributes:
        model: the name that the message asks for.
        inputs: the signature's, one row each.
        message: the same row as a serialized request to `method`.
        method: of gRPC, with its service.
    """

    model: str
    signature: str
    inputs: dict[str, np.ndarray]
    message: bytes
    method: str


def tuning_request(version: Path, signature: str) -> TuningRequest:
    """Returns one row of the version's own warmup requests, which are made of real examples.

    Raises:
        NoRequest: if there is none for the signature.
    """
    from serving.prediction_logs import exchange, read_logs
    from serving.warmup import WARMUP_FILE, warmup_log

    path = version / WARMUP_FILE
    if not path.is_file():
        pushed_by = "an older push" if read_manifest(version) else "another program"
        raise NoRequest(f"{version}, of {pushed_by}, without warmup requests")
    known = []
    for log in read_logs(path):
        found = exchange(log)
        known.append(found.signature)
        if found.signature == signature:
            kind = log.WhichOneof("log_type")
            model = getattr(log, kind).request.model_spec.name
            one = warmup_log(log, model, 1)
            message = getattr(one, kind).request.SerializeToString()
            inputs = exchange(one).inputs
            return TuningRequest(model, signature, inputs, message, f"{_SERVICE}/{_METHODS[kind]}")
    raise NoRequest(f"requests to {', '.join(sorted(set(known))) or 'nothing'}, not to {signature}")
