"""What the monitoring that people have already reads of a run."""
