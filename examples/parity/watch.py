import json
from pathlib import Path

from trainer_module.callbacks import Callback


class HardestEpoch(Callback):
    """Keeps the epoch that the evaluation came out worst of."""

    chief_only = True  # it writes: under a cluster, in one process

    def __init__(self):
        self._worst = {"loss": 0.0}

    def on_train_begin(self, training):
        self._path = Path(training.folder, "hardest.json")

    def on_epoch_end(self, epoch, step, train, evaluation):
        if evaluation["loss"] > self._worst["loss"]:
            self._worst = {"epoch": epoch, "loss": evaluation["loss"]}
            self._path.write_text(json.dumps(self._worst))

    def state(self):  # goes into the checkpoint, so that a resumed training knows it
        return self._worst

    def restore(self, state):
        self._worst = dict(state)
