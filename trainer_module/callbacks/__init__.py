"""What watches a training: small objects that the loop calls at the boundaries of its calls."""

from trainer_module.callbacks.base import Callback, Training, Values
from trainer_module.callbacks.csv_log import CsvLog
from trainer_module.callbacks.early_stop import EarlyStop
from trainer_module.callbacks.explosion import Explosion, ExplosionError
from trainer_module.callbacks.factory import make_callbacks
from trainer_module.callbacks.history import History
from trainer_module.callbacks.layer_report import LayerReport
from trainer_module.callbacks.plateau import Plateau
from trainer_module.callbacks.progress import Progress
from trainer_module.callbacks.tensorboard import TensorBoard
from trainer_module.callbacks.time_budget import TimeBudget

__all__ = [
    "Callback",
    "CsvLog",
    "EarlyStop",
    "Explosion",
    "ExplosionError",
    "History",
    "LayerReport",
    "Plateau",
    "Progress",
    "TensorBoard",
    "TimeBudget",
    "Training",
    "Values",
    "make_callbacks",
]
