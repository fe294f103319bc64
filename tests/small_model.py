"""A small model of several signatures, for tests that ask one."""

from __future__ import annotations

from pathlib import Path


def write_small_model(folder: Path) -> Path:
    """Writes a version; returns its folder.

    `serving_raw` gives the sum and the double of `x` and says `word` again; `serving_default` the
    sum for tf.Examples; `pixels` and `encoded` the mean of pictures 4 high and 6 wide; `digit` has
    the names and shapes of the digits model; `scalar` takes no batch and `total` gives none.
    """
    import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

    import tensorflow as tf  # isort: skip

    def function(**inputs: tf.TensorSpec):
        signature = [tf.TensorSpec(*spec, name) for name, spec in inputs.items()]
        return tf.function(input_signature=signature)

    @function(x=([None, 2], tf.float32), word=([None], tf.string))
    def serving_raw(x, word):
        return {
            "sum": tf.reduce_sum(x, axis=1),
            "twice": 2 * x,
            "echo": word,
            "echo_bytes": word,
        }

    @function(examples=([None], tf.string))
    def serving_default(examples):
        parsed = tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature([2], tf.float32)})
        return {"sum": tf.reduce_sum(parsed["x"], axis=1)}

    @function(image=([None, 4, 6, 3], tf.float32))
    def pixels(image):
        return {"mean": tf.reduce_mean(image, axis=[1, 2, 3])}

    @function(image=([None], tf.string))
    def encoded(image):
        def mean(content):
            decoded = tf.io.decode_image(content, 3, expand_animations=False)
            return tf.reduce_mean(tf.cast(decoded, tf.float32))

        return {"mean": tf.map_fn(mean, image, fn_output_signature=tf.float32)}

    @function(x=([], tf.float32))
    def scalar(x):
        return {"x": x}

    @function(x=([None], tf.float32))
    def total(x):
        return {"total": tf.reduce_sum(x)}

    @function(image=([None, 64], tf.float32))
    def digit(image):
        probabilities = tf.nn.softmax(image[:, :10])
        return {
            "probabilities": probabilities,
            "label": tf.strings.as_string(tf.argmax(probabilities, axis=1)),
        }

    module = tf.Module()
    signatures = {
        "serving_raw": serving_raw,
        "serving_default": serving_default,
        "pixels": pixels,
        "encoded": encoded,
        "digit": digit,
        "scalar": scalar,
        "total": total,
    }
    module.functions = list(signatures.values())
    tf.saved_model.save(module, str(folder), signatures=signatures)
    return folder
