"""Tests of `pellucid.ops.nn`."""
