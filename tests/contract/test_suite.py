"""The suite itself: it depends on no server's code, and its README names tests that are there."""

import ast
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
MODULES = sorted(path.name for path in [*FOLDER.glob("*.py"), FOLDER.parent / "serving_process.py"])
OURS = {"serving", "pipeline", "components", "trainer_module"}


def imported(path):
    """Returns the top-level packages that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: a relative import"
            found.add((node.module or "").split(".")[0])
    return found


@pytest.mark.parametrize("module", MODULES)
def test_a_module_when_read_then_imports_nothing_of_ours(module):
    path = FOLDER / module if (FOLDER / module).exists() else FOLDER.parent / module
    assert not imported(path) & OURS


def test_the_server_when_named_then_only_in_the_conftest():
    naming = {
        path.name
        for path in FOLDER.glob("*.py")
        if re.search(r"\bserving\.server\b", path.read_text()) and path != Path(__file__)
    }
    assert naming == {"conftest.py"}


def test_the_readme_when_it_names_tests_then_they_are_there():
    rows = re.findall(r"^\| (.+?) \| (`test_.+?) \|$", (FOLDER / "README.md").read_text(), re.M)
    assert len(rows) > 30
    for contract, cell in rows:
        named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", cell)
        assert named, contract
        for module, test in named:
            assert f"def {test}(" in (FOLDER / module).read_text(), f"{contract}: {module} {test}"
