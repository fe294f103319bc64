"""The manifests are Kubernetes', fit each other, and start what `tapeline serve` starts."""

from __future__ import annotations

import copy
import re
import urllib.request
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from serving.launch import CONTAINER_USER, IMAGE, server_flags

OLDEST = "1.25"  # whose API versions the manifests keep to
VERSIONS = [OLDEST, kubernetes_validate.latest_version()]
NAMES = ["deployment", "disruption", "network", "service", "volume"]


@pytest.fixture(scope="module")
def folder(repository):
    return repository / "serving" / "deploy" / "kubernetes"


@pytest.fixture(scope="module")
def manifests(folder):
    return {name: yaml.safe_load((folder / f"{name}.yaml").read_text()) for name in NAMES}


@pytest.fixture(scope="module")
def pod(manifests):
    return manifests["deployment"]["spec"]["template"]


@pytest.fixture(scope="module")
def container(pod):
    (container,) = pod["spec"]["containers"]
    return container


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", NAMES)
def test_manifest_is_what_the_schema_of_kubernetes_allows(manifests, name, version):
    kubernetes_validate.validate(manifests[name], version, strict=True)


def _container_of(deployment):
    return deployment["spec"]["template"]["spec"]["containers"][0]


BROKEN = {
    "unknown key": ("deployment", lambda m: _container_of(m).update(argz=[])),
    "port as text": (
        "deployment",
        lambda m: _container_of(m)["ports"][0].update(containerPort="8500"),
    ),
    "no selector": ("deployment", lambda m: m["spec"].pop("selector")),
    "probe of no port": (
        "deployment",
        lambda m: _container_of(m)["readinessProbe"]["httpGet"].pop("port"),
    ),
    "service of no port": ("service", lambda m: m["spec"]["ports"][0].pop("port")),
    "policy as text": ("network", lambda m: m["spec"].update(policyTypes="Ingress")),
    "budget of an unknown key": ("disruption", lambda m: m["spec"].update(maxUnavailble=1)),
    "size as a list": (
        "volume",
        lambda m: m["spec"]["resources"]["requests"].update(storage=["5Gi"]),
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_schema_check_when_a_manifest_is_broken_then_refuses_it(manifests, case):
    name, damage = BROKEN[case]
    manifest = copy.deepcopy(manifests[name])
    damage(manifest)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, OLDEST, strict=True)


def test_kustomization_lists_every_manifest(folder):
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    present = {path.name for path in folder.iterdir()} - {"kustomization.yaml"}
    assert set(kustomization["resources"]) == present == {f"{name}.yaml" for name in NAMES}


def test_container_when_started_then_has_the_flags_of_every_backend(container):
    (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == "serving"]
    assert container["image"] == IMAGE
    assert container["command"] == ["tensorflow_model_server"]
    assert container["args"] == server_flags(Path(mount["mountPath"]), 8500, 8501)
    assert mount["readOnly"] is True


def test_volumes_are_mounted_and_claimed_by_their_names(manifests, pod, container):
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes.keys()
    claim = volumes["serving"]["persistentVolumeClaim"]["claimName"]
    assert claim == manifests["volume"]["metadata"]["name"]
    assert manifests["volume"]["spec"]["accessModes"] == ["ReadWriteMany"]


def test_probes_all_ask_for_the_models_status_on_the_port_of_rest(container):
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"grpc": 8500, "rest": 8501}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/v1/models/digits", "port": "rest"}


def test_annotations_lead_prometheus_to_tf_servings_path(pod):
    assert pod["metadata"]["annotations"] == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "8501",
        "prometheus.io/path": "/monitoring/prometheus/metrics",
    }


def test_pod_when_it_runs_then_can_do_no_more_than_serve(pod, container):
    """What Kubernetes' Pod Security Standard `restricted` asks for, and a root it cannot write."""
    user, group = map(int, CONTAINER_USER.split(":"))
    assert pod["spec"]["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": group,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert {"cpu", "memory"} == container["resources"]["limits"].keys()
    assert {"cpu", "memory"} == container["resources"]["requests"].keys()


def test_selectors_all_find_the_deployments_pods(manifests, pod, container):
    labels = pod["metadata"]["labels"]
    assert manifests["deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert manifests["service"]["spec"]["selector"] == labels
    assert manifests["disruption"]["spec"]["selector"]["matchLabels"] == labels
    assert manifests["network"]["spec"]["podSelector"]["matchLabels"] == labels
    ports = {port["name"] for port in container["ports"]}
    assert {port["targetPort"] for port in manifests["service"]["spec"]["ports"]} == ports
    (ingress,) = manifests["network"]["spec"]["ingress"]
    assert {port["port"] for port in ingress["ports"]} == ports


def test_shutdown_when_a_pod_is_taken_down_then_it_answers_longer_than_it_is_asked(pod, container):
    command, seconds = container["lifecycle"]["preStop"]["exec"]["command"]
    assert command == "sleep"
    assert 0 < int(seconds) < pod["spec"]["terminationGracePeriodSeconds"]


def test_page_shows_an_overlay_whose_patches_are_of_places_that_there_are(repository, manifests):
    page = (repository / "docs" / "deploy.md").read_text()
    (text,) = re.findall(r"```yaml\n(# kustomization\.yaml\n.*?)```", page, re.DOTALL)
    overlay = yaml.safe_load(text)
    assert overlay["images"][0]["name"] == IMAGE.partition(":")[0]
    (patch,) = overlay["patches"]
    assert patch["target"]["name"] == manifests["deployment"]["metadata"]["name"]
    operations = yaml.safe_load(patch["patch"])
    deployment = copy.deepcopy(manifests["deployment"])
    for operation in operations:
        *places, last = operation["path"].split("/")[1:]
        inner = deployment
        for place in places:
            inner = inner[int(place) if isinstance(inner, list) else place]
        assert last in inner
        inner[last] = operation["value"]
    kubernetes_validate.validate(deployment, OLDEST, strict=True)
    changed = yaml.safe_dump(deployment)
    assert "/v1/models/digits" not in changed


def test_paths_that_kubernetes_and_prometheus_ask_are_answered(container, pod, plain_server):
    """By the embedded server, with a model of the name that is in the path."""

    def get(path):
        address = f"http://{plain_server.host}:{plain_server.rest_port}{path}"
        with urllib.request.urlopen(address) as answer:
            return answer.status, answer.read()

    probed = container["readinessProbe"]["httpGet"]["path"].replace("digits", "plain")
    status, body = get(probed)
    assert status == 200
    assert b'"AVAILABLE"' in body
    status, body = get(pod["metadata"]["annotations"]["prometheus.io/path"])
    assert status == 200
    assert b"tensorflow" in body
