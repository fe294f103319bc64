"""How the cluster is set up: Flink's settings and the commands of its processes.

The one place for both the cluster on this machine and the Kubernetes manifests; a test holds the
manifests to it.
"""

from __future__ import annotations

from collections.abc import Mapping

TASK_MANAGERS = 2
SLOTS = 2
"""Of each TaskManager: when one is lost the other has room for a job of parallelism 2."""

_HEAP_MIB, _FRAMEWORK_HEAP_MIB = 1024, 128
"""Workers send up to 10 MiB at a time, which comes twice and in one piece on the heap."""

_NETWORK_MIB, _FRAMEWORK_OFF_HEAP_MIB = 768, 128
_OFF_HEAP_MIB = 512
"""What is on its way to a worker: Beam sends a hundred messages before it waits for the worker to
have read them, each of up to 1 MB and one element more, which is a batch of rows."""

_MANAGED_MIB, _METASPACE_MIB, _OVERHEAD_MIB = 256, 256, 192

TASK_MANAGER_MIB = (
    _HEAP_MIB + _FRAMEWORK_HEAP_MIB + _NETWORK_MIB + _FRAMEWORK_OFF_HEAP_MIB + _OFF_HEAP_MIB
    + _MANAGED_MIB + _METASPACE_MIB + _OVERHEAD_MIB
)  # fmt: skip
"""All that a TaskManager's process takes; its Python workers are processes of their own."""

JOB_MANAGER_HEAP_MIB = 384
JOB_SERVER_HEAP_MIB = 384

SETTINGS: Mapping[str, str] = {
    "parallelism.default": "1",
    "taskmanager.numberOfTaskSlots": str(SLOTS),
    # One worker process a TaskManager runs the Python code: slots are taken on both first.
    "taskmanager.load-balance.mode": "SLOTS",
    # A TaskManager that is started without Flink's scripts wants each of these said.
    "taskmanager.cpu.cores": str(float(SLOTS)),
    "taskmanager.memory.task.heap.size": f"{_HEAP_MIB}m",
    "taskmanager.memory.task.off-heap.size": f"{_OFF_HEAP_MIB}m",
    "taskmanager.memory.framework.heap.size": f"{_FRAMEWORK_HEAP_MIB}m",
    "taskmanager.memory.framework.off-heap.size": f"{_FRAMEWORK_OFF_HEAP_MIB}m",
    "taskmanager.memory.managed.size": f"{_MANAGED_MIB}m",
    "taskmanager.memory.jvm-metaspace.size": f"{_METASPACE_MIB}m",
    "taskmanager.memory.jvm-overhead.min": f"{_OVERHEAD_MIB}m",
    "taskmanager.memory.jvm-overhead.max": f"{_OVERHEAD_MIB}m",
    # TFX's batch jobs have many shuffles at once, each of which wants 512 network buffers of
    # 32 KiB unless told otherwise: "Insufficient number of network buffers".
    "taskmanager.memory.network.min": f"{_NETWORK_MIB}m",
    "taskmanager.memory.network.max": f"{_NETWORK_MIB}m",
    "taskmanager.network.sort-shuffle.min-buffers": "64",
    # A job that lost a TaskManager goes on with what is left. Each region of the job that ran
    # there counts as a failure, so that a handful of attempts would be used up by one loss.
    "restart-strategy.type": "fixed-delay",
    "restart-strategy.fixed-delay.attempts": "1000",
    "restart-strategy.fixed-delay.delay": "1 s",
    # As the option of Java below, for the memory that Java itself does not count.
    "taskmanager.jvm-exit-on-oom": "true",
    # Every process has the same jars. Loaded anew for each job, they would fill the metaspace, and
    # a worker would be ended and started again, with all that it imports, for stage after stage.
    "classloader.resolve-order": "parent-first",
    # How long a job waits for slots before it fails; Flink's default is five minutes.
    "slot.request.timeout": "60000",
}

_PACKAGES = (
    *("java.util", "java.lang", "java.lang.invoke", "java.nio", "java.time", "java.net", "java.io"),
    *("sun.net.util", "java.util.concurrent"),
)
JAVA_OPTIONS = (
    # What Beam and Flink reach into by reflection, which Java closed with 16.
    *(f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in _PACKAGES),
    # What a thread was doing when memory ran out is lost, and others would wait for it for ever.
    "-XX:+ExitOnOutOfMemoryError",
    # A log whose lines have no time tells little.
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
)


def job_manager_command(java: str, jars: str, conf: str) -> list[str]:
    """Returns the command of Flink's JobManager.

    Args:
        java: the program.
        jars: folder of the jars.
        conf: folder of flink-conf.yaml.
    """
    return [
        *(java, f"-Xms{JOB_MANAGER_HEAP_MIB}m", f"-Xmx{JOB_MANAGER_HEAP_MIB}m", *JAVA_OPTIONS),
        *("-cp", f"{jars}/*"),
        "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint",
        *("--configDir", conf, "--executionMode", "cluster"),
    ]


def task_manager_command(java: str, jars: str, conf: str, settings: Mapping[str, str]) -> list[str]:
    """Returns the command of a Flink TaskManager, with the memory that flink-conf.yaml tells it.

    Args:
        settings: of this TaskManager alone.
    """
    heap = _HEAP_MIB + _FRAMEWORK_HEAP_MIB
    return [
        *(java, f"-Xms{heap}m", f"-Xmx{heap}m"),
        f"-XX:MaxDirectMemorySize={_NETWORK_MIB + _FRAMEWORK_OFF_HEAP_MIB + _OFF_HEAP_MIB}m",
        f"-XX:MaxMetaspaceSize={_METASPACE_MIB}m",
        *(*JAVA_OPTIONS, "-cp", f"{jars}/*"),
        "org.apache.flink.runtime.taskexecutor.TaskManagerRunner",
        *("--configDir", conf),
        *(f"-D{name}={value}" for name, value in settings.items()),
    ]


def job_server_command(
    java: str, jars: str, master: str, host: str, ports: tuple[int, int, int], artifacts: str
) -> list[str]:
    """Returns the command of Beam's job server.

    Args:
        master: address of the JobManager's REST interface.
        host: that it listens at, by the name that those who send jobs know.
        ports: for jobs, artifacts and expansions.
        artifacts: folder of what jobs bring along.
    """
    job, artifact, expansion = ports
    return [
        *(java, f"-Xmx{JOB_SERVER_HEAP_MIB}m", *JAVA_OPTIONS, "-cp", f"{jars}/*"),
        "org.apache.beam.runners.flink.FlinkJobServerDriver",
        *(f"--job-host={host}", f"--job-port={job}", f"--artifact-port={artifact}"),
        *(f"--expansion-port={expansion}", f"--flink-master={master}"),
        f"--artifacts-dir={artifacts}",
    ]


def conf_text(settings: Mapping[str, str]) -> str:
    """Returns a flink-conf.yaml."""
    return "".join(f"{name}: {value}\n" for name, value in settings.items())
