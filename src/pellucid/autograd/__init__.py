"""The tape: grad modes, nodes, the engine, custom functions, hooks, gradient checks (PyTorch's `torch.autograd`)."""
