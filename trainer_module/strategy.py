"""Devices, the cluster, and the `tf.distribute` strategy of a training."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

import tensorflow as tf

from trainer_module.config import TrainConfig
from trainer_module.data import Share


@dataclass(frozen=True)
class Place:
    """Which process of a training this is.

    Attributes:
        role: `chief`, `worker`, `ps` or `evaluator`, as TF_CONFIG calls it; `chief` alone.
        index: among those of its role.
        workers: processes that compute steps, the chief of a multi-worker training among them;
            1 for an evaluator, which has no part in it.
    """

    role: str = "chief"
    index: int = 0
    workers: int = 1

    @property
    def is_chief(self) -> bool:
        return self.role == "chief"

    @property
    def name(self) -> str:
        return f"{self.role} {self.index}"


def read_place(config: TrainConfig) -> Place:
    """Returns this process' place, from TF_CONFIG where the strategy runs on a cluster.

    Raises:
        ValueError: if the strategy needs a cluster and TF_CONFIG describes none.
    """
    if config.strategy not in ("multi_worker", "parameter_server"):
        return Place()
    text = os.environ.get("TF_CONFIG", "")
    try:
        description = json.loads(text)
        cluster, task = description["cluster"], description["task"]
        role, index = str(task["type"]), int(task["index"])
        if role == "evaluator":
            # It takes no part in the training: Kubeflow's TFJob leaves it out of the cluster.
            return Place(role, index)
        hosts = len(cluster[role])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"strategy {config.strategy!r}: found TF_CONFIG={text[:200]!r} in the environment; "
            "allowed: a JSON with 'cluster' and 'task', which a cluster's operator sets, or "
            "train.local_workers, to start the processes here"
        ) from error
    if not 0 <= index < hosts:
        raise ValueError(f"TF_CONFIG: found {role} {index}; allowed: 0 to {hosts - 1}")
    workers = len(cluster.get("worker", []))
    if config.strategy == "multi_worker":
        workers += len(cluster.get("chief", []))
        if role == "worker" and index == 0 and "chief" not in cluster:
            role = "chief"
    return Place(role, index, workers)


def configure_devices(config: TrainConfig) -> None:
    """Sets GPU memory, logical devices and determinism.

    Has to run before TensorFlow touches a device, hence at the start of the process; a second
    call with the same settings does nothing. Under `mirrored` without GPUs, logical CPUs stand in
    for them.

    Raises:
        RuntimeError: if the devices are in use already and differ from what is asked for.
    """
    if config.debug.deterministic:
        tf.config.experimental.enable_op_determinism()
    gpus = tf.config.list_physical_devices("GPU")
    limit, parts = config.devices.memory_limit_mb, config.devices.logical
    for gpu in gpus:
        if limit or parts:
            _divide(gpu, parts or 1, limit)
        elif tf.config.experimental.get_memory_growth(gpu) != config.devices.memory_growth:
            tf.config.experimental.set_memory_growth(gpu, config.devices.memory_growth)
    if gpus:
        return
    replicas = config.replicas if config.strategy == "mirrored" else None
    if parts or replicas:
        _divide(tf.config.list_physical_devices("CPU")[0], parts or replicas or 1, None)


def _divide(device: tf.config.PhysicalDevice, parts: int, memory_limit: int | None) -> None:
    present = tf.config.get_logical_device_configuration(device)
    wanted = [tf.config.LogicalDeviceConfiguration(memory_limit=memory_limit)] * parts
    if present != wanted and (parts > 1 or memory_limit or present):
        tf.config.set_logical_device_configuration(device, wanted)


def make_strategy(config: TrainConfig) -> tf.distribute.Strategy:
    """Returns the strategy that `config` names, over GPUs if there are any, else logical CPUs.

    Raises:
        ValueError: if more replicas are asked for than there are devices, a batch does not divide
            among them, or there is no TPU.
    """
    if config.strategy == "default":
        return tf.distribute.get_strategy()
    if config.strategy == "multi_worker":
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    elif config.strategy == "parameter_server":
        strategy = tf.distribute.ParameterServerStrategy(
            tf.distribute.cluster_resolver.TFConfigClusterResolver(rpc_layer="grpc")
        )
    elif config.strategy == "tpu":
        strategy = _tpu_strategy()
    else:
        strategy = tf.distribute.MirroredStrategy(_replica_devices()[: replica_count(config)])
    check_batches(config, strategy.num_replicas_in_sync)
    return strategy


def replica_count(config: TrainConfig) -> int:
    """Returns how many replicas this process will have under `default` or `mirrored`.

    Raises:
        ValueError: if more replicas are asked for than there are devices, or a batch does not
            divide among them.
    """
    if config.strategy != "mirrored":
        return 1
    available = len(_replica_devices())
    replicas = config.replicas or available
    if replicas > available:
        raise ValueError(
            f"train.replicas: found {replicas}; allowed: at most {available}, one a device"
        )
    check_batches(config, replicas)
    return replicas


def check_batches(config: TrainConfig, replicas: int) -> None:
    """Holds the batches to the replicas that the devices make.

    Raises:
        ValueError: if a batch does not divide among them.
    """
    for name, parts in (
        ("batch_size", replicas * config.accumulate),
        ("eval_batch_size", replicas),
    ):
        if getattr(config, name) % parts:
            raise ValueError(
                f"train.{name}: found {getattr(config, name)}; allowed: a multiple of {parts}, "
                f"for {replicas} replicas"
            )


def share_of(strategy: tf.distribute.Strategy, pipeline: int, pipelines: int) -> Share:
    """Returns the part of each batch that an input pipeline reads: one pipeline a worker."""
    replicas = strategy.num_replicas_in_sync
    count = replicas // pipelines
    return Share(replicas=replicas, first=pipeline * count, count=count)


def _replica_devices() -> list[str]:
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    return [device.name for device in tf.config.list_logical_devices(kind)]


def _tpu_strategy() -> tf.distribute.Strategy:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(
            os.environ.get("TPU_NAME", "local")
        )
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, tf.errors.OpError) as error:
        raise ValueError(
            "train.strategy: found 'tpu', and no TPU answers; allowed: on a TPU machine, or with "
            f"TPU_NAME set to one ({str(error).splitlines()[0][:200]})"
        ) from error
    return tf.distribute.TPUStrategy(resolver)
