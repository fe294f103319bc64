"""The pipeline's image, as far as reading its Dockerfile can tell: nothing here builds it."""

from __future__ import annotations

import fnmatch
import importlib.metadata
import importlib.util
import json
import re
import shlex
import subprocess

import pytest

Lines = list[tuple[str, str]]


@pytest.fixture(scope="module")
def instructions(repository) -> Lines:
    """The instructions, each with what follows it."""
    folder = repository / "pipeline" / "runners" / "kubeflow" / "images"
    text = (folder / "pipeline.Dockerfile").read_text()
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    lines = [line.split(None, 1) for line in text.splitlines() if line.strip()]
    return [(word, " ".join(rest.split())) for word, rest in lines]


@pytest.fixture(scope="module")
def last_stage(instructions) -> Lines:
    start = max(i for i, (word, _) in enumerate(instructions) if word == "FROM")
    return instructions[start:]


def test_image_when_built_then_every_source_is_there_and_not_ignored(instructions, repository):
    ignored = (repository / ".dockerignore").read_text().splitlines()
    kept = [line[1:] for line in ignored if line.startswith("!")]
    assert "*" in ignored
    copied = [rest for word, rest in instructions if word == "COPY" and "--from" not in rest]
    assert copied
    for rest in copied:
        for source in rest.split()[:-1]:
            assert (repository / source).exists(), source
            assert source.split("/")[0] in kept, source


def test_dockerignore_when_other_images_are_built_then_leaves_what_they_copy(repository):
    ignored = (repository / ".dockerignore").read_text().splitlines()
    kept = [line[1:] for line in ignored if line.startswith("!")]
    for file in repository.glob("pipeline/**/*.Dockerfile"):
        for source in re.findall(r"^COPY (?!--from)(.*) \S+$", file.read_text(), re.MULTILINE):
            for one in source.split():
                assert any(fnmatch.fnmatch(one.split("/")[0], name) for name in kept), one


def test_image_when_built_then_bases_are_of_one_release_and_can_be_pinned(instructions, repository):
    first = [word for word, _ in instructions].index("FROM")
    arguments = dict(rest.split("=") for word, rest in instructions[:first] if word == "ARG")
    named = [rest.split()[0] for word, rest in instructions if word == "FROM"]
    assert [name.removeprefix("$") for name in named] == list(arguments)
    page = (repository / "docs" / "kubeflow.md").read_text()
    assert all(name in page for name in arguments)
    bases = list(arguments.values())
    versions = [re.fullmatch(r"python:(3\.10\.\d+)-(?:slim-)?(\w+)", base) for base in bases]
    assert all(versions), bases
    assert len({found.groups() for found in versions if found}) == 1
    assert "-slim-" in bases[-1]


def test_image_when_built_then_packages_come_from_hashed_locks(instructions, repository):
    installs = [rest for word, rest in instructions if word == "RUN" and "pip install" in rest]
    assert installs
    for rest in installs:
        for command in re.findall(r"\S*pip install [^&]*", rest):
            assert "--no-cache-dir" in command
            assert "--no-deps" in command
            assert "--require-hashes" in command or command.strip().endswith("/build/tapeline")
    for name in ("tfx-1.16", "tensorflow-cpu"):
        lines = (repository / "requirements" / f"{name}.txt").read_text().splitlines()
        pinned = [line for line in lines if line and not line.startswith((" ", "#"))]
        assert pinned
        assert all("==" in line and line.endswith("\\") for line in pinned)


def test_image_when_built_for_cpus_then_tensorflow_is_the_same_release(repository):
    """The Dockerfile takes the lock's tensorflow out, and puts this one in."""
    found = {}
    for name in ("tfx-1.16", "tensorflow-cpu"):
        text = (repository / "requirements" / f"{name}.txt").read_text()
        found |= dict(re.findall(r"^(tensorflow(?:-cpu)?)==(\S+)", text, re.MULTILINE))
    assert found["tensorflow"] == found["tensorflow-cpu"]


def test_image_when_built_for_cpus_then_lock_lacks_tensorflow_alone(instructions, repository):
    """Runs the Dockerfile's own awk on the lock."""
    (awk,) = [found for _, rest in instructions for found in re.findall(r"awk '[^']*'", rest)]
    lock = repository / "requirements" / "tfx-1.16.txt"
    text = subprocess.check_output(["sh", "-c", f"{awk} {shlex.quote(str(lock))}"], text=True)

    def names(content: str) -> set[str]:
        return set(re.findall(r"^([a-z0-9.-]+)==", content, re.MULTILINE | re.IGNORECASE))

    assert names(lock.read_text()) - names(text) == {"tensorflow"}


def test_image_when_built_for_cpus_then_version_of_tensorflow_is_found(instructions, tmp_path):
    """Runs the Dockerfile's own loop: parts of TFX, and our cache keys, ask for this version."""
    loops = [found for _, rest in instructions for found in re.findall(r"for cpu in .*?done", rest)]
    (loop,) = loops
    written = tmp_path / "tensorflow_cpu-2.16.2.dist-info"
    written.mkdir()
    told = "Metadata-Version: 2.1\nName: tensorflow-cpu\nVersion: 2.16.2\n"
    (written / "METADATA").write_text(told)
    subprocess.run(["sh", "-ec", loop], cwd=tmp_path, check=True)
    (found,) = importlib.metadata.distributions(name="tensorflow", path=[str(tmp_path)])
    assert (found.metadata["Name"], found.version) == ("tensorflow", "2.16.2")


def test_image_when_run_then_not_as_root_and_without_what_builds(last_stage):
    words = [word for word, _ in last_stage]
    assert "RUN" not in words
    (user,) = [rest for word, rest in last_stage if word == "USER"]
    # By number: Kubernetes refuses runAsNonRoot for a name.
    assert all(int(part) > 0 for part in user.split(":"))
    assert words.index("USER") < words.index("ENTRYPOINT")
    copies = [rest for word, rest in last_stage if word == "COPY"]
    assert copies == ["--from=build /opt/tapeline /opt/tapeline"]
    (environment,) = [rest for word, rest in last_stage if word == "ENV"]
    assert "TF_USE_LEGACY_KERAS=1" in shlex.split(environment)


def test_image_when_run_then_entrypoint_is_that_of_compiled_pipelines(last_stage):
    (entrypoint,) = [json.loads(rest) for word, rest in last_stage if word == "ENTRYPOINT"]
    assert entrypoint[:2] == ["python", "-m"]
    assert entrypoint[2] == "pipeline.runners.kubeflow.entrypoint"
    assert importlib.util.find_spec(entrypoint[2]) is not None
