import tensorflow as tf

from trainer_module.preprocessing import z_score


def preprocessing_fn(inputs, label):
    digit = tf.reshape(inputs[label], [-1])
    return {"image": z_score(inputs["image"]), "digit": digit, "odd": digit % 2}
