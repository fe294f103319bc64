"""Whether data may go on into Transform and training."""
