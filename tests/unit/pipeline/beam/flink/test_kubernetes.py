"""The manifests are the local cluster's settings and commands, at other addresses."""

from __future__ import annotations

import re

import pytest
import yaml

from pipeline.beam.flink.ports import Ports
from pipeline.beam.flink.settings import (
    SETTINGS,
    TASK_MANAGER_MIB,
    TASK_MANAGERS,
    job_manager_command,
    job_server_command,
    task_manager_command,
)

JARS, CONF = "/opt/flink/jars", "/opt/flink/conf"


@pytest.fixture(scope="module")
def folder(repository):
    return repository / "pipeline" / "beam" / "flink" / "kubernetes"


@pytest.fixture(scope="module")
def manifests(folder):
    """Every object by kind and name."""
    (index,) = yaml.safe_load_all((folder / "kustomization.yaml").read_text())
    assert {path.name for path in folder.glob("*.yaml")} == {
        "kustomization.yaml",
        *index["resources"],
    }
    found = [
        document
        for name in index["resources"]
        for document in yaml.safe_load_all((folder / name).read_text())
    ]
    return {(item["kind"], item["metadata"]["name"]): item for item in found}


@pytest.fixture(scope="module")
def conf(manifests):
    text = manifests["ConfigMap", "flink-conf"]["data"]["flink-conf.yaml"]
    return dict(line.split(": ", 1) for line in text.splitlines())


def _pod(manifests, name):
    return manifests["Deployment", name]["spec"]["template"]["spec"]


def _container(manifests, deployment, name):
    (found,) = [c for c in _pod(manifests, deployment)["containers"] if c["name"] == name]
    return found


def test_settings_are_those_of_the_local_cluster_but_for_the_addresses(conf):
    addresses = {
        "jobmanager.rpc.address": "flink-jobmanager",
        "jobmanager.rpc.port": "6123",
        "blob.server.port": "6124",
        "rest.address": "flink-jobmanager",
        "rest.port": "8081",
        "rest.bind-address": "0.0.0.0",
        "jobmanager.bind-host": "0.0.0.0",
        "taskmanager.bind-host": "0.0.0.0",
        "io.tmp.dirs": "/tmp",
    }
    assert conf == {**SETTINGS, **addresses}


def test_commands_are_those_of_the_local_cluster(manifests):
    ports = Ports()
    assert _container(manifests, "flink-jobmanager", "jobmanager")["command"] == (
        job_manager_command("java", JARS, CONF)
    )
    assert _container(manifests, "flink-taskmanager", "taskmanager")["command"] == (
        task_manager_command("java", JARS, CONF, {"taskmanager.host": "$(POD_IP)"})
    )
    assert _container(manifests, "flink-jobserver", "jobserver")["command"] == job_server_command(
        *("java", JARS, "flink-jobmanager:8081", "flink-jobserver"),
        (ports.job, ports.artifact, ports.expansion),
        "/tmp/artifacts",
    )


def test_task_managers_have_the_memory_that_they_are_set_up_for_and_workers_beside_them(manifests):
    assert manifests["Deployment", "flink-taskmanager"]["spec"]["replicas"] == TASK_MANAGERS
    task_manager = _container(manifests, "flink-taskmanager", "taskmanager")
    memory = f"{TASK_MANAGER_MIB}Mi"
    assert task_manager["resources"]["requests"]["memory"] == memory
    assert task_manager["resources"]["limits"]["memory"] == memory
    pool = _container(manifests, "flink-taskmanager", "workerpool")
    assert pool["command"][:3] == ["python", "-m", "pipeline.beam.worker_pool"]
    assert pool["command"][3] == f"--port={Ports().worker_pool}"
    assert {"name": "data", "mountPath": "/data"} in pool["volumeMounts"]


def test_services_lead_to_ports_that_the_pods_open(manifests, conf):
    for name, container in (("flink-jobmanager", "jobmanager"), ("flink-jobserver", "jobserver")):
        opened = {
            port["name"]: port["containerPort"]
            for port in _container(manifests, name, container)["ports"]
        }
        service = manifests["Service", name]["spec"]
        assert {port["targetPort"]: port["port"] for port in service["ports"]} == opened
        labels = manifests["Deployment", name]["spec"]["template"]["metadata"]["labels"]
        assert service["selector"].items() <= labels.items()
    job_manager = manifests["Service", "flink-jobmanager"]["spec"]["ports"]
    numbers = {port["name"]: str(port["port"]) for port in job_manager}
    assert numbers == {
        "rest": conf["rest.port"],
        "rpc": conf["jobmanager.rpc.port"],
        "blob": conf["blob.server.port"],
    }
    # The job server listens at the name of its service, which only a headless one lets it do.
    assert manifests["Service", "flink-jobserver"]["spec"]["clusterIP"] == "None"


def test_pods_can_do_no_more_than_they_have_to(manifests):
    deployments = [name for kind, name in manifests if kind == "Deployment"]
    assert len(deployments) == 3
    for name in deployments:
        pod = _pod(manifests, name)
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert "memory" in container["resources"]["limits"]


def test_only_pods_of_the_cluster_and_of_runs_reach_it(manifests):
    policy = manifests["NetworkPolicy", "tapeline-flink"]["spec"]
    part = policy["podSelector"]["matchLabels"]
    for kind, name in manifests:
        if kind == "Deployment":
            labels = manifests[kind, name]["spec"]["template"]["metadata"]["labels"]
            assert part.items() <= labels.items()
    (rule,) = policy["ingress"]
    assert all("podSelector" in source for source in rule["from"])


def test_images_are_those_that_the_manifests_name_and_hold_what_the_commands_ask_for(
    manifests, repository
):
    files = {
        name: (repository / "pipeline" / "beam" / "images" / f"{name}.Dockerfile").read_text()
        for name in ("flink", "worker")
    }
    built = {re.search(r"-t (\S+)", text).group(1) for text in files.values()}
    used = {
        container["image"]
        for kind, name in manifests
        if kind == "Deployment"
        for container in _pod(manifests, name)["containers"]
    }
    assert used == built
    assert f"COPY --from=jars /build/jars {JARS}" in files["flink"]
    assert "pipeline/beam/flink/pom.xml" in files["flink"]
    beam = re.search(
        r"^apache-beam==(\S+)", (repository / "requirements/tfx-1.16.txt").read_text(), re.M
    ).group(1)
    assert f"apache/beam_python3.10_sdk:{beam} " in files["worker"]
    for path in re.findall(r"^COPY (\S+) ", files["worker"], re.M):
        assert path.startswith("--") or (repository / path).exists()
