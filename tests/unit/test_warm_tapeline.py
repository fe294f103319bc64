"""Commands that are forked are processes as a shell would start them."""

from __future__ import annotations


def test_warm_command_when_it_runs_then_says_and_ends_as_a_cold_one(
    warm_tapeline, cold_tapeline, tmp_path
):
    for arguments in (["--version"], ["runs"], ["run", "no.yaml"], ["predict", "--help"]):
        assert warm_tapeline(*arguments, cwd=tmp_path) == cold_tapeline(*arguments, cwd=tmp_path)


def test_warm_command_when_given_folder_environment_and_code_then_has_those(
    warm_tapeline, tmp_path
):
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "__init__.py").write_text("")
    (tmp_path / "pipeline" / "cli.py").write_text(
        "import os, sys\nprint(os.getcwd(), os.environ['WORD'], sys.stdin.read(), sys.argv[1:])\n"
        "sys.exit(7)\n"
    )
    folder = tmp_path / "here"
    folder.mkdir()
    env = {"WORD": "ö", "PYTHONPATH": str(tmp_path)}
    done = warm_tapeline("a", "b c", cwd=folder, stdin="asked", env=env)
    assert (done.code, done.stderr) == (7, "")
    assert done.stdout == f"{folder} ö asked ['a', 'b c']\n"
