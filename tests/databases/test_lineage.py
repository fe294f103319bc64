"""What made a version is told of metadata on a server as it is of a file: by the same tests."""

from __future__ import annotations

import pytest

from tests.e2e.test_lineage import (  # noqa: F401
    test_events_of_a_run_tell_what_its_summary_does,
    test_lineage_by_configuration_is_the_same_as_lines,
    test_lineage_of_a_pushed_version_is_what_the_run_and_its_model_card_say,
    test_repeat_of_a_run_is_explained_as_cached,
)


@pytest.fixture(scope="module", params=["postgresql", "mysql"])
def backend(request, database_server):
    return database_server(request.param).new_backend()


@pytest.fixture(scope="module")
def workdir(backend, tmp_path_factory, repository):
    folder = tmp_path_factory.mktemp("lineage")
    (folder / "configs").mkdir()
    ready = (repository / "configs" / "digits.yaml").read_text()
    (folder / "configs" / "digits.yaml").write_text(ready + backend.yaml)
    return folder


@pytest.fixture(scope="module")
def tapeline(backend, warm_tapeline):
    """As in the other tests, with what the backend needs to log in."""

    def call(*arguments, cwd):
        return warm_tapeline(*arguments, cwd=cwd, env=backend.env)

    return call


@pytest.fixture(scope="module")
def digits_run(workdir, tapeline):
    done = tapeline("run", "configs/digits.yaml", "--json", cwd=workdir)
    assert done.code == 0, done
    return done


@pytest.fixture(scope="module")
def digits_again(digits_run, workdir, tapeline):
    return tapeline("run", "configs/digits.yaml", "--json", cwd=workdir)
