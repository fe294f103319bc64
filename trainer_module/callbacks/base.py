"""The hooks of the loop, and what it shows to those who watch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from trainer_module.config import TrainConfig
from trainer_module.data import Arrays, Augment, Call, Plan, Share, Split
from trainer_module.state import TrainState
from trainer_module.tasks.base import Task

Values = Mapping[str, float]


@dataclass
class Training:
    """A training as its callbacks see it.

    Attributes:
        feature_spec: of the transformed features, for the model's inputs.
        folder: of the training's checkpoints and logs.
        is_chief: whether this process is the one that writes.
        resumed_from: step of the checkpoint it goes on from; 0 for a new training.
        augment: random change of the training batches.
        names: of all values that an evaluation returns.
        stopped: why it ends before its last step, once it does.
    """

    task: Task
    config: TrainConfig
    state: TrainState
    train_split: Split
    eval_split: Split
    feature_spec: Mapping[str, Any]
    folder: str
    is_chief: bool
    total_steps: int
    steps_per_epoch: int
    resumed_from: int = 0
    augment: Augment | None = None
    names: tuple[str, ...] = ()
    stopped: str | None = None

    def read_batch(self, step: int) -> Arrays:
        """Returns the global batch of a step, [batch_size, *shape] a feature, as it sees it."""
        config = self.config
        plan = Plan([Call(step, 1)], 1, config.batch_size, config.seed, self.augment)
        batch = next(iter(self.train_split.training(plan, Share())))
        return {name: values[0].numpy() for name, values in batch.items()}

    def stop(self, reason: str) -> None:
        """Ends the training after this call or epoch: it is evaluated, and the best exported."""
        self.stopped = self.stopped or reason


class Callback:
    """The hooks of the loop; a subclass implements those that it needs.

    Under a cluster every worker has callbacks of its own, which see the same values.

    Attributes:
        chief_only: for what writes: made, and called, in the chief alone.
    """

    chief_only: ClassVar[bool] = False

    def on_train_begin(self, training: Training) -> None:
        """Before the first call, after the checkpoint is restored.

        Raises:
            ValueError: if what it is configured with is not there, before any work is done.
        """

    def on_call_end(self, step: int, values: Values) -> None:
        """After each call: means over the steps of that call."""

    def on_epoch_end(self, epoch: int, step: int, train: Values, evaluation: Values) -> None:
        """After each evaluation; `epoch` counts from 1, `train` holds means over its steps."""

    def on_train_end(self, step: int) -> None:
        """After the last step, and when the training is interrupted or fails."""

    def state(self) -> dict[str, Any]:
        """Returns what a checkpoint should remember, as JSON values."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state` returned, before `on_train_begin`."""
