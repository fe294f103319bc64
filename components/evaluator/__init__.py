"""Metrics for TFX's Evaluator that TFMA does not have."""
