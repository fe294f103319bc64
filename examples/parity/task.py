import tensorflow as tf
import tf_keras as keras

from parity.features import preprocessing_fn
from trainer_module.metrics import auc
from trainer_module.tasks.base import Classification, Head, Task
from trainer_module.tasks.losses import binary_hit, class_hit, softmax_cross_entropy


def focal_loss(labels, logits, gamma=2.0):
    """Cross-entropy that looks at the hard rows; Lin et al. (arXiv:1708.02002), eq. 4."""
    truth = tf.cast(labels, tf.float32)
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(truth, logits)
    right = tf.exp(-entropy)  # the probability given to the truth
    return (1.0 - right) ** gamma * entropy  # one number a row, [b]


class Parity(Task):
    preprocessing_fn = staticmethod(preprocessing_fn)

    def __init__(self, units=64, odd_weight=0.5):
        self._units = units
        self._odd_weight = odd_weight

    @property
    def heads(self):
        return [
            Head(
                name="digit",  # among the model's outputs
                label="digit",  # a feature that preprocessing_fn returns
                loss=softmax_cross_entropy,
                served="probabilities",  # the serving output to evaluate
                metrics={"accuracy": class_hit},  # a function of each row: its mean
            ),
            Head(
                name="odd",
                label="odd",
                loss=focal_loss,
                served="odd",
                weight=self._odd_weight,
                metrics={"accuracy": binary_hit, "auc": auc()},
            ),
        ]

    def build_model(self, feature_spec):
        image = keras.Input(feature_spec["image"].shape, name="image")
        hidden = keras.layers.Dense(self._units, activation="relu", name="hidden")(image)
        digit = keras.layers.Dense(10, name="digit")(hidden)
        odd = keras.layers.Dense(1, name="odd")(hidden)
        outputs = {"digit": digit, "odd": tf.squeeze(odd, -1), "embedding": hidden}
        return keras.Model({"image": image}, outputs)

    def serving_outputs(self, outputs):
        return {
            "class_id": tf.argmax(outputs["digit"], axis=-1),
            "probabilities": tf.nn.softmax(outputs["digit"]),
            "odd": tf.sigmoid(outputs["odd"]),
        }

    def classification(self, outputs):  # what TF Serving's Classify answers
        return Classification.of_all("0123456789", tf.nn.softmax(outputs["digit"]))

    def regression(self, outputs):  # and its Regress: one number a row, [b]
        return tf.sigmoid(outputs["odd"])
