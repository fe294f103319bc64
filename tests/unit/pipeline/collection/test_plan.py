"""What a collection frees, and what keeps the rest: each need on its own."""

import json
import os
import shutil
import time

import pytest

from components.artifact_types import GATE_VERDICT
from pipeline.collection.books import read_books
from pipeline.collection.folders import is_inside
from pipeline.collection.missing import forget_missing_outputs
from pipeline.collection.plan import ARTIFACT, CHECKPOINTS, INPUT, LEFTOVERS, RUN
from tests.unit.pipeline.collection.conftest import write


def freed(plan, *kinds):
    return {folder.path for folder in plan.freed if folder.kind in (kinds or (folder.kind,))}


def whys(plan, path):
    (found,) = [folder for folder in plan.kept if folder.path == path]
    return list(found.why)


def test_plan_when_there_were_fewer_runs_than_are_kept_then_frees_nothing(site):
    site.run("1", span=1)
    site.run("2", span=2)
    assert site.plan(keep_runs=3).freed == []


def test_plan_when_a_run_is_old_and_nothing_needs_it_then_frees_all_that_it_made(site):
    old = site.run("1", span=1, blessed=False, status="not_blessed")
    site.run("2", span=2)
    site.run("3", span=3)
    plan = site.plan()
    uris = {site.uri(number) for number in old.values()}
    assert len(uris) == 10 and uris <= freed(plan, ARTIFACT)
    assert freed(plan, RUN) == {site.root / "runs" / "1"}
    assert plan.bytes >= 10 * 999, "each holds a file"


def test_plan_when_a_version_can_be_rolled_back_to_then_keeps_all_that_explains_it(site):
    served = site.run("1", span=1, version=100)
    for number in range(2, 6):
        site.run(str(number), span=number, version=None)
    plan = site.plan()
    for kind, number in served.items():
        assert whys(plan, site.uri(number)) == ["version 100"], kind
    assert whys(plan, site.root / "runs" / "1") == ["version 100"], "its configuration and log"
    shutil.rmtree(site.config.model_folder / "100")
    gone = site.plan()
    assert {site.uri(number) for number in served.values()} <= freed(gone, ARTIFACT)


def test_plan_when_a_version_began_with_another_model_then_does_not_keep_that_for_it(site):
    """Each night begins with the model of the night before: the chain has no end."""
    models = [None]
    for night in range(1, 7):
        made = site.run(str(night), span=night, base=models[-1], baseline=models[-1])
        models.append(made["Model"])
    site.run("7", span=7, base=models[-1], baseline=models[-1], version=100)
    plan = site.plan()
    gone = [site.uri(number) in freed(plan) for number in models[1:]]
    assert gone == [True] * 5 + [False], "the last one is the baseline"


def test_plan_when_models_were_blessed_then_keeps_the_last_and_its_baseline(site):
    first = site.run("1", span=1, seed=1)
    second = site.run("2", span=2, seed=2)
    third = site.run("3", span=3, seed=3)
    site.run("4", span=4, seed=4, blessed=False, status="not_blessed")
    plan = site.plan()
    assert site.uri(first["Model"]) in freed(plan)
    baseline = "the baseline of the last blessed model"
    assert whys(plan, site.uri(second["Model"])) == [baseline]
    assert whys(plan, site.uri(second["ModelBlessing"])) == [baseline]
    assert "the last blessed model" in whys(plan, site.uri(third["Model"]))


def test_plan_when_data_were_accepted_then_keeps_what_the_next_are_compared_with(site):
    accepted = site.run("1", span=7, blessed=False, status="not_blessed")
    late = site.run("2", span=3, blessed=False, status="not_blessed")
    older = site.run("3", span=2, until="AnomalyGate", status="anomalies", asked="a")
    site.run("4", span=1, until="SchemaGen", status="failed", asked="b")
    (site.root / "runs" / "3" / "config.yaml").unlink()
    shutil.rmtree(site.root / "runs" / "3")
    plan = site.plan()
    why = ["the last accepted data"]
    for made in (accepted, late):
        for kind in ("ExampleStatistics", "Schema", GATE_VERDICT):
            assert whys(plan, site.uri(made[kind])) == why, kind
    assert site.uri(accepted["Model"]) in freed(plan)
    assert site.uri(older["ExampleStatistics"]) in freed(plan), "stopped by the gate"


def test_plan_when_a_run_can_be_resumed_then_keeps_what_it_made_and_its_checkpoints(site):
    stopped = site.run("1", span=1, until="Trainer", status="stopped", asked="seed: 1")
    checkpoints = site.checkpoints("digits-1", site.trainer("1"))
    site.run("2", span=2, asked="seed: 2")
    site.run("3", span=3, asked="seed: 3")
    plan = site.plan()
    why = ["run 1, which can be resumed"]
    assert whys(plan, site.uri(stopped["Examples"])) == why
    assert whys(plan, checkpoints) == why
    assert whys(plan, site.root / "runs" / "1")[0] == why[0]


@pytest.mark.parametrize("given_up", ["run again", "folder removed"])
def test_plan_when_a_run_that_stopped_is_given_up_then_frees_what_it_made(site, given_up):
    stopped = site.run("1", span=1, until="Trainer", status="stopped", asked="seed: 1")
    checkpoints = site.checkpoints("digits-1", site.trainer("1"))
    site.run("2", span=2, asked="seed: 1" if given_up == "run again" else "seed: 2")
    site.run("3", span=3, asked="seed: 3")
    if given_up == "folder removed":
        shutil.rmtree(site.root / "runs" / "1")
    assert {site.uri(stopped["Examples"]), checkpoints} <= freed(site.plan())


def test_plan_when_the_newest_run_took_its_outputs_from_the_cache_then_keeps_these(site):
    old = site.run("1", span=1, blessed=False, status="not_blessed")
    checkpoints = site.checkpoints("digits-1", site.trainer("1"))
    site.run("2", span=2)
    site.run("3", span=3)
    site.run("4", span=1, blessed=False, status="not_blessed")
    plan = site.plan()
    why = "run 4, of the newest 1"
    for kind, number in old.items():
        assert why in whys(plan, site.uri(number)), kind
    assert whys(plan, checkpoints) == [why]


def test_plan_when_a_run_only_took_what_is_needed_from_the_cache_then_frees_its_folder(site):
    """Every night on the same data would be kept else, as long as one of them is."""
    for seed in range(1, 5):
        site.run(str(seed), seed=seed)
    plan = site.plan()
    runs = site.root / "runs"
    assert freed(plan, RUN) == {runs / "2"}
    assert "run 4, of the newest 1" in whys(plan, runs / "1"), "it made the data"


def test_plan_when_checkpoints_are_of_an_old_run_then_frees_them_and_old_inputs(site):
    site.run("1", span=1, blessed=False, status="not_blessed")
    old = site.checkpoints("digits-1", site.trainer("1"))
    cached = write(site.root / "checkpoints" / "input" / "a.json")
    nameless = site.checkpoints("digits-0")
    for path in (cached, *nameless.rglob("*"), nameless):
        os.utime(path, (1, 1))
    site.run("2", span=2)
    new = site.checkpoints("digits-2", site.trainer("2"))
    plan = site.plan()
    assert freed(plan, CHECKPOINTS) == {old, nameless}
    assert freed(plan, INPUT) == {cached}
    assert whys(plan, new) == ["run 2, of the newest 1"]


def test_plan_when_executions_failed_then_frees_what_they_left_but_not_of_the_newest_run(site):
    for run in ("1", "2"):
        site.run(run, span=int(run), until="Trainer", status="failed", asked="same")
        write(site.root / "artifacts/Trainer/model" / str(site.trainer(run)) / "half")
    site.run("3", span=3, until="Trainer", status="failed", asked="other")
    shutil.rmtree(site.root / "runs" / "1")
    system = write(site.root / "artifacts/Trainer/.system/executor_execution/7/x").parents[2]
    foreign = write(site.root / "artifacts/Trainer/model/999/half").parent
    half = [site.root / "artifacts/Trainer/model" / str(site.trainer(run)) for run in ("1", "2")]
    plan = site.plan()
    assert freed(plan, LEFTOVERS) == {half[0], system}
    assert whys(plan, half[1]) == ["run 2, which can be resumed"]
    assert foreign not in freed(plan), "the metadata do not know whose it is"


def test_plan_when_something_is_newer_than_asked_then_keeps_it(site):
    old = site.run("1", span=1, blessed=False, status="not_blessed")
    site.run("2", span=2)
    past = time.time() - 20 * 24 * 3600
    for path in [site.uri(old["Model"]), *site.uri(old["Model"]).rglob("*")]:
        os.utime(path, (past, past))
    plan = site.plan(older_than=14 * 24 * 3600)
    assert freed(plan) == {site.uri(old["Model"])}
    assert whys(plan, site.uri(old["Examples"])) == ["newer than --older-than"]


def test_plan_when_files_have_several_names_then_counts_each_once_and_only_if_all_go(site):
    old = site.run("1", span=1, blessed=False, status="not_blessed")
    kept = site.run("2", span=2)
    before = site.plan().bytes
    os.link(site.uri(old["Model"]) / "data", site.uri(old["ModelRun"]) / "same")
    assert site.plan().bytes == before
    os.link(site.uri(old["Model"]) / "data", site.uri(kept["Model"]) / "same")
    assert site.plan().bytes == before - 1000


def test_plan_when_an_artifact_lies_outside_or_behind_a_link_then_is_not_touched(site, tmp_path):
    made = site.run("1", span=1, blessed=False, status="not_blessed")
    site.run("2", span=2)
    elsewhere = tmp_path / "elsewhere"
    place = site.uri(made["Model"])
    shutil.move(place, elsewhere)
    place.symlink_to(elsewhere)
    (artifact,) = site.store.get_artifacts_by_id([made["Examples"]])
    artifact.uri = str(tmp_path / "elsewhere")
    site.store.put_artifacts([artifact])
    touched = freed(site.plan())
    assert place not in touched and elsewhere not in touched
    assert site.uri(made["ModelRun"]) in touched


@pytest.mark.parametrize("path", ["", ".", "..", "../other", "a/../../other"])
def test_is_inside_when_a_path_leads_out_then_is_not(tmp_path, path):
    (tmp_path / "root").mkdir()
    assert not is_inside(tmp_path / "root", tmp_path / "root" / path)


def test_plan_when_a_run_can_be_resumed_then_keeps_what_its_resolvers_found(site):
    """They are not asked again: what it began with must still be there."""
    found = site.run("0", span=50)
    site.run("1", span=1, until="Transform", status="failed", asked="seed: 1")
    site.look_up("1", "WarmStart", found["Model"])
    for number in range(2, 7):
        site.run(str(number), span=number, asked="seed: 2")
    assert whys(site.plan(), site.uri(found["Model"])) == ["run 1, which can be resumed"]
    (site.root / "runs" / "1" / "summary.json").write_text(json.dumps({"status": "pushed"}))
    assert site.uri(found["Model"]) in freed(site.plan()), "no run needs what it looked up"


@pytest.mark.parametrize("lacking", ["config.yaml", "run.json"])
def test_plan_when_a_run_was_killed_before_it_had_begun_then_frees_its_folder(site, lacking):
    """`tapeline resume` refuses it."""
    site.run("1", span=1, until="ExampleGen", status=None, asked="seed: 1")
    site.run("2", span=2, asked="seed: 2")
    folder = site.root / "runs" / "1"
    assert whys(site.plan(), folder) == ["run 1, which can be resumed"]
    (folder / lacking).unlink()
    assert folder in freed(site.plan(), RUN)


def test_plan_when_a_part_of_an_artifact_is_gone_then_frees_the_rest_unless_it_is_needed(site):
    explains = site.run("1", span=1, version=100)
    old = site.run("2", span=2, blessed=False, status="not_blessed")
    site.run("3", span=3)
    for made in (explains, old):
        shutil.rmtree(site.uri(made["Examples"]) / "Split-eval")
    for _ in range(2):
        plan = site.plan()
        assert whys(plan, site.uri(explains["Examples"]))[0] == "version 100"
        assert site.uri(old["Examples"]) in freed(plan)
        assert len(forget_missing_outputs(site.store, "digits")) in (0, 2)


def test_plan_when_the_last_blessed_model_is_gone_then_keeps_the_one_that_a_run_is_given(site):
    """Whether the metadata know of it by now or not."""
    first, second = (site.run(str(number), span=number) for number in (1, 2))
    third = site.run("3", span=3)
    site.run("4", span=4, blessed=False, status="not_blessed")
    shutil.rmtree(site.uri(third["Model"]))
    for _ in range(2):
        plan = site.plan()
        assert whys(plan, site.uri(second["Model"])) == ["the last blessed model"]
        assert "baseline" in whys(plan, site.uri(first["Model"]))[0]
        forget_missing_outputs(site.store, "digits")


def test_plan_when_the_metadata_are_new_then_frees_nothing_of_the_old_ones(site):
    """Numbers begin anew: what has one of theirs is not theirs."""
    site.run("1", span=1)
    old = site.run("2", span=2, version=100)
    number = site.trainer("2")
    new = site.lose_books()
    new.run("3", span=9)
    new.run("4", span=9)
    assert number in read_books(new.store, "digits").executions, "it was cached, and wrote nothing"
    assert not {site.uri(artifact) for artifact in old.values()} & freed(new.plan())


def test_plan_when_the_metadata_are_new_then_keeps_the_model_of_a_version_they_do_not_know(site):
    site.run("1", span=1)
    served = site.run("2", span=2, version=100)
    number, new = site.trainer("2"), site.lose_books()
    new.run("3", span=9)
    while True:
        new.run("4", span=8, seed=len(list(new.store.get_executions())), until="Trainer")
        if max(execution.id for execution in new.store.get_executions()) >= number:
            break
    known = read_books(new.store, "digits").executions[number]
    assert (known.node, known.is_finished) == ("Trainer", False)
    shutil.rmtree(site.root / "runs" / "4")
    new.run("5", span=7)
    assert whys(new.plan(), site.uri(served["Model"])) == ["version 100"]
    shutil.rmtree(site.config.model_folder / "100")
    assert site.uri(served["Model"]) in freed(new.plan(), LEFTOVERS), "for all that is known"


def test_plan_when_a_needed_artifact_lies_in_another_ones_folder_then_keeps_both(site):
    inner = site.run("1", span=1, version=100)
    old = site.run("2", span=2, blessed=False, status="not_blessed")
    site.run("3", span=3)
    place = site.uri(old["Model"])
    assert place in freed(site.plan())
    (artifact,) = site.store.get_artifacts_by_id([inner["Model"]])
    artifact.uri = str(write(place / "0" / "data").parent)
    site.store.put_artifacts([artifact])
    assert whys(site.plan(), place) == ["what lies in it"]


def test_plan_when_a_needed_artifact_is_a_link_to_another_one_then_keeps_that(site):
    needed = site.run("1", span=1, version=100)
    old = site.run("2", span=2, blessed=False, status="not_blessed")
    site.run("3", span=3)
    shutil.rmtree(site.uri(needed["Model"]))
    site.uri(needed["Model"]).symlink_to(site.uri(old["Model"]))
    assert whys(site.plan(), site.uri(old["Model"]))[0] == "version 100"


def test_plan_when_checkpoints_name_a_run_then_are_kept_for_it_whatever_the_numbers_say(site):
    """The metadata are new, and another execution has the number."""
    site.run("1", span=1, until="Evaluator", status="failed", asked="seed: 1")
    site.run("2", span=2, status="pushed", asked="seed: 2")
    resumable = site.checkpoints("digits-1", site.trainer("1"))
    finished = site.checkpoints("digits-2", site.trainer("2"))
    new = site.lose_books()
    for number in range(3, 7):
        new.run(str(number), span=number, asked="seed: 3")
    plan = new.plan()
    assert whys(plan, resumable) == ["run 1, which can be resumed"]
    assert finished in freed(plan)


def test_plan_when_checkpoints_name_a_number_alone_then_also_keeps_what_changed_lately(site):
    site.run("1", span=1, blessed=False, status="not_blessed")
    site.run("2", span=2, until="Trainer", status="failed", asked="seed: 2")
    site.run("3", span=3)
    folder = site.checkpoints("digits-1")
    (folder / "used_by.txt").write_text(f"{site.trainer('1')}\n")
    why = "changed since the oldest run that is kept began"
    assert whys(site.plan(), folder) == [why], "it may be of run 2, in other metadata"
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (1, 1))
    assert folder in freed(site.plan())
    (folder / "used_by.txt").write_text(f"{site.trainer('3')}\n")
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (1, 1))
    assert whys(site.plan(), folder) == ["run 3, of the newest 1"]
