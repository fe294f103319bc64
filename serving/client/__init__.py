"""Clients of a server that speaks TF Serving's API: REST and gRPC, with one interface.

    from serving.client import RestClient

    with RestClient("http://localhost:8501", "digits") as client:
        answers = client.predict({"image": images}, signature="serving_raw")

Needs no TensorFlow, and loads none.
"""

from serving.client.base import ServingClient
from serving.client.errors import ServingClientError
from serving.client.grpc_client import GrpcClient
from serving.client.metadata import Metadata, Signature, TensorSpec, VersionStatus
from serving.client.rest_client import RestClient
from serving.client.retries import RetryPolicy
from serving.client.tls import TLS

__all__ = [
    "TLS",
    "GrpcClient",
    "Metadata",
    "RestClient",
    "RetryPolicy",
    "ServingClient",
    "ServingClientError",
    "Signature",
    "TensorSpec",
    "VersionStatus",
]
