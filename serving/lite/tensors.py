"""What a variant's metadata say of its inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from serving.lite.comparison import Arrays
from serving.lite.config import Variant
from serving.lite.interpreter import LiteModel
from serving.lite.job import Job
from serving.lite.metadata import Description, Tensor
from serving.lite.normalization import Normalization


def describe(
    job: Job,
    variant: Variant,
    model: LiteModel,
    inputs: Arrays,
    outputs: Arrays,
    normalizations: Mapping[str, Normalization],
) -> Description:
    """Returns the description of a converted model.

    Args:
        inputs, outputs: values seen, [rows, ...], by the names in the signature.
        normalizations: by input.
    """
    return Description(
        name=job.name,
        version=job.version,
        description=f"{job.name}, the variant {variant}, of transformed features",
        inputs=[
            Tensor(
                **_common(name, details, inputs[name], "a transformed feature"),
                normalization=normalizations.get(name),
                is_image=inputs[name].ndim == 4 and inputs[name].shape[-1] in (1, 3),
            )
            for name, details in model.inputs.items()
        ],
        outputs=[
            Tensor(
                **_common(name, details, outputs[name], "an answer"),
                labels=job.labels.get(name, []),
                is_label=outputs[name].dtype.kind in "iu",
            )
            for name, details in model.outputs.items()
        ],
    )


def _common(name: str, details: Mapping[str, Any], values: np.ndarray, what: str) -> dict[str, Any]:
    shape = ", ".join(["rows", *map(str, values.shape[1:])])
    scale, zero_point = details["quantization"]
    scaled = f"; (value {-zero_point:+d}) * {scale:.9g} as float32" if scale else ""
    is_float = values.dtype.kind == "f"
    return {
        "name": name,
        "tensor_name": details["name"],
        "description": f"{what}, {np.dtype(details['dtype']).name} [{shape}]{scaled}",
        "minimum": float(values.min()) if is_float else None,
        "maximum": float(values.max()) if is_float else None,
    }
