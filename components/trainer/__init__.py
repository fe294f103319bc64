"""TFX's Trainer, with the raw examples beside the transformed ones."""
