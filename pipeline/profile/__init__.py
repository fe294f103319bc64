"""Looks at data that nothing is known of yet, for `tapeline init`."""
