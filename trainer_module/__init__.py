"""The training loop, the tasks it learns, and the export of what it learned.

Usable without TFX: only `run_fn` knows the Trainer component.
"""

import os

# Keras 3 keeps BatchNorm statistics per replica and sums gradients a second time inside
# `apply_gradients`; the loop needs Keras 2. TensorFlow reads this when `tf.keras` is first used.
os.environ["TF_USE_LEGACY_KERAS"] = "1"
