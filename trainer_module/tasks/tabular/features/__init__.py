"""What Transform makes of a table: numbers, ids and the label, from whatever a row holds."""
