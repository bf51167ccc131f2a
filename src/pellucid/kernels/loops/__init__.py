"""Training loops as one function: whole steps with all sizes known, for one model or many."""
