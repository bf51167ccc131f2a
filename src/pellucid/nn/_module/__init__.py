"""The parts `Module` is made of, one concern a file."""
