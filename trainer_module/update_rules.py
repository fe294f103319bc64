"""The formulas of the updates, each twice: for a vector of small variables, and as one kernel.

Both are the same formula. A kernel of TensorFlow's spreads over threads, which pays for large
variables and costs for small ones.

Workers of parameter servers update the same variables side by side, and Adam's weight must never
move by one worker's m over another's v: where v is still zero, that is a step of any size. So the
slots of a vector are read and written as one, and a kernel holds the locks of all that it changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import tensorflow as tf

from trainer_module.config import OptimizerConfig


class UpdateRule(Protocol):
    """A rule of an optimizer.

    Attributes:
        slots: how many numbers it keeps for each weight.
    """

    slots: int

    def begin(self, count: tf.Tensor) -> None:
        """Is told the number of the update, from 1, float32 scalar, before each."""

    def step_of_vector(
        self, gradient: tf.Tensor, slots: Sequence[tf.Tensor], rate: tf.Tensor
    ) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Returns the slots as they become, and what the weights have to lose; all [n]."""

    def update(
        self,
        variable: tf.Variable,
        gradient: tf.Tensor,
        slots: Sequence[tf.Variable],
        rate: tf.Tensor,
    ) -> None:
        """Moves the slots and the variable."""


class Momentum:
    """velocity <- momentum * velocity - rate * g; weight <- weight + velocity.

    With Nesterov's momentum: weight <- weight + momentum * velocity - rate * g.
    """

    slots = 1

    def __init__(self, config: OptimizerConfig) -> None:
        self._momentum = config.inertia
        self._nesterov = config.nesterov

    def begin(self, count: tf.Tensor) -> None:
        """Every update is alike."""

    def step_of_vector(
        self, gradient: tf.Tensor, slots: Sequence[tf.Tensor], rate: tf.Tensor
    ) -> tuple[list[tf.Tensor], tf.Tensor]:
        descent = rate * gradient
        velocity = slots[0] * self._momentum - descent
        step = descent - self._momentum * velocity if self._nesterov else -velocity
        return [velocity], step

    def update(
        self,
        variable: tf.Variable,
        gradient: tf.Tensor,
        slots: Sequence[tf.Variable],
        rate: tf.Tensor,
    ) -> None:
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.handle,
            accum=slots[0].handle,
            lr=rate,
            grad=gradient,
            momentum=self._momentum,
            use_nesterov=self._nesterov,
            use_locking=True,
        )


class Adam:
    """m <- b1 m + (1 - b1) g; v <- b2 v + (1 - b2) g^2; weight <- weight - a m / (sqrt(v) + eps).

    a = rate * sqrt(1 - b2^t) / (1 - b1^t) at update t.
    """

    slots = 2

    def __init__(self, config: OptimizerConfig) -> None:
        self._beta_1 = config.beta_1
        self._beta_2 = config.beta_2
        self._epsilon = config.epsilon
        self._powers: tuple[tf.Tensor, tf.Tensor]

    def begin(self, count: tf.Tensor) -> None:
        self._powers = (tf.pow(self._beta_1, count), tf.pow(self._beta_2, count))

    def step_of_vector(
        self, gradient: tf.Tensor, slots: Sequence[tf.Tensor], rate: tf.Tensor
    ) -> tuple[list[tf.Tensor], tf.Tensor]:
        power_1, power_2 = self._powers
        m, v = slots
        m = m + (gradient - m) * (1.0 - self._beta_1)
        v = v + (tf.square(gradient) - v) * (1.0 - self._beta_2)
        a = rate * tf.sqrt(1.0 - power_2) / (1.0 - power_1)
        return [m, v], m * a / (tf.sqrt(v) + self._epsilon)

    def update(
        self,
        variable: tf.Variable,
        gradient: tf.Tensor,
        slots: Sequence[tf.Variable],
        rate: tf.Tensor,
    ) -> None:
        power_1, power_2 = self._powers
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=slots[0].handle,
            v=slots[1].handle,
            beta1_power=power_1,
            beta2_power=power_2,
            lr=rate,
            beta1=self._beta_1,
            beta2=self._beta_2,
            epsilon=self._epsilon,
            grad=gradient,
            use_locking=True,
        )


class RMSprop:
    """s <- rho s + (1 - rho) g^2; u <- momentum u + rate g / sqrt(s + eps).

    weight <- weight - u.
    """

    slots = 2

    def __init__(self, config: OptimizerConfig) -> None:
        self._rho = config.rho
        self._momentum = config.inertia
        self._epsilon = config.epsilon

    def begin(self, count: tf.Tensor) -> None:
        """Every update is alike."""

    def step_of_vector(
        self, gradient: tf.Tensor, slots: Sequence[tf.Tensor], rate: tf.Tensor
    ) -> tuple[list[tf.Tensor], tf.Tensor]:
        square, step = slots
        square = square + (tf.square(gradient) - square) * (1.0 - self._rho)
        descent = rate * gradient * tf.math.rsqrt(square + self._epsilon)
        step = step * self._momentum + descent
        return [square, step], step

    def update(
        self,
        variable: tf.Variable,
        gradient: tf.Tensor,
        slots: Sequence[tf.Variable],
        rate: tf.Tensor,
    ) -> None:
        tf.raw_ops.ResourceApplyRMSProp(
            var=variable.handle,
            ms=slots[0].handle,
            mom=slots[1].handle,
            lr=rate,
            rho=self._rho,
            momentum=self._momentum,
            epsilon=self._epsilon,
            grad=gradient,
            use_locking=True,
        )
