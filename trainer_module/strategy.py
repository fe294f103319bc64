"""Devices and the `tf.distribute` strategy of a training."""

from __future__ import annotations

import tensorflow as tf

from trainer_module.config import TrainConfig


def configure_devices(config: TrainConfig) -> None:
    """Sets GPU memory growth, and the logical CPUs that stand in for GPUs where there are none.

    Has to run before TensorFlow touches a device, hence at the start of the process; a second
    call with the same settings does nothing.

    Raises:
        RuntimeError: if the devices are in use already and differ from what is asked for.
    """
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        if not tf.config.experimental.get_memory_growth(gpu):
            tf.config.experimental.set_memory_growth(gpu, True)
    if config.strategy != "mirrored" or gpus:
        return
    replicas = config.replicas or 1
    cpu = tf.config.list_physical_devices("CPU")[0]
    present = tf.config.get_logical_device_configuration(cpu)
    if len(present or [None]) != replicas:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * replicas
        )


def replica_count(config: TrainConfig) -> int:
    """Returns how many replicas the strategy will have, on the devices that are configured.

    Raises:
        ValueError: if more replicas are asked for than there are devices, or a batch does not
            divide among them.
    """
    if config.strategy == "default":
        return 1
    available = len(_replica_devices())
    replicas = config.replicas or available
    if replicas > available:
        raise ValueError(f"{replicas} replicas on {available} devices")
    for name in ("batch_size", "eval_batch_size"):
        if getattr(config, name) % replicas:
            raise ValueError(
                f"{name} {getattr(config, name)}, which does not divide among {replicas} replicas"
            )
    return replicas


def make_strategy(config: TrainConfig) -> tf.distribute.Strategy:
    """Returns the strategy that `config` names, over GPUs if there are any, else logical CPUs.

    Raises:
        ValueError: as `replica_count`.
    """
    replicas = replica_count(config)
    if config.strategy == "default":
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy(_replica_devices()[:replicas])


def _replica_devices() -> list[str]:
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    return [device.name for device in tf.config.list_logical_devices(kind)]
