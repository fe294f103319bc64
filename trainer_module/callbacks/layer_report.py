"""How much each variable learns: its gradient, its weight, its update, epoch by epoch."""

from __future__ import annotations

from dataclasses import dataclass

from trainer_module.callbacks.base import Callback, Training, Values
from trainer_module.callbacks.table import STEP, Table
from trainer_module.objective import NORMS, is_norm
from trainer_module.progress import emit


@dataclass(frozen=True)
class Norms:
    """Norms of one variable, means over the steps of an epoch."""

    variable: str
    gradient: float
    weight: float
    update: float

    @property
    def ratio(self) -> float:
        """Update over weight: about 0.001 where training goes well, 0 where nothing is learned."""
        return self.update / self.weight if self.weight else 0.0


def without_norms(values: Values) -> dict[str, float]:
    """Returns a step's values but for the norms of each variable."""
    return {name: value for name, value in values.items() if not is_norm(name)}


def read_norms(values: Values) -> list[Norms]:
    """Returns the norms of each variable among a step's values."""
    names = [name.partition("/")[2] for name in values if name.startswith("weight/")]
    return [Norms(name, *(values[f"{kind}/{name}"] for kind in NORMS)) for name in names]


class LayerReport(Callback):
    """Writes the norms of each epoch to a table, and to the log.

    A variable that is updated by much more or much less of its weight than the others wants
    another learning rate; a gradient of 0 does not reach its layer.
    """

    chief_only = True

    def __init__(self, path: str) -> None:
        self._table = Table(path)

    def on_train_begin(self, training: Training) -> None:
        self._table.resume(training.resumed_from)

    def on_epoch_end(self, epoch: int, step: int, train: Values, evaluation: Values) -> None:
        norms = read_norms(train)
        self._table.add(
            [
                {
                    "epoch": epoch,
                    STEP: step,
                    "variable": found.variable,
                    "gradient_norm": found.gradient,
                    "weight_norm": found.weight,
                    "update_norm": found.update,
                    "update_ratio": found.ratio,
                }
                for found in norms
            ]
        )
        emit("layer_report", epoch=epoch, step=step, table=render(norms))


def render(norms: list[Norms]) -> str:
    """Returns a table for people, a line a variable."""
    width = max(len(found.variable) for found in norms)
    lines = [
        f"\n{'variable':<{width}} {'gradient':>10} {'weight':>10} {'update':>10} {'ratio':>10}"
    ]
    lines += [
        f"{found.variable:<{width}} {found.gradient:>10.3e} {found.weight:>10.3e} "
        f"{found.update:>10.3e} {found.ratio:>10.3e}"
        for found in norms
    ]
    return "\n".join(lines)
