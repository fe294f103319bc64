"""Sources of rows with named columns, read a batch of columns at a time."""
