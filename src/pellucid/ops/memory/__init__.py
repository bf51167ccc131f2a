"""Copies, fills and conversions."""
