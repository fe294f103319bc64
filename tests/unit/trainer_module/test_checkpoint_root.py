"""Which executions trained with the checkpoints of a folder."""

from trainer_module.checkpoint_root import Use, note_use, used_by


def test_note_use_when_an_execution_trains_again_then_it_is_noted_once(tmp_path):
    folder = tmp_path / "digits-1"
    assert used_by(folder) == []
    for number in ("8", "20", "8"):
        note_use(folder, Use(number, "night-1"))
    assert used_by(folder) == [Use("8", "night-1"), Use("20", "night-1")]


def test_note_use_when_another_store_has_the_same_number_then_both_are_noted(tmp_path):
    note_use(tmp_path, Use("8", "night-1"))
    note_use(tmp_path, Use("8", "night-2"))
    assert [use.run_id for use in used_by(tmp_path)] == ["night-1", "night-2"]


def test_used_by_when_numbers_alone_were_noted_then_the_runs_are_unknown(tmp_path):
    (tmp_path / "used_by.txt").write_text("8\n20\n")
    assert used_by(tmp_path) == [Use("8", None), Use("20", None)]
    note_use(tmp_path, Use("21"))
    assert used_by(tmp_path)[-1] == Use("21", None)
