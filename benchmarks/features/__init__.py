"""What each feature of the training step costs."""
