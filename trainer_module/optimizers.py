"""The rules of an update: SGD, Adam, AdamW and RMSprop, one fused kernel a variable.

The gradients that come in are summed over all replicas, so that each replica can update its own
copy of a variable by itself, with the same numbers as the others. On a small model the kernels'
count is what an update costs: Keras composes each rule of a dozen of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import tensorflow as tf

from trainer_module.config import GroupConfig, OptimizerConfig

_UNDECAYED = re.compile(r"(^|/)(bias|beta|gamma)$")

_SLOTS = {"sgd": 1, "adam": 2, "adamw": 2, "rmsprop": 2}


def variable_name(variable: tf.Variable) -> str:
    """Returns the name that patterns are searched in, such as `conv1/kernel`."""
    return variable.name.partition(":")[0]


def find_group(groups: Sequence[GroupConfig], variable: tf.Variable) -> GroupConfig | None:
    """Returns the first group whose pattern is found in the variable's name."""
    name = variable_name(variable)
    return next((group for group in groups if re.search(group.pattern, name)), None)


def split_frozen(
    groups: Sequence[GroupConfig], variables: Sequence[tf.Variable]
) -> list[tf.Variable]:
    """Returns the variables that are not frozen.

    Raises:
        ValueError: if a group fits no variable, or all are frozen.
    """
    for index, group in enumerate(groups):
        if not any(re.search(group.pattern, variable_name(v)) for v in variables):
            names = ", ".join(variable_name(variable) for variable in variables)
            raise ValueError(
                f"train.optimizer.groups.{index}.pattern: found {group.pattern!r}, which fits no "
                f"variable; allowed: a pattern found in one of {names}"
            )
    found = [(variable, find_group(groups, variable)) for variable in variables]
    free = [variable for variable, group in found if not (group and group.frozen)]
    if not free:
        raise ValueError("train.optimizer.groups: found every variable frozen; allowed: some")
    return free


class Optimizer(tf.Module):
    """Updates a list of variables; made under the strategy's scope, called in a replica.

    Formulas: Adam, Kingma and Ba (arXiv:1412.6980); decoupled decay, Loshchilov and Hutter
    (arXiv:1711.05101); momentum as Sutskever et al. (2013); RMSprop, Hinton (Coursera lecture 6e).

    Attributes:
        variables_updated: in the order that `apply` takes gradients.

    Args:
        config: rule, hyperparameters and parameter groups.
        variables: trainable, none of them frozen.
    """

    def __init__(self, config: OptimizerConfig, variables: Sequence[tf.Variable]) -> None:
        super().__init__(name="optimizer")
        self._config = config
        self._targets = tuple(variables)
        self.updates = tf.Variable(0, dtype=tf.int64, trainable=False, name="updates")
        extended = tf.distribute.get_strategy().extended
        self.slots = []
        for variable in variables:
            with extended.colocate_vars_with(variable):
                self.slots.append(
                    [
                        tf.Variable(tf.zeros(variable.shape, variable.dtype), trainable=False)
                        for _ in range(_SLOTS[config.name])
                    ]
                )
        groups = [find_group(config.groups, variable) for variable in variables]
        self._factors = [group.learning_rate_factor if group else 1.0 for group in groups]
        self._decays = [
            _decay(config, group, variable)
            for group, variable in zip(groups, variables, strict=True)
        ]

    @property
    def targets(self) -> tuple[tf.Variable, ...]:
        return self._targets

    def apply(self, gradients: Sequence[tf.Tensor], rate: tf.Tensor) -> None:
        """Updates this replica's copy of the variables.

        Args:
            gradients: of `targets`, dense, summed over all replicas.
            rate: learning rate of this step, float32 scalar.
        """
        config = self._config
        powers: tuple[tf.Tensor, ...] = ()
        if config.name in ("adam", "adamw"):
            count = tf.cast(self.updates.read_value() + 1, tf.float32)
            powers = (tf.pow(config.beta_1, count), tf.pow(config.beta_2, count))
        tf.raw_ops.AssignAddVariableOp(resource=self.updates.handle, value=tf.constant(1, tf.int64))
        for variable, slots, gradient, factor, decay in zip(
            self._targets, self.slots, gradients, self._factors, self._decays, strict=True
        ):
            own_rate = rate if factor == 1.0 else rate * factor
            if decay:
                tf.raw_ops.AssignSubVariableOp(
                    resource=variable.handle, value=variable.read_value() * (own_rate * decay)
                )
            self._update(variable, slots, gradient, own_rate, powers)

    def _update(
        self,
        variable: tf.Variable,
        slots: Sequence[tf.Variable],
        gradient: tf.Tensor,
        rate: tf.Tensor,
        powers: tuple[tf.Tensor, ...],
    ) -> None:
        config = self._config
        if config.name == "sgd":
            tf.raw_ops.ResourceApplyKerasMomentum(
                var=variable.handle,
                accum=slots[0].handle,
                lr=rate,
                grad=gradient,
                momentum=config.momentum,
                use_nesterov=config.nesterov,
            )
        elif config.name == "rmsprop":
            tf.raw_ops.ResourceApplyRMSProp(
                var=variable.handle,
                ms=slots[0].handle,
                mom=slots[1].handle,
                lr=rate,
                rho=config.rho,
                momentum=config.momentum,
                epsilon=config.epsilon,
                grad=gradient,
            )
        else:
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=slots[0].handle,
                v=slots[1].handle,
                beta1_power=powers[0],
                beta2_power=powers[1],
                lr=rate,
                beta1=config.beta_1,
                beta2=config.beta_2,
                epsilon=config.epsilon,
                grad=gradient,
            )


def _decay(config: OptimizerConfig, group: GroupConfig | None, variable: tf.Variable) -> float:
    if group and group.weight_decay is not None:
        return group.weight_decay
    return 0.0 if _UNDECAYED.search(variable_name(variable)) else config.decay
