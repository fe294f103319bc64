"""What TFX's components bring along is left out, until somebody asks for it."""

import json
import subprocess
import sys

import pytest

_PROGRAM = """
import json, sys
import pipeline.compiler
said = {"unused": [n for n in ("kubernetes", "keras_tuner", "keras") if n in sys.modules]}
import tfx.components
try:
    tfx.components.NoSuchThing
except AttributeError as error:
    said["missing"] = str(error)
from tfx.components.pusher.component import Pusher
from tfx.components import InfraValidator, Pusher as same
from tfx.components import *
said["names"] = [same is Pusher, Tuner is tfx.components.Tuner, InfraValidator.__name__]
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said(repository):
    """What a process says that builds a pipeline, and then asks TFX's package for names."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_pipeline_when_built_then_imports_nothing_that_none_uses(said):
    assert said["unused"] == []


def test_package_when_asked_for_its_names_then_has_what_tfx_gives_them(said):
    assert said["names"] == [True, True, "InfraValidator"]


def test_package_when_asked_for_what_it_lacks_then_says_so_as_any_module_does(said):
    assert said["missing"] == "module 'tfx.components' has no attribute 'NoSuchThing'"
