"""Batch normalisation (Ioffe & Szegedy 2015) and the base of instance normalisation."""

from __future__ import annotations

from typing import Any

from pellucid import ops
from pellucid.autograd.modes import no_grad
from pellucid.nn import functional as F
from pellucid.nn import init
from pellucid.nn.module import Module
from pellucid.nn.modules.lazy import LazyModuleMixin
from pellucid.nn.parameter import Parameter, UninitializedBuffer, UninitializedParameter
from pellucid.tensor.dtype import int64
from pellucid.tensor.tensor import Tensor


class _NormBase(Module):
    """Per-channel scale, shift and running statistics, each of shape (num_features,).

    Args:
        num_features: C, the size of the channel dimension.
        eps: added to the variance.
        momentum: weight of the newest statistics in the running ones; `None` averages all.
        affine: whether scale and shift are learned.
        track_running_stats: whether statistics are kept for inference.
        bias: whether there is a shift.
    """

    _version = 2  # version 2 added num_batches_tracked
    weight: Any  # Tensor | None, like the following
    bias: Any
    running_mean: Any
    running_var: Any
    num_batches_tracked: Any

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        options = {"device": device, "dtype": dtype}
        for name, wanted in (("weight", affine), ("bias", affine and bias)):
            values = Parameter(ops.empty(num_features, **options)) if wanted else None
            self.register_parameter(name, values)
        statistics: tuple[Tensor | None, ...] = (None, None, None)
        if track_running_stats:
            statistics = (
                ops.zeros(num_features, **options),
                ops.ones(num_features, **options),
                ops.tensor(0, dtype=int64, device=device),
            )
        names = ("running_mean", "running_var", "num_batches_tracked")
        for name, statistic in zip(names, statistics, strict=True):
            self.register_buffer(name, statistic)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Forget what has been seen: mean 0, variance 1."""
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Scale 1, shift 0, statistics forgotten."""
        self.reset_running_stats()
        if self.affine:
            init.ones_(self.weight)
            if self.bias is not None:
                init.zeros_(self.bias)

    def _check_input_dim(self, input: Tensor) -> None:
        raise NotImplementedError

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, bias={self.bias is not None}, "
            f"track_running_stats={self.track_running_stats}"
        )

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, local_metadata: Any, *lists: Any
    ) -> None:
        version = local_metadata.get("version", None)
        key = prefix + "num_batches_tracked"
        if (version is None or version < 2) and self.track_running_stats and key not in state_dict:
            counter = self.num_batches_tracked  # states of version 1 do not have it
            state_dict[key] = ops.tensor(0, dtype=int64) if counter is None else counter
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *lists)


class _BatchNorm(_NormBase):
    """Normalises each channel over the batch and all positions."""

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        update = self.training and self.track_running_stats
        factor = 0.0 if self.momentum is None else self.momentum
        if update and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:
                factor = 1.0 / float(self.num_batches_tracked)
        # Statistics come from the batch in training, and wherever none are kept.
        from_batch = self.training or (self.running_mean is None and self.running_var is None)
        pass_running = not self.training or self.track_running_stats
        return F.batch_norm(
            input,
            self.running_mean if pass_running else None,
            self.running_var if pass_running else None,
            self.weight,
            self.bias,
            from_batch,
            factor,
            self.eps,
        )


def _check_dim(input: Tensor, *allowed: int) -> None:
    if input.dim() not in allowed:
        expected = " or ".join(f"{n}D" for n in allowed)
        raise ValueError(f"expected {expected} input (got {input.dim()}D input)")


class BatchNorm1d(_BatchNorm):
    """y = (x − mean) / √(var + eps) · weight + bias, per channel of (N, C) or (N, C, L).

    In training, mean and (biased) variance are those of the batch, and the running ones move
    towards them (the variance unbiased) by `momentum`; in inference the running ones are used.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        _check_dim(input, 2, 3)


class BatchNorm2d(_BatchNorm):
    """Like `BatchNorm1d`, over images (N, C, H, W)."""

    def _check_input_dim(self, input: Tensor) -> None:
        _check_dim(input, 4)


class BatchNorm3d(_BatchNorm):
    """Like `BatchNorm1d`, over volumes (N, C, D, H, W)."""

    def _check_input_dim(self, input: Tensor) -> None:
        _check_dim(input, 5)


class SyncBatchNorm(_BatchNorm):
    """Batch norm over all processes of a group; in one process, as here, plain batch norm."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        process_group: Any = None,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias
        )
        self.process_group = process_group

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"expected at least 2D input (got {input.dim()}D input)")
        if input.size(1) == 0:
            raise ValueError("SyncBatchNorm number of input channels should be non-zero")

    @classmethod
    def convert_sync_batchnorm(cls, module: Module, process_group: Any = None) -> Module:
        """Replace every batch norm in `module` by a `SyncBatchNorm` with the same tensors."""
        converted = module
        if isinstance(module, _BatchNorm):
            converted = SyncBatchNorm(
                module.num_features,
                module.eps,
                module.momentum,
                module.affine,
                module.track_running_stats,
                process_group,
                bias=module.bias is not None,
            )
            if module.affine:
                converted.weight, converted.bias = module.weight, module.bias
            converted.running_mean = module.running_mean
            converted.running_var = module.running_var
            converted.num_batches_tracked = module.num_batches_tracked
            converted.training = module.training
        for name, child in module.named_children():
            converted.add_module(name, cls.convert_sync_batchnorm(child, process_group))
        return converted


class _LazyNormBase(LazyModuleMixin, _NormBase):
    """A norm that takes `num_features` from its first input."""

    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(0, eps, momentum, False, False, device, dtype, bias=False)
        self.affine = affine
        self.track_running_stats = track_running_stats
        options = {"device": device, "dtype": dtype}
        if affine:
            self.weight = UninitializedParameter(**options)
            if bias:
                self.bias = UninitializedParameter(**options)
        if track_running_stats:
            self.running_mean = UninitializedBuffer(**options)
            self.running_var = UninitializedBuffer(**options)
            self.num_batches_tracked = ops.tensor(0, dtype=int64, device=device)

    def reset_parameters(self) -> None:
        if not self.has_uninitialized_params() and self.num_features != 0:
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor) -> None:
        if not self.has_uninitialized_params():
            return
        self.num_features = input.shape[1]
        waiting = [self.weight, self.bias] if self.affine else []
        waiting += [self.running_mean, self.running_var] if self.track_running_stats else []
        with no_grad():
            for tensor in waiting:
                if tensor is not None:
                    tensor.materialize((self.num_features,))
        self.reset_parameters()


class LazyBatchNorm1d(_LazyNormBase, _BatchNorm):
    """A `BatchNorm1d` that takes `num_features` from its first input."""

    cls_to_become = BatchNorm1d

    def _check_input_dim(self, input: Tensor) -> None:
        _check_dim(input, 2, 3)


class LazyBatchNorm2d(_LazyNormBase, _BatchNorm):
    """A `BatchNorm2d` that takes `num_features` from its first input."""

    cls_to_become = BatchNorm2d

    def _check_input_dim(self, input: Tensor) -> None:
        _check_dim(input, 4)


class LazyBatchNorm3d(_LazyNormBase, _BatchNorm):
    """A `BatchNorm3d` that takes `num_features` from its first input."""

    cls_to_become = BatchNorm3d

    def _check_input_dim(self, input: Tensor) -> None:
        _check_dim(input, 5)
