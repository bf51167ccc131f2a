"""Connectionist temporal classification (being written by another engineer)."""
