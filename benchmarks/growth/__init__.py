"""What a whole run costs as the data grow: time per row of each node, and peak memory."""
