"""embedding_bag (being written by another engineer)."""
