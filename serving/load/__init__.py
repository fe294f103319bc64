"""A load generator: clients that ask again as soon as they are answered, in a process of their own.

    result = run_load(RestCall("127.0.0.1", 8501, "/v1/models/m:predict", body), clients=64)

Such a closed loop gives latency and throughput at a number of clients, not at a rate of requests.
"""

from serving.load.calls import Call, GrpcCall, RestCall
from serving.load.process import LoadFailed, run_load
from serving.load.record import LoadResult

__all__ = ["Call", "GrpcCall", "LoadFailed", "LoadResult", "RestCall", "run_load"]
