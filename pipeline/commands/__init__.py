"""The commands of `tapeline`, a module each, and the arguments that they share."""
