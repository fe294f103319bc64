"""The gan task under the loop: what it leaves, and that it resumes exactly."""

from __future__ import annotations

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from trainer_module.callbacks import Callback  # isort: skip
from trainer_module.state import build_model, seed_keras  # isort: skip
from trainer_module.tasks.gan import Gan  # isort: skip
from trainer_module.tasks.gan.model import CRITIC, GENERATOR, SAMPLE, generate  # isort: skip
from trainer_module.tasks.gan.samples import COLUMNS, ROWS, SCALE, make_grid  # isort: skip
from trainer_module.tasks.gan.task import PENALTY  # isort: skip


class Watch(Callback):
    """Keeps what each epoch said, and dies after one if asked to."""

    def __init__(self, dies_after: int | None = None) -> None:
        self.epochs: list[tuple[dict, dict]] = []
        self._dies_after = dies_after

    def on_call_end(self, step, values) -> None:
        if self._dies_after is not None and step > self._dies_after:
            raise KeyboardInterrupt

    def on_epoch_end(self, epoch, step, train, evaluation) -> None:
        self.epochs.append((dict(train), dict(evaluation)))


@pytest.fixture(scope="module")
def trained(train_gan, tmp_path_factory):
    """A whole training: its result, what it said, and its folder."""
    folder, watch = tmp_path_factory.mktemp("gan"), Watch()
    return train_gan(folder, [watch]), watch.epochs, folder


@pytest.fixture(scope="module")
def model(gan):
    seed_keras(0)
    return build_model(gan, {}, "float32")


def test_gan_when_trained_then_says_each_players_loss_and_the_distance_of_each_epoch(trained):
    _, epochs, _ = trained
    assert len(epochs) == 3
    for train, evaluation in epochs:
        assert set(evaluation) == {"loss", f"loss/{CRITIC}", f"{SAMPLE}/frechet"}
        assert {f"loss/{name}" for name in (CRITIC, PENALTY, GENERATOR)} <= set(train)
        assert all(np.isfinite(value) for value in (*train.values(), *evaluation.values()))
    expected = [train["loss/critic"] + 10 * train["loss/gradient_penalty"] for train, _ in epochs]
    expected = [a + train["loss/generator"] for a, (train, _) in zip(expected, epochs, strict=True)]
    np.testing.assert_allclose([train["loss"] for train, _ in epochs], expected, rtol=1e-5)


def test_gan_when_trained_then_leaves_grids_of_the_averaged_weights_and_shows_tensorboard(trained):
    result, epochs, folder = trained
    names = sorted(path.name for path in (folder / "samples").iterdir())
    assert names == ["epoch-0001.png", "epoch-0002.png", "epoch-0003.png"]
    best = int(np.argmin([evaluation["sample/frechet"] for _, evaluation in epochs])) + 1
    content = (folder / "samples" / f"epoch-{best:04d}.png").read_bytes()
    picture = tf.io.decode_png(content)
    assert picture.shape == (ROWS * 10 * SCALE, COLUMNS * 10 * SCALE, 1)
    # The best epoch's averaged weights are those of the result.
    images = generate(result.model, tf.range(ROWS * COLUMNS, dtype=tf.int64))
    difference = tf.cast(picture, tf.int32) - tf.cast(make_grid(images, COLUMNS, SCALE), tf.int32)
    assert int(tf.reduce_max(tf.abs(difference))) <= 1
    (events,) = (folder / "tensorboard" / "samples").iterdir()
    assert len(list(tf.compat.v1.train.summary_iterator(str(events)))) == 4  # version, and 3 grids


def test_gan_when_killed_and_run_again_then_ends_with_the_same_bits(trained, train_gan, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train_gan(tmp_path, [Watch(dies_after=2)])
    resumed = train_gan(tmp_path)
    assert resumed.resumed_from == 2
    for a, b in zip(trained[0].model.get_weights(), resumed.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_model_when_built_then_players_alone_are_trainable(model):
    players = [*model.get_layer(GENERATOR).variables, *model.get_layer(CRITIC).variables]
    assert {id(v) for v in model.trainable_variables} == {id(v) for v in players}
    assert len(model.variables) > len(players)


def test_model_when_built_then_every_variable_has_a_name_of_its_own(model):
    assert len({variable.name for variable in model.variables}) == len(model.variables)


def test_model_when_a_row_is_evaluated_then_its_sample_is_the_same_in_every_batch(
    model, train_rows
):
    images = train_rows["image"][:6]
    among = model({"image": images}, training=False)
    alone = model({"image": images[4:5]}, training=False)
    for name in (CRITIC, SAMPLE, "embedding"):
        np.testing.assert_allclose(among[name][4], alone[name][0], rtol=1e-5, atol=1e-5)
    dimension = among["embedding"].shape[1]
    np.testing.assert_array_equal(among[SAMPLE][:, :dimension], among["embedding"])
    assert len(np.unique(among[SAMPLE][:, dimension:], axis=0)) == 6


def test_phases_when_listed_then_each_player_has_its_own_variables_repeats_and_optimizer(model):
    first, second = Gan(noise=4, filters=4, d_steps=5, learning_rate=0.02).phases(model)
    assert (first.name, first.repeats, second.name, second.repeats) == (CRITIC, 5, GENERATOR, 1)
    for phase in (first, second):
        expected = model.get_layer(phase.name).trainable_variables
        assert {id(v) for v in phase.variables} == {id(v) for v in expected}
        assert phase.optimizer.name == "adam"
        assert phase.optimizer.learning_rate == 0.02
        assert phase.optimizer.beta_2 == 0.9
    assert first.losses == {CRITIC: 1.0, PENALTY: 10.0}


@pytest.mark.parametrize("key", ["d_steps", "sample_epochs"])
def test_gan_when_a_number_is_less_than_1_then_is_refused(key):
    message = rf"^task\.options\.{key}: found 0; allowed: at least 1$"
    with pytest.raises(ValueError, match=message):
        Gan(**{key: 0})


def test_phases_when_the_critics_loss_is_taken_then_the_penalty_reaches_every_kernel(
    model, gan, train_rows
):
    critic = gan.phases(model)[0]
    features = {name: tf.constant(train_rows[name][:4]) for name in ("image", "class")}
    with tf.GradientTape() as tape:
        penalty = critic.forward(features).losses[PENALTY]
    kernels = [v for v in critic.variables if "kernel" in v.name]
    gradients = tape.gradient(penalty, kernels)
    assert len(kernels) == 4
    assert all(float(tf.norm(gradient)) > 0.0 for gradient in gradients)
