"""Which executions trained with the checkpoints of a folder."""

from trainer_module.checkpoint_root import note_use, used_by


def test_note_use_when_an_execution_trains_again_then_it_is_noted_once(tmp_path):
    folder = tmp_path / "digits-1"
    assert used_by(folder) == []
    for execution in ("8", "20", "8"):
        note_use(folder, execution)
    assert used_by(folder) == ["8", "20"]
