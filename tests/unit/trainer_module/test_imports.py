"""Every module can be the first to be imported: a cycle shows in one order, hides in others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import trainer_module

REPOSITORY = Path(trainer_module.__file__).resolve().parent.parent

# A child a module, which has TensorFlow already and nothing of ours but the package itself.
CHILD = """
import importlib, os, pkgutil, sys, traceback
import trainer_module
import tensorflow, tf_keras, tensorflow_transform
names = [m.name for m in pkgutil.walk_packages(trainer_module.__path__, "trainer_module.")]
failed = []
for name in names:
    if name.rpartition(".")[2] in ("__main__", "run_fn"):
        continue
    for loaded in list(sys.modules):
        if loaded.startswith("trainer_module."):
            del sys.modules[loaded]
    child = os.fork()
    if not child:
        try:
            importlib.import_module(name)
        except BaseException:
            traceback.print_exc(limit=-1)
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        failed.append(name)
print(len(names), *failed)
"""


def test_module_when_it_is_the_first_to_be_imported_then_can_be():
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    count, *failed = done.stdout.split()
    assert int(count) > 50
    assert failed == [], done.stderr[-3000:]
