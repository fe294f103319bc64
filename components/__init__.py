"""TFX components of our own, a folder each, for what TFX's do not do."""

# Before anything imports TensorFlow: this sets which Keras it uses.
import trainer_module  # noqa: F401
from components import lazy_tfx

# Before anything imports TFX.
lazy_tfx.install()
