"""Prometheus metrics under TF Serving's names (its `util.cc` and `batching_session.cc`).

Workers write into files of a folder that they share (prometheus_client's multiprocess mode), so
that any of them answers for all. The folder is named by `PROMETHEUS_MULTIPROC_DIR`, which must be
set before this module is imported.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, multiprocess
from prometheus_client.samples import Sample

from serving.server.manager import CallMade, Event, VersionChanged
from serving.server.policy import State

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

_LATENCY_BUCKETS = [10 * 1.8**power for power in range(33)]
_QUEUE_BUCKETS = [100 * 1.2**power for power in range(52)]
_COUNT_BUCKETS = [2**power for power in range(15)]

_TOTAL = "_total"
_EXAMPLE_COUNT = ":tensorflow:serving:request_example_count_total"


class Metrics:
    """What one process counts.

    Args:
        is_batching: whether requests run together; the metrics of batches are left out else.
    """

    def __init__(self, is_batching: bool = False) -> None:
        self._is_batching = is_batching
        self._registry = CollectorRegistry()
        self._requests = Counter(
            ":tensorflow:serving:request_count",
            "Requests.",
            ("model_name", "status"),
            registry=self._registry,
        )
        self._latency = Histogram(
            ":tensorflow:serving:request_latency",
            "Microseconds of a request.",
            ("model_name", "API", "entrypoint"),
            buckets=_LATENCY_BUCKETS,
            registry=self._registry,
        )
        self._example_total = Counter(
            _EXAMPLE_COUNT, "tf.Examples.", ("model",), registry=self._registry
        )
        self._examples = Histogram(
            ":tensorflow:serving:request_example_counts",
            "tf.Examples of a request.",
            ("model",),
            buckets=_COUNT_BUCKETS,
            registry=self._registry,
        )
        self._runs = Counter(
            ":tensorflow:serving:batching_session:wrapped_run_count",
            "Batches that TensorFlow ran.",
            registry=self._registry,
        )
        self._queuing = Histogram(
            ":tensorflow:serving:batching_session:queuing_latency",
            "Microseconds that a batch's first request waited.",
            ("thread_pool_name",),
            buckets=_QUEUE_BUCKETS,
            registry=self._registry,
        )
        self._batch_size = Histogram(
            ":tensorflow:serving:batching_session:processed_batch_size",
            "Rows of a call, with the padding.",
            ("model_name",),
            buckets=_COUNT_BUCKETS,
            registry=self._registry,
        )
        self._padding = Histogram(
            ":tensorflow:serving:batching_session:padding_size",
            "Rows of a call that are padding.",
            ("model_name",),
            buckets=_COUNT_BUCKETS,
            registry=self._registry,
        )
        self._loads = Counter(
            ":tensorflow:cc:saved_model:load_attempt_count",
            "Versions that were loaded, or could not be; in each process.",
            ("model_path", "status"),
            registry=self._registry,
        )
        self._load_latency = Counter(
            ":tensorflow:cc:saved_model:load_latency",
            "Microseconds of loading.",
            ("model_path",),
            registry=self._registry,
        )
        self._models: set[str] = set()
        # Looking a label up costs more than counting.
        self._by_status: dict[tuple[str, str], Counter] = {}
        self._by_call: dict[tuple[str, str, str], Histogram] = {}

    def request(self, model: str, api: str, entrypoint: str, status: str, seconds: float) -> None:
        """Counts a request that was answered.

        Args:
            model: counted as "" unless there ever was such a model: a client must not be able to
                make series.
            status: canonical code's name; the latency is that of OK alone, as with TF Serving.
        """
        if model not in self._models:
            model = ""
        by_status = self._by_status.get((model, status))
        if by_status is None:
            by_status = self._requests.labels(model, status)
            self._by_status[model, status] = by_status
        by_status.inc()
        if status == "OK":
            by_call = self._by_call.get((model, api, entrypoint))
            if by_call is None:
                by_call = self._latency.labels(model, api, entrypoint)
                self._by_call[model, api, entrypoint] = by_call
            by_call.observe(seconds * 1e6)

    def examples(self, model: str, count: int) -> None:
        """Counts the examples of a classify or regress request."""
        self._example_total.labels(model).inc(count)
        self._examples.labels(model).observe(count)

    def on_event(self, event: Event) -> None:
        """Counts what the models' manager tells of."""
        if isinstance(event, CallMade):
            if not self._is_batching:
                return
            self._runs.inc()
            run = event.run
            self._queuing.labels("model_server_batch_threads").observe(run.queued_seconds * 1e6)
            self._batch_size.labels(event.model).observe(run.rows + run.padding)
            self._padding.labels(event.model).observe(run.padding)
        elif isinstance(event, VersionChanged):
            self._models.add(event.model)
            path = f"{event.model}/{event.version}"
            if event.state is State.AVAILABLE:
                self._loads.labels(path, "success").inc()
                self._load_latency.labels(path).inc(event.seconds * 1e6)
            elif event.error is not None:
                self._loads.labels(path, "fail").inc()

    def text(self) -> bytes:
        """Returns all metrics, those of every process, in Prometheus' text format.

        Counters have no `_total` but where TF Serving's name has it, which prometheus_client's own
        writer would add.
        """
        registry = self._registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)
        return "".join(_lines(registry)).encode()


def _lines(registry: CollectorRegistry) -> Iterator[str]:
    for metric in registry.collect():
        name = metric.name
        if name + _TOTAL == _EXAMPLE_COUNT:
            name = _EXAMPLE_COUNT
        yield f"# TYPE {name} {metric.type}\n"
        for sample in metric.samples:
            if not sample.name.endswith("_created"):
                yield _line(sample)


def _line(sample: Sample) -> str:
    name = sample.name
    if name != _EXAMPLE_COUNT:
        name = name.removesuffix(_TOTAL)
    labels = ",".join(f'{key}="{_escaped(value)}"' for key, value in sample.labels.items())
    return f"{name}{{{labels}}} {sample.value:.17g}\n"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
