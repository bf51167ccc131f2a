"""What a module or a call is called in a diagram, and which family it belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

FAMILIES = {
    "weights": ("Conv", "Linear", "Bilinear", "matmul", "mm", "bmm", "einsum", "conv", "linear"),
    "norm": ("BatchNorm", "LayerNorm", "GroupNorm", "InstanceNorm", "RMSNorm", "_norm", "normali"),
    "attention": ("Attention", "attention"),
    "recurrent": ("RNN", "LSTM", "GRU"),
    "lookup": ("Embedding", "embedding"),
    "pooling": ("Pool", "pool", "Upsample", "interpolate", "mean", "amax", "sum"),
    "dropout": ("Dropout", "dropout", "Identity"),
    "shape": ("Flatten", "flatten", "reshape", "Unflatten", "cat", "stack", "pad", "contiguous"),
}
"""Families by parts of names; the first that fits. What fits none is "function"."""

ACTIVATIONS = [
    "ReLU",
    "ReLU6",
    "LeakyReLU",
    "PReLU",
    "ELU",
    "SELU",
    "CELU",
    "GELU",
    "SiLU",
    "Mish",
    "Sigmoid",
    "Tanh",
    "Softmax",
    "LogSoftmax",
    "Softplus",
    "Hardswish",
    "Hardsigmoid",
    "Hardtanh",
    "GLU",
    "Softsign",
    "LogSigmoid",
    "relu",
    "relu6",
    "gelu",
    "silu",
    "sigmoid",
    "tanh",
    "softmax",
    "log_softmax",
    "leaky_relu",
    "elu",
    "selu",
    "mish",
    "hardswish",
    "softplus",
]


def family(name: str) -> str:
    """The family of a module's class or of a function."""
    if name.strip("_") in ACTIVATIONS or name.endswith(("Activation", "GELU")):
        return "activation"
    for found, parts in FAMILIES.items():
        if any(part in name for part in parts):
            return found
    return "function"


def sizes(shape: Sequence[int], batch: int | None = None) -> str:
    """`64×112×112`; an axis of `batch` items in front is left away. `scalar` for no axes."""
    if batch is not None and len(shape) > 1 and shape[0] == batch:
        shape = shape[1:]
    return "×".join(map(str, shape)) if shape else "scalar"


def _square(value: Any) -> str:
    """`7×7` for 7 or (7, 7)."""
    values = value if isinstance(value, (tuple, list)) else (value, value)
    return "×".join(map(str, values))


def _steps(module: Any) -> str:
    """Stride, dilation and groups where they are not 1."""
    parts = []
    for name in ("stride", "dilation", "groups"):
        value = getattr(module, name, 1)
        values = set(value) if isinstance(value, (tuple, list)) else {value}
        if values != {1}:
            one = values.pop() if len(values) == 1 else _square(value)
            parts.append(f", {name} {one}")
    return "".join(parts)


def title(module: Any) -> str:
    """A module's class with the numbers that matter: `Conv2d 7×7, 64, stride 2`."""
    name = type(module).__name__
    has = lambda *names: all(getattr(module, n, None) is not None for n in names)
    if has("kernel_size", "out_channels"):
        return f"{name} {_square(module.kernel_size)}, {module.out_channels}{_steps(module)}"
    if has("in_features", "out_features"):
        return f"{name} {module.in_features}→{module.out_features}"
    if has("num_embeddings", "embedding_dim"):
        return f"{name} {module.num_embeddings}×{module.embedding_dim}"
    if has("embed_dim", "num_heads"):
        return f"{name} {module.embed_dim}, {module.num_heads} heads"
    if has("input_size", "hidden_size"):
        return f"{name} {module.input_size}→{module.hidden_size}"
    if has("kernel_size"):
        return f"{name} {_square(module.kernel_size)}{_steps(module)}"
    for one in ("num_features", "num_channels", "normalized_shape", "output_size", "p"):
        if has(one):
            value = getattr(module, one)
            shown = value if isinstance(value, (int, float)) else _square(value)
            return f"{name} {shown}"
    return name


def call_title(name: str) -> str:
    """A function's name as the first words of a box: `Flatten`, `Scaled dot product attention`."""
    words = name.strip("_").replace("_", " ")
    return words[:1].upper() + words[1:]
