"""The file by which a cluster is found, and what is made of a bad one."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pipeline.beam.flink.cluster_file import (
    Cluster,
    NoCluster,
    Process,
    read_any_cluster,
    read_cluster,
    start_time,
)


def _cluster(*processes: Process) -> Cluster:
    return Cluster("localhost:8081", "localhost:8099", "127.0.0.1:50000", processes)


def test_cluster_when_its_launcher_lives_then_is_read_as_written(tmp_path):
    cluster = _cluster(Process("launcher", os.getpid(), start_time(os.getpid())))
    cluster.write(tmp_path / "new" / "cluster.json")
    assert read_cluster(tmp_path / "new" / "cluster.json") == cluster


def test_cluster_when_another_process_has_the_launchers_pid_then_has_ended(tmp_path):
    cluster = _cluster(Process("launcher", os.getpid(), start_time(os.getpid()) - 1))
    cluster.write(tmp_path / "cluster.json")
    with pytest.raises(NoCluster, match=f"launcher .pid {os.getpid()}. has ended"):
        read_cluster(tmp_path / "cluster.json")
    assert read_any_cluster(tmp_path / "cluster.json") == cluster


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "{}", '{"processes": [{"name": "x"}]}', '{"processes": 3}']
)
def test_file_when_it_is_no_clusters_then_is_named(text, tmp_path):
    (tmp_path / "cluster.json").write_text(text)
    with pytest.raises(NoCluster, match=r"cluster\.json, no file of a cluster"):
        read_cluster(tmp_path / "cluster.json")


def test_start_time_when_a_process_has_ended_then_is_none_though_nobody_has_asked_for_it_yet():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert start_time(process.pid) is not None
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # a zombie until it is waited for
    assert start_time(process.pid) is None
    process.communicate()
    assert start_time(process.pid) is None
