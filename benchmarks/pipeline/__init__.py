"""A whole run on the taxi trips against TFX's own taxi example: wall time, by node, and AUC."""
