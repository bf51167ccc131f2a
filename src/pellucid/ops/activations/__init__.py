"""Activations: straight, smooth, gated, and softmax."""
