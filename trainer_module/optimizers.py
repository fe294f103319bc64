"""What updates the variables: SGD, Adam, AdamW or RMSprop, with parameter groups.

The gradients that come in are summed over all replicas, so that each replica can update its own
copy of a variable by itself, with the same numbers as the others. Small variables are updated
together, as one vector: on a small model the number of kernels is what an update costs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from trainer_module.config import GroupConfig, OptimizerConfig, RegularizationConfig
from trainer_module.packing import Packing
from trainer_module.update_rules import Adam, Momentum, RMSprop, UpdateRule

_UNDECAYED = re.compile(r"(^|/)(bias|beta|gamma)$")

_RULES: dict[str, Callable[[OptimizerConfig], UpdateRule]] = {
    "sgd": Momentum,
    "adam": Adam,
    "adamw": Adam,
    "rmsprop": RMSprop,
}


def variable_name(variable: tf.Variable) -> str:
    """Returns the name that patterns are searched in, such as `conv1/kernel`."""
    return variable.name.partition(":")[0]


def find_group(groups: Sequence[GroupConfig], variable: tf.Variable) -> GroupConfig | None:
    """Returns the first group whose pattern is found in the variable's name."""
    name = variable_name(variable)
    return next((group for group in groups if re.search(group.pattern, name)), None)


def check_patterns(
    key: str,
    sections: Sequence[GroupConfig | RegularizationConfig],
    variables: Sequence[tf.Variable],
) -> None:
    """Checks that the pattern of each section is found in a variable's name.

    Raises:
        ValueError: naming the section under `key` whose pattern is not.
    """
    names = [variable_name(variable) for variable in variables]
    for index, section in enumerate(sections):
        if not any(re.search(section.pattern, name) for name in names):
            raise ValueError(
                f"{key}.{index}.pattern: found {section.pattern!r}, which fits no variable; "
                f"allowed: a pattern found in one of {', '.join(names)}"
            )


def split_frozen(
    groups: Sequence[GroupConfig], variables: Sequence[tf.Variable]
) -> list[tf.Variable]:
    """Returns the variables that are not frozen.

    Raises:
        ValueError: if all are.
    """
    found = [(variable, find_group(groups, variable)) for variable in variables]
    free = [variable for variable, group in found if not (group and group.frozen)]
    if not free:
        raise ValueError("train.optimizer.groups: found every variable frozen; allowed: some")
    return free


class Optimizer(tf.Module):
    """Updates a list of variables; made under the strategy's scope, called in a replica.

    Formulas: Adam, Kingma and Ba (arXiv:1412.6980), with epsilon as in the paragraph before their
    section 2.1; decoupled decay, Loshchilov and Hutter (arXiv:1711.05101); momentum as in
    Sutskever et al. (2013); RMSprop, Hinton (Coursera lecture 6e).

    Attributes:
        targets: the variables, in the order that `apply` takes gradients.
        packing: of the targets.

    Args:
        config: rule, hyperparameters and parameter groups.
        variables: trainable, none of them frozen.
    """

    def __init__(self, config: OptimizerConfig, variables: Sequence[tf.Variable]) -> None:
        super().__init__(name="optimizer")
        self.targets = tuple(variables)
        self.packing = Packing(variables)
        self.updates = tf.Variable(0, dtype=tf.int64, trainable=False, name="updates")
        self._rule = _RULES[config.name](config)
        extended = tf.distribute.get_strategy().extended
        self.slots = []
        if self.packing.small:
            with extended.colocate_vars_with(variables[self.packing.small[0]]):
                # [slots, width]
                self.slots.append([_zeros([self._rule.slots, self.packing.width])])
        for index in self.packing.large:
            with extended.colocate_vars_with(variables[index]):
                shape = variables[index].shape
                self.slots.append([_zeros(shape) for _ in range(self._rule.slots)])
        groups = [find_group(config.groups, variable) for variable in variables]
        self._factors = [group.learning_rate_factor if group else 1.0 for group in groups]
        self._decays = [
            _decay(config, group, variable)
            for group, variable in zip(groups, variables, strict=True)
        ]

    def apply(self, gradients: Sequence[tf.Tensor], rate: tf.Tensor) -> None:
        """Updates this replica's copy of the variables.

        Args:
            gradients: of `targets`, dense, summed over all replicas.
            rate: learning rate of this step, float32 scalar.
        """
        self.apply_packed(self.packing.pack(gradients), rate)

    def apply_packed(self, gradients: Sequence[tf.Tensor], rate: tf.Tensor) -> None:
        """As `apply`, for gradients that are packed."""
        count = tf.cast(self.updates.read_value() + 1, tf.float32)
        tf.raw_ops.AssignAddVariableOp(resource=self.updates.handle, value=tf.constant(1, tf.int64))
        rule, packing = self._rule, self.packing
        rule.begin(count)
        self._decay_weights(rate)
        rest = list(zip(gradients, self.slots, strict=True))
        if packing.small:
            gradient, (together,) = rest.pop(0)
            factors = [self._factors[index] for index in packing.small]
            slots, step = rule.step_of_vector(
                gradient, tf.unstack(together.read_value()), self._rates(rate, factors)
            )
            tf.raw_ops.AssignVariableOp(resource=together.handle, value=tf.stack(slots))
            for index, piece in zip(packing.small, packing.pieces(step), strict=True):
                tf.raw_ops.AssignSubVariableOp(resource=self.targets[index].handle, value=piece)
        for index, (gradient, slots) in zip(packing.large, rest, strict=True):
            own = rate if self._factors[index] == 1.0 else rate * self._factors[index]
            rule.update(self.targets[index], gradient, slots, own)

    def _decay_weights(self, rate: tf.Tensor) -> None:
        """Takes from each weight its share; before the update, as the gradient came before it."""
        for variable, factor, decay in zip(self.targets, self._factors, self._decays, strict=True):
            if decay:
                share = variable.read_value() * (rate * (factor * decay))
                tf.raw_ops.AssignSubVariableOp(resource=variable.handle, value=share)

    def _rates(self, rate: tf.Tensor, factors: list[float]) -> tf.Tensor:
        """Returns the learning rate of the vector's elements: a scalar if they have one alike."""
        if all(factor == 1.0 for factor in factors):
            return rate
        sizes = [self.targets[index].shape.num_elements() for index in self.packing.small]
        return rate * tf.constant(np.repeat(factors, sizes), tf.float32)


def _zeros(shape: Sequence[int]) -> tf.Variable:
    return tf.Variable(tf.zeros(shape), trainable=False)


def _decay(config: OptimizerConfig, group: GroupConfig | None, variable: tf.Variable) -> float:
    if group and group.weight_decay is not None:
        return group.weight_decay
    return 0.0 if _UNDECAYED.search(variable_name(variable)) else config.decay
