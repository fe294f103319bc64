"""Metrics for TFX's Evaluator that TFMA does not have, and what its verdict says."""
