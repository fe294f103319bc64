"""What watches a training: small objects that the loop calls at the boundaries of its calls."""

from trainer_module.callbacks.base import Callback, Training, Values
from trainer_module.callbacks.history import History
from trainer_module.callbacks.progress import Progress
from trainer_module.callbacks.tensorboard import TensorBoard

__all__ = ["Callback", "History", "Progress", "TensorBoard", "Training", "Values"]
