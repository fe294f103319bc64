"""A pool that starts the workers of an engine on the machine it runs on.

    python -m pipeline.beam.worker_pool --port=50000

An engine asks it for a worker (Beam's environment type EXTERNAL), and the worker imports what is
installed here. Beam's own pool listens on every address, starts whatever `python` is on PATH, mixes
up the workers of two TaskManagers, and its workers hang once they have printed more than a pipe
holds.
"""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import threading
from concurrent import futures
from pathlib import Path

import grpc
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc

_LOGGER = logging.getLogger(__name__)


class WorkerPool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    """Starts a process for each worker that is asked for; a worker ends with its engine's wish."""

    def __init__(self) -> None:
        self._workers: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()

    def StartWorker(  # noqa: N802  Beam's name
        self, request: beam_fn_api_pb2.StartWorkerRequest, _context: grpc.ServicerContext
    ) -> beam_fn_api_pb2.StartWorkerResponse:
        command = [
            *(sys.executable, "-m", "pipeline.beam.worker"),
            *(request.control_endpoint.url, request.worker_id),
        ]
        try:
            worker = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        except OSError as error:
            return beam_fn_api_pb2.StartWorkerResponse(error=str(error))
        _LOGGER.info("worker %s is process %d", request.worker_id, worker.pid)
        with self._lock:
            # Asking how they are frees the entries of those that have ended.
            self._workers = [found for found in self._workers if found.poll() is None]
            self._workers.append(worker)
        return beam_fn_api_pb2.StartWorkerResponse()

    def StopWorker(  # noqa: N802  Beam's name
        self, _request: beam_fn_api_pb2.StopWorkerRequest, _context: grpc.ServicerContext
    ) -> beam_fn_api_pb2.StopWorkerResponse:
        """Does nothing: a worker ends when its engine closes the connection, as it does now.

        The request names the worker alone, and two TaskManagers that share a pool both call theirs
        1-1. Beam's own pool ends the one that it has heard of last, which is the other's.
        """
        return beam_fn_api_pb2.StopWorkerResponse()


def serve(host: str, port: int) -> tuple[grpc.Server, int]:
    """Starts a pool and returns it with its port.

    Raises:
        RuntimeError: if the port is taken.
    """
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(WorkerPool(), server)
    port = server.add_insecure_port(f"{host}:{port}")
    server.start()
    return server, port


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m pipeline.beam.worker_pool")
    parser.add_argument("--host", default="127.0.0.1", help="whoever reaches it runs code here")
    parser.add_argument("--port", type=int, default=50000, help="0: a free one")
    parser.add_argument("--port-file", type=Path, help="written once it listens")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    server, port = serve(options.host, options.port)
    _LOGGER.info("a pool of workers listens on %s:%d", options.host, port)
    if options.port_file is not None:
        partial = options.port_file.with_suffix(".partial")
        partial.write_text(str(port), encoding="utf-8")
        os.replace(partial, options.port_file)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
