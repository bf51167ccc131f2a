"""Operators of neural networks (PyTorch's `nn.functional`): convolution, pooling, normalisation, losses, …"""
