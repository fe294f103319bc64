"""The two tf.functions of the loop: N training steps in one call, and some batches of evaluation.

A step computes the gradient of its loss in each replica, sums it over all, and lets every replica
update its own copy of the variables with the same numbers. What is reported travels in one vector.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import tensorflow as tf

from trainer_module.config import TrainConfig
from trainer_module.data import WEIGHT
from trainer_module.gradients import GradientTransform, clip
from trainer_module.objective import NORMS, Layout, Objective
from trainer_module.optimizers import Optimizer, variable_name
from trainer_module.schedules import Schedule
from trainer_module.state import Player, TrainState
from trainer_module.tasks.base import Tensors, float32

LEARNING_RATE = "learning_rate"
GRADIENT_NORM = "gradient_norm"
LOSS_SCALE = "loss_scale"
SKIPPED = "skipped_steps"


@dataclass(frozen=True)
class StepFunctions:
    """What the loop calls.

    Attributes:
        train: (iterator, n) -> the sum of n steps' vectors. n is an int32 scalar tensor of at most
            the batches that an element holds: one trace serves every n.
        evaluate: (iterator, n) -> the sum of the vectors of n batches.
        take_steps: (iterator, first, n) -> as `train` from step `first` on, without the counter;
            to be called in a tf.function.
        evaluate_batch: (features of a batch) -> its vector; to be called in a tf.function.
        train_layout, evaluation_layout: of the vectors.
    """

    train: Callable[[Iterator, tf.Tensor], tf.Tensor]
    evaluate: Callable[[Iterator, tf.Tensor], tf.Tensor]
    take_steps: Callable[[Iterator, tf.Tensor, tf.Tensor], tf.Tensor]
    evaluate_batch: Callable[[Tensors], tf.Tensor]
    train_layout: Layout
    evaluation_layout: Layout


class ReplicaStep:
    """One training step as a replica takes it.

    Args:
        replicas: over all workers; each computes an equal part of the batch.
    """

    def __init__(
        self,
        state: TrainState,
        objective: Objective,
        config: TrainConfig,
        transforms: Sequence[GradientTransform],
        replicas: int,
    ) -> None:
        self._state = state
        self._objective = objective
        self._config = config
        self._transforms = transforms
        self._replicas = replicas
        wanted = any(player.phase.measured for player in state.players)
        self._measured = objective.measured if wanted else {}
        self._compute = {
            player.phase.name: tf.function(self._gradients_of(player), jit_compile=True)
            if config.xla
            else self._gradients_of(player)
            for player in state.players
        }

    def layout(self) -> Layout:
        """Returns the layout of the vector that a step returns."""
        losses = [name for player in self._state.players for name in player.phase.losses]
        extras = []
        norms = []
        for player in self._state.players:
            suffix = "" if len(self._state.players) == 1 else f"/{player.phase.name}"
            extras += [GRADIENT_NORM + suffix, LEARNING_RATE + suffix]
            norms.append(GRADIENT_NORM + suffix)
        if self._state.scale is not None:
            extras += [LOSS_SCALE, SKIPPED]
        if self._config.debug.layer_report:
            report = [
                f"{kind}/{variable_name(variable)}"
                for player in self._state.players
                for variable in player.optimizer.targets
                for kind in NORMS
            ]
            extras += report
            norms += report
        skipped = None if self._state.scale is None else SKIPPED
        return Layout(losses, self._measured, extras, skipped, norms)

    def __call__(self, features: Tensors, factor: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """Takes the step.

        Args:
            features: this replica's part of the batch, [b, ...] each.
            factor: of the learning rate, float32 scalar.
            step: index of the step, int64 scalar.

        Returns:
            The step's vector, the same in every replica.
        """
        vectors: list[tf.Tensor] = []
        pairs: list[tuple[tf.Tensor, tf.Tensor]] = []
        report: list[tf.Tensor] = []
        finite = tf.constant(True)
        for player in self._state.players:
            for _ in range(player.phase.repeats):
                gradients, vector = self._summed(player, features)
                norm, rate, norms = self._apply(player, gradients, factor, step)
                finite = tf.logical_and(finite, tf.math.is_finite(norm))
            vectors.append(vector)
            pairs.append((norm, rate))
            report += norms
        if self._state.average is not None:
            self._state.average.update(step)
        extras = []
        if self._state.scale is not None:
            # A step that is skipped has no norms: they are meant over those that are taken.
            pairs = [(tf.where(finite, norm, 0.0), rate) for norm, rate in pairs]
            report = [tf.where(finite, norm, 0.0) for norm in report]
            extras += [self._state.scale.read(), 1.0 - tf.cast(finite, tf.float32)]
            self._state.scale.update(finite)
        rows = tf.constant(float(self._config.batch_size))
        rest = tf.stack([rows, *itertools.chain(*pairs), *extras, *report])
        return tf.concat([*self._join(vectors), rest], axis=0)

    def _join(self, vectors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Returns one vector of the players', in parts: loss, sums of each loss, metrics' sums.

        Raises:
            ValueError: if there are metrics to measure and no player has.
        """
        ends = [1 + len(player.phase.losses) for player in self._state.players]
        found = list(zip(vectors, ends, strict=True))
        measured = [vector[end:] for vector, end in found if vector.shape[0] > end][:1]
        if not self._measured:
            measured = []
        elif not measured:
            raise ValueError(
                f"metrics {', '.join(self._measured)}: found no phase that returns the model's "
                "outputs; allowed: one that does, or measured=False on every phase"
            )
        if len(vectors) == 1 and measured:
            return list(vectors)
        loss = tf.add_n([vector[0] for vector in vectors])
        return [loss[tf.newaxis], *(vector[1:end] for vector, end in found), *measured]

    def _gradients_of(self, player: Player) -> Callable[[Tensors, tf.Tensor], list[tf.Tensor]]:
        """Returns forward and backward: (features, loss scale) -> gradients, then the vector."""
        phase, targets = player.phase, player.optimizer.targets
        parts = self._replicas * self._config.accumulate

        @tf.autograph.experimental.do_not_convert
        def compute(features: Tensors, scale: tf.Tensor) -> list[tf.Tensor]:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(targets)
                forward = phase.forward(features)
                loss, sums, measured = self._objective.minimize(
                    phase, forward, features, self._config.batch_size, parts
                )
                scaled = loss * scale if self._state.scale is not None else loss
            gradients = tape.gradient(scaled, targets)
            _check_connected(targets, gradients)
            vector = tf.concat([loss[tf.newaxis], sums, measured], axis=0)
            dense = [tf.convert_to_tensor(gradient) for gradient in gradients]
            return [*player.optimizer.packing.pack(dense), vector]

        return compute

    def _summed(self, player: Player, features: Tensors) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Returns the packed gradients and the vector of the global batch."""
        scale = tf.constant(1.0) if self._state.scale is None else self._state.scale.read()
        compute = self._compute[player.phase.name]
        if self._config.accumulate == 1:
            values = compute(features, scale)
        else:
            values = _accumulate(compute, features, scale, self._config.accumulate)
        if self._replicas > 1:
            context = tf.distribute.get_replica_context()
            values = context.all_reduce(tf.distribute.ReduceOp.SUM, values)
        *gradients, vector = values
        if self._state.scale is not None:
            gradients = [gradient / scale for gradient in gradients]
        return gradients, vector

    def _apply(
        self, player: Player, gradients: list[tf.Tensor], factor: tf.Tensor, step: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        """Updates the player's variables.

        Returns:
            The norm of the packed gradients that came in, the learning rate, and the numbers of
            the layer report, if there is one.
        """
        optimizer, config = player.optimizer, self._config
        norm = tf.linalg.global_norm(gradients)
        shaped, bound = self._shape(optimizer, gradients, norm, step)
        # What a transform makes bad has to be seen, too.
        if bound is not norm:
            norm = tf.where(tf.math.is_finite(bound), norm, bound)
        rate = player.learning_rate * factor
        if self._state.last_gradients:
            kept = self._state.last_gradients[self._state.players.index(player)]
            for variable, gradient in zip(kept, optimizer.packing.unpack(shaped), strict=True):
                tf.raw_ops.AssignVariableOp(resource=variable.handle, value=gradient)
        before = [v.read_value() for v in optimizer.targets] if config.debug.layer_report else []
        if self._state.scale is None:
            optimizer.apply_packed(shaped, rate)
        else:
            tf.cond(
                tf.math.is_finite(norm),
                lambda: _then_zero(optimizer.apply_packed, shaped, rate),
                lambda: 0,
            )
        if not before:
            return norm, rate, []
        report = []
        found = zip(optimizer.targets, before, optimizer.packing.unpack(gradients), strict=True)
        for variable, old, gradient in found:
            report += [tf.norm(gradient), tf.norm(old), tf.norm(variable.read_value() - old)]
        return norm, rate, report

    def _shape(
        self,
        optimizer: Optimizer,
        gradients: list[tf.Tensor],
        norm: tf.Tensor,
        step: tf.Tensor,
    ) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Returns packed gradients, transformed and clipped, and their norm before the clipping."""
        section = self._config.clip
        if not self._transforms and (section is None or section.by != "norm"):
            return clip(gradients, section, norm), norm
        unpacked = optimizer.packing.unpack(gradients)
        for transform in self._transforms:
            unpacked = transform(unpacked, optimizer.targets, step)
        if self._transforms:
            norm = tf.linalg.global_norm(unpacked)
        return optimizer.packing.pack(clip(unpacked, section, norm)), norm


def build_step_functions(
    step: ReplicaStep,
    state: TrainState,
    objective: Objective,
    schedule: Schedule,
    strategy: tf.distribute.Strategy,
) -> StepFunctions:
    """Builds the functions of a state whose variables live under `strategy`."""
    layout, evaluation_layout = step.layout(), objective.evaluation_layout()
    # Replicas that run ahead of each other would meet in the reductions of different steps.
    in_flight = 1 if strategy.num_replicas_in_sync > 1 else 10

    # AutoGraph would convert Keras itself on the first trace, which takes 20 times as long.
    @tf.autograph.experimental.do_not_convert
    def one_step(
        batches: Tensors, index: tf.Tensor, factors: tf.Tensor, first: tf.Tensor
    ) -> tf.Tensor:
        # A gather is one kernel, where a slice takes four to know its bounds.
        features = {name: tf.gather(values, index) for name, values in batches.items()}
        return step(features, tf.gather(factors, index), first + tf.cast(index, tf.int64))

    @tf.autograph.experimental.do_not_convert
    def one_evaluation(features: Tensors) -> tf.Tensor:
        weight = features[WEIGHT]
        rest = {name: value for name, value in features.items() if name != WEIGHT}
        return objective.evaluate(float32(state.model(rest, training=False)), rest, weight)

    def take_steps(iterator: Iterator, first: tf.Tensor, n: tf.Tensor) -> tf.Tensor:
        batches = next(iterator)
        # The factors of a call are computed together, once, rather than one in each step.
        factors = schedule(first + tf.range(tf.cast(n, tf.int64))) * state.plateau.read_value()
        total = tf.zeros([layout.size])
        for index in tf.range(n):
            tf.autograph.experimental.set_loop_options(parallel_iterations=in_flight)
            vectors = strategy.run(one_step, args=(batches, index, factors, first))
            total += strategy.experimental_local_results(vectors)[0]
        return total

    @tf.function
    def train(iterator: Iterator, n: tf.Tensor) -> tf.Tensor:
        total = take_steps(iterator, state.step.read_value(), n)
        state.step.assign_add(tf.cast(n, tf.int64))
        return total

    @tf.function
    def evaluate(iterator: Iterator, n: tf.Tensor) -> tf.Tensor:
        total = tf.zeros([evaluation_layout.size])
        for _ in tf.range(n):
            tf.autograph.experimental.set_loop_options(parallel_iterations=in_flight)
            vectors = strategy.run(one_evaluation, args=(next(iterator),))
            total += strategy.reduce(tf.distribute.ReduceOp.SUM, vectors, axis=None)
        return total

    return StepFunctions(train, evaluate, take_steps, one_evaluation, layout, evaluation_layout)


def _accumulate(
    compute: Callable[[Tensors, tf.Tensor], list[tf.Tensor]],
    features: Tensors,
    scale: tf.Tensor,
    parts: int,
) -> list[tf.Tensor]:
    """Sums `compute` over equal parts of the features, one after the other."""
    split = {
        name: tf.reshape(value, [parts, -1, *value.shape[1:]]) for name, value in features.items()
    }

    def part(index: tf.Tensor) -> Tensors:
        return {name: value[index] for name, value in split.items()}

    # A loop rather than parts side by side: the memory of one part at a time is the point.
    return tf.while_loop(
        lambda index, *_: index < parts,
        lambda index, *sums: (
            index + 1,
            *(a + b for a, b in zip(sums, compute(part(index), scale), strict=True)),
        ),
        (tf.constant(1), *compute(part(tf.constant(0)), scale)),
        parallel_iterations=1,
    )[1:]


def _check_connected(
    variables: Sequence[tf.Variable], gradients: Sequence[tf.Tensor | None]
) -> None:
    pairs = zip(variables, gradients, strict=True)
    unreached = [variable.name for variable, gradient in pairs if gradient is None]
    if unreached:
        raise ValueError(
            f"no loss depends on the trainable variables {', '.join(unreached)}: connect them to "
            "a head, make their layer trainable=False, or freeze them in a parameter group"
        )


def _then_zero(function: Callable[..., None], *arguments: object) -> int:
    """Calls a function for its effect, in a branch of a condition that has to return something."""
    function(*arguments)
    return 0
