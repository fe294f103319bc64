"""Which changes of the code a cache notices."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from pipeline import source_hash as source_hash_module
from pipeline.source_hash import source_hash

# OWN and OTHER are two packages of a project; names that no other test has imported before.
TREE = {
    "OWN/__init__.py": '"""The package."""\nimport OWN.eager\n',
    "OWN/eager.py": "value = 1\n",
    "OWN/main.py": (
        '"""The module."""\n'
        "import json\n"
        "from . import relative\n"
        "from OWN.absolute import value\n"
        "def run(x):\n"
        '    """Runs."""\n'
        "    from OWN import local\n"
        "    return relative, value, local, json\n"
        "class Thing:\n"
        '    """A thing."""\n'
        "    size = 1\n"
    ),
    "OWN/relative.py": "from .sub.deep import value\n",
    "OWN/absolute.py": "import OTHER.far\nvalue = 1\n",
    "OWN/local.py": "value = 1\n",
    "OWN/unrelated.py": "value = 1\n",
    "OWN/sub/__init__.py": "",
    "OWN/sub/deep.py": "from ..up import value\n",
    "OWN/up.py": "value = 1\ndef again():\n    import OWN.main\n",  # and round
    "OTHER/__init__.py": "from OTHER.inner import thing\n",
    "OTHER/far.py": "value = 1\n",
    "OTHER/inner.py": "thing = 1\n",
}


class Project:
    """A tree of modules whose text can be changed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._names = {name: f"{name.lower()}_{uuid.uuid4().hex}" for name in ("OWN", "OTHER")}
        for path, text in TREE.items():
            self.write(path, text)

    def _named(self, text: str) -> str:
        for name, unique in self._names.items():
            text = text.replace(name, unique)
        return text

    def write(self, path: str, text: str) -> None:
        file = self._root / self._named(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self._named(text))
        importlib.invalidate_caches()

    def replace(self, path: str, old: str, new: str) -> None:
        text = (self._root / self._named(path)).read_text()
        assert self._named(old) in text
        self.write(path, text.replace(self._named(old), new))

    def hash(self, *modules: str) -> str:
        return source_hash(*map(self._named, modules))


@pytest.fixture
def project(tmp_path, monkeypatch) -> Project:
    monkeypatch.syspath_prepend(str(tmp_path))
    return Project(tmp_path)


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        pytest.param(
            "OWN/main.py", "import json\n", "import json  # why\n# and more\n", id="comment"
        ),
        pytest.param(
            "OWN/main.py", '"""The module."""', '"""Other words."""', id="module docstring"
        ),
        pytest.param("OWN/main.py", '"""The module."""\n', "", id="no module docstring"),
        pytest.param("OWN/main.py", '"""Runs."""', '"""Walks."""', id="function docstring"),
        pytest.param("OWN/main.py", '"""A thing."""', "'''Some thing.'''", id="class docstring"),
        pytest.param("OWN/main.py", "def run(x):", "\n\ndef run(\n    x\n):", id="layout"),
        pytest.param("OWN/sub/deep.py", "import value", "import (value)", id="layout of an import"),
        pytest.param("OWN/__init__.py", "The package.", "A package.", id="package docstring"),
        pytest.param("OWN/unrelated.py", "1", "2", id="unrelated module"),
        pytest.param(
            *("OWN/eager.py", "1", "2"),
            id="what a package's __init__ imports",
        ),
    ],
)
def test_hash_when_the_change_computes_nothing_else_then_stays(path, old, new, project) -> None:
    before = project.hash("OWN.main")
    project.replace(path, old, new)
    assert project.hash("OWN.main") == before


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        pytest.param("OWN/main.py", "size = 1", "size = 2", id="the module"),
        pytest.param("OWN/main.py", "run(x)", "run(y)", id="a name"),
        pytest.param("OWN/relative.py", "value\n", "value\nmore = 1\n", id="relative import"),
        pytest.param("OWN/absolute.py", "value = 1", "value = 2", id="absolute import"),
        pytest.param("OWN/local.py", "1", "2", id="import inside a function"),
        pytest.param("OWN/sub/deep.py", "value\n", "value\nmore = 1\n", id="relative, transitive"),
        pytest.param("OWN/up.py", "1", "2", id="relative import from the parent package"),
        pytest.param("OTHER/far.py", "1", "2", id="another package of the project"),
        pytest.param("OWN/__init__.py", "import OWN.eager\n", "import json\n", id="its package"),
        pytest.param("OTHER/__init__.py", "thing\n", "thing as it\n", id="that one's __init__"),
    ],
)  # fmt: skip
def test_hash_when_code_that_it_depends_on_changes_then_changes(path, old, new, project) -> None:
    before = project.hash("OWN.main")
    project.replace(path, old, new)
    assert project.hash("OWN.main") != before


def test_hash_when_nothing_changes_then_stays(project) -> None:
    assert project.hash("OWN.main") == project.hash("OWN.main")


def test_hash_when_modules_come_in_another_order_then_stays(project) -> None:
    assert project.hash("OWN.local", "OWN.main") == project.hash("OWN.main", "OWN.local")


def test_hash_when_a_module_is_named_besides_then_covers_it(project) -> None:
    before = project.hash("OWN.main", "OWN.unrelated")
    project.replace("OWN/unrelated.py", "1", "2")
    assert project.hash("OWN.main", "OWN.unrelated") != before


def test_hash_when_a_module_re_exports_then_covers_where_it_comes_from(project) -> None:
    project.write("OWN/user.py", "from OTHER import thing\n")
    before = project.hash("OWN.user")
    project.replace("OTHER/inner.py", "1", "2")
    assert project.hash("OWN.user") != before


def test_hash_when_a_submodule_was_imported_first_then_still_covers_the_re_export(project) -> None:
    project.write("OWN/user.py", "from OTHER.far import value\nfrom OTHER import thing\n")
    before = project.hash("OWN.user")
    project.replace("OTHER/inner.py", "1", "2")
    assert project.hash("OWN.user") != before


def test_hash_when_a_library_s_module_changes_then_stays(project, tmp_path, monkeypatch) -> None:
    site_packages = tmp_path / "site-packages"
    site_packages.mkdir()
    monkeypatch.syspath_prepend(str(site_packages))
    # The environment's own folder is no place for a test to write.
    folders = (*source_hash_module._LIBRARY_FOLDERS, site_packages.resolve())
    monkeypatch.setattr(source_hash_module, "_LIBRARY_FOLDERS", folders)
    library = f"library_{uuid.uuid4().hex}"
    (site_packages / f"{library}.py").write_text("value = 1\n")
    project.write("OWN/user.py", f"import json\nimport numpy.linalg\nimport {library}\n")

    before, itself = project.hash("OWN.user"), source_hash(library)
    (site_packages / f"{library}.py").write_text("value = 2\n")

    assert project.hash("OWN.user") == before
    assert source_hash(library) != itself, "one that is named is the user's own, installed"


def test_hash_when_a_library_changes_its_version_then_changes(project, monkeypatch) -> None:
    before = project.hash("OWN.main")
    assert "tensorflow" in source_hash_module.library_versions()
    # Two versions of TensorFlow cannot be installed at once.
    monkeypatch.setattr(source_hash_module, "library_versions", lambda: {"tensorflow": "0"})
    assert project.hash("OWN.main") != before


def test_hash_when_taken_then_runs_no_module(project) -> None:
    project.write("OWN/optional.py", "raise ImportError('no GPU here')\n")
    project.write(
        "OWN/user.py",
        "try:\n    from OWN.optional import fast\nexcept ImportError:\n    fast = None\n",
    )
    assert project.hash("OWN.user")


def test_hash_when_only_type_checkers_read_an_import_then_it_does_not_count(project) -> None:
    guard = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import OWN.unrelated\n"
    project.write("OWN/user.py", guard)
    before = project.hash("OWN.user")
    project.replace("OWN/unrelated.py", "1", "2")
    assert project.hash("OWN.user") == before


@pytest.mark.parametrize(
    "guard",
    [
        "if TYPE_CHECKING:\n    pass\nelse:\n    import OWN.unrelated\n",
        "if not TYPE_CHECKING:\n    import OWN.unrelated\n",
    ],
)
def test_hash_when_type_checkers_do_not_read_an_import_then_it_counts(guard, project) -> None:
    project.write("OWN/user.py", "from typing import TYPE_CHECKING\n" + guard)
    before = project.hash("OWN.user")
    project.replace("OWN/unrelated.py", "1", "2")
    assert project.hash("OWN.user") != before


@pytest.mark.parametrize("module", ["no_such_package", "OWN.no_such_module"])
def test_hash_when_a_named_module_is_missing_then_raises(module, project) -> None:
    with pytest.raises(ModuleNotFoundError):
        project.hash(module)


TRANSFORM = ("trainer_module.preprocessing", "trainer_module.tasks.digits.features")
TRAINER = ("trainer_module.run_fn", "trainer_module.tasks.digits.task")
EXAMPLE_GEN = ("components.example_gen.executor",)

# Hashes the modules before and after a line is added to a file of the copy that it runs in.
CHANGE = """
import sys
from pathlib import Path
from pipeline.source_hash import source_hash

before = source_hash(*sys.argv[2:])
Path(sys.argv[1]).open("a").write("\\nadded = 1\\n")
print(source_hash(*sys.argv[2:]) != before, "tensorflow" in sys.modules)
"""


@pytest.mark.parametrize(
    ("modules", "path", "changes"),
    [
        (TRANSFORM, "trainer_module/preprocessing.py", True),
        (TRANSFORM, "trainer_module/tasks/digits/features.py", True),
        (TRANSFORM, "trainer_module/tasks/digits/model.py", False),
        (TRANSFORM, "trainer_module/tasks/digits/task.py", False),
        (TRANSFORM, "trainer_module/loop.py", False),
        (TRAINER, "trainer_module/loop.py", True),
        (TRAINER, "trainer_module/step.py", True),
        (TRAINER, "trainer_module/tasks/losses.py", True),
        (TRAINER, "trainer_module/tasks/digits/model.py", True),
        (TRAINER, "trainer_module/tasks/digits/features.py", True),
        (TRAINER, "trainer_module/tasks/breast_cancer/task.py", False),
        (EXAMPLE_GEN, "components/example_gen/sklearn_source.py", True),
        (EXAMPLE_GEN, "trainer_module/loop.py", False),
    ],
)
def test_hash_when_a_file_of_ours_changes_then_only_its_nodes_see_it(
    modules, path, changes, tmp_path, repository
) -> None:
    for package in ("trainer_module", "components"):
        shutil.copytree(repository / package, tmp_path / package)

    done = subprocess.run(
        [sys.executable, "-c", CHANGE, path, *modules],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.split() == [str(changes), "False"], done.stderr
