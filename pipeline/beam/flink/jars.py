"""Fetches the jars of the cluster with Maven, once."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

POM = Path(__file__).resolve().parent / "pom.xml"

_JAVA = 17


class MissingTool(RuntimeError):
    """Java or Maven is not here, or does not do; the message says what to install."""


def find_java() -> str:
    """Returns the path of Java.

    Raises:
        MissingTool: if there is none, or another than Java 17.
    """
    install = f"install Java {_JAVA}, for example `apt-get install openjdk-{_JAVA}-jre-headless`"
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    if java is None:
        raise MissingTool(f"java: found none {'in JAVA_HOME' if home else 'on PATH'}; {install}")
    done = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    match = re.search(r'version "(\d+)', done.stderr)
    if match is None or int(match.group(1)) != _JAVA:
        found = (done.stderr.splitlines() or ["nothing"])[0]
        raise MissingTool(f"java: found {java}, which says {found}; {install}, or set JAVA_HOME")
    return java


def fetch_jars(folder: Path, say: Callable[[str], None] = print) -> Path:
    """Returns a folder under `folder` with the jars of the pom.xml, fetched if it is not there.

    Raises:
        MissingTool: if there is no Maven.
        subprocess.CalledProcessError: if Maven fails; it has said why.
    """
    jars = folder / f"jars-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"
    if jars.is_dir():
        return jars
    maven = shutil.which("mvn")
    if maven is None:
        raise MissingTool("mvn: found none on PATH; install Maven, for example "
                          "`apt-get install maven`: it fetches the jars")  # fmt: skip
    say("fetching Flink's and Beam's jars with Maven, 160 MB, once")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as partial:
        subprocess.run(
            [
                *(maven, "--batch-mode", "--quiet", "-Dstyle.color=never", "--file", str(POM)),
                *("dependency:copy-dependencies", f"-DoutputDirectory={partial}/jars"),
            ],
            check=True,
        )
        os.rename(f"{partial}/jars", jars)
    return jars
