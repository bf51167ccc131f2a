"""Operators of neural networks (PyTorch's `nn.functional`), one family a file."""
