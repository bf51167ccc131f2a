# Written by tools/write_stubs.py from the operators' descriptions: do not edit.
from typing import Any

from pellucid.tensor.tensor import Tensor

def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Tensor: ...
def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor: ...
def adaptive_avg_pool3d(input: Tensor, output_size: Any) -> Tensor: ...
def adaptive_max_pool1d(input: Tensor, output_size: Any, return_indices: bool = ...) -> Any: ...
def adaptive_max_pool1d_with_indices(
    input: Tensor, output_size: Any, return_indices: bool = ...
) -> Any: ...
def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = ...) -> Any: ...
def adaptive_max_pool2d_with_indices(
    input: Tensor, output_size: Any, return_indices: bool = ...
) -> Any: ...
def adaptive_max_pool3d(input: Tensor, output_size: Any, return_indices: bool = ...) -> Any: ...
def adaptive_max_pool3d_with_indices(
    input: Tensor, output_size: Any, return_indices: bool = ...
) -> Any: ...
def avg_pool1d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = ...,
    padding: Any = ...,
    ceil_mode: bool = ...,
    count_include_pad: bool = ...,
) -> Tensor: ...
def avg_pool2d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = ...,
    padding: Any = ...,
    ceil_mode: bool = ...,
    count_include_pad: bool = ...,
    divisor_override: int | None = ...,
    *,
    out: Any = ...,
) -> Tensor: ...
def avg_pool3d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = ...,
    padding: Any = ...,
    ceil_mode: bool = ...,
    count_include_pad: bool = ...,
    divisor_override: int | None = ...,
    *,
    out: Any = ...,
) -> Tensor: ...
def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = ...,
    bias: Tensor | None = ...,
    training: bool = ...,
    momentum: float = ...,
    eps: float = ...,
) -> Tensor: ...
def celu(input: Tensor, *, alpha: Any = ..., out: Tensor | None = ...) -> Tensor: ...
def celu_(input: Tensor, *, alpha: Any = ..., out: Tensor | None = ...) -> Tensor: ...
def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = ...,
    stride: Any = ...,
    padding: Any = ...,
    dilation: Any = ...,
    groups: int = ...,
) -> Tensor: ...
def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = ...,
    stride: Any = ...,
    padding: Any = ...,
    dilation: Any = ...,
    groups: int = ...,
) -> Tensor: ...
def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = ...,
    stride: Any = ...,
    padding: Any = ...,
    dilation: Any = ...,
    groups: int = ...,
) -> Tensor: ...
def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = ...,
    stride: Any = ...,
    padding: Any = ...,
    output_padding: Any = ...,
    groups: int = ...,
    dilation: Any = ...,
) -> Tensor: ...
def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = ...,
    stride: Any = ...,
    padding: Any = ...,
    output_padding: Any = ...,
    groups: int = ...,
    dilation: Any = ...,
) -> Tensor: ...
def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = ...,
    stride: Any = ...,
    padding: Any = ...,
    output_padding: Any = ...,
    groups: int = ...,
    dilation: Any = ...,
) -> Tensor: ...
def elu(input: Tensor, *, alpha: Any = ..., out: Tensor | None = ...) -> Tensor: ...
def elu_(input: Tensor, *, alpha: Any = ..., out: Tensor | None = ...) -> Tensor: ...
def expit(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Any,
    full: bool = ...,
    eps: float = ...,
    reduction: str = ...,
) -> Tensor: ...
def gelu(input: Tensor, *, approximate: Any = ..., out: Tensor | None = ...) -> Tensor: ...
def glu(input: Tensor, dim: int = ...) -> Tensor: ...
def hardshrink(input: Tensor, *, lambd: Any = ..., out: Tensor | None = ...) -> Tensor: ...
def hardsigmoid(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def hardswish(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def hardtanh(
    input: Tensor, *, min_val: Any = ..., max_val: Any = ..., out: Tensor | None = ...
) -> Tensor: ...
def hardtanh_(
    input: Tensor, *, min_val: Any = ..., max_val: Any = ..., out: Tensor | None = ...
) -> Tensor: ...
def huber_loss(
    input: Tensor,
    target: Tensor,
    reduction: str = ...,
    delta: float = ...,
    weight: Tensor | None = ...,
) -> Tensor: ...
def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = ...,
    reduce: bool | None = ...,
    reduction: str = ...,
    log_target: bool = ...,
) -> Tensor: ...
def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = ...,
    reduce: bool | None = ...,
    reduction: str = ...,
    weight: Tensor | None = ...,
) -> Tensor: ...
def layer_norm(
    input: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = ...,
    bias: Tensor | None = ...,
    eps: float = ...,
) -> Tensor: ...
def leaky_relu(input: Tensor, *, negative_slope: Any = ..., out: Tensor | None = ...) -> Tensor: ...
def leaky_relu_(
    input: Tensor, *, negative_slope: Any = ..., out: Tensor | None = ...
) -> Tensor: ...
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = ...) -> Tensor: ...
def log_softmax(
    input: Tensor, dim: int | None = ..., _stacklevel: int = ..., dtype: Any = ...
) -> Tensor: ...
def logsigmoid(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def max_pool1d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = ...,
    padding: Any = ...,
    dilation: Any = ...,
    ceil_mode: bool = ...,
    return_indices: bool = ...,
) -> Any: ...
def max_pool1d_with_indices(
    input: Tensor,
    kernel_size: Any,
    stride: Any = ...,
    padding: Any = ...,
    dilation: Any = ...,
    ceil_mode: bool = ...,
    return_indices: bool = ...,
) -> Any: ...
def max_pool2d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = ...,
    padding: Any = ...,
    dilation: Any = ...,
    ceil_mode: bool = ...,
    return_indices: bool = ...,
) -> Any: ...
def max_pool2d_with_indices(
    input: Tensor,
    kernel_size: Any,
    stride: Any = ...,
    padding: Any = ...,
    dilation: Any = ...,
    ceil_mode: bool = ...,
    return_indices: bool = ...,
) -> Any: ...
def max_pool3d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = ...,
    padding: Any = ...,
    dilation: Any = ...,
    ceil_mode: bool = ...,
    return_indices: bool = ...,
) -> Any: ...
def max_pool3d_with_indices(
    input: Tensor,
    kernel_size: Any,
    stride: Any = ...,
    padding: Any = ...,
    dilation: Any = ...,
    ceil_mode: bool = ...,
    return_indices: bool = ...,
) -> Any: ...
def mish(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = ...,
    reduce: bool | None = ...,
    reduction: str = ...,
    weight: Tensor | None = ...,
) -> Tensor: ...
def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = ...,
    full: bool = ...,
    size_average: bool | None = ...,
    eps: float = ...,
    reduce: bool | None = ...,
    reduction: str = ...,
) -> Tensor: ...
def prelu(input: Tensor, weight: Tensor) -> Tensor: ...
def relu(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def relu6(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def relu_(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def rrelu(
    input: Tensor,
    lower: float = ...,
    upper: float = ...,
    training: bool = ...,
    inplace: Any = ...,
    generator: Any = ...,
) -> Tensor: ...
def rrelu_(
    input: Tensor, lower: float = ..., upper: float = ..., training: bool = ...
) -> Tensor: ...
def selu(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def selu_(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def sigmoid(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def silu(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = ...,
    reduce: bool | None = ...,
    reduction: str = ...,
    beta: float = ...,
) -> Tensor: ...
def softmax(
    input: Tensor, dim: int | None = ..., _stacklevel: int = ..., dtype: Any = ...
) -> Tensor: ...
def softmin(
    input: Tensor, dim: int | None = ..., _stacklevel: int = ..., dtype: Any = ...
) -> Tensor: ...
def softplus(
    input: Tensor, *, beta: Any = ..., threshold: Any = ..., out: Tensor | None = ...
) -> Tensor: ...
def softshrink(input: Tensor, *, lambd: Any = ..., out: Tensor | None = ...) -> Tensor: ...
def softsign(input: Tensor) -> Tensor: ...
def tanh(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def tanhshrink(input: Tensor) -> Tensor: ...
def threshold(input: Tensor, threshold: Any, value: Any, *, out: Tensor | None = ...) -> Tensor: ...
def threshold_(
    input: Tensor, threshold: Any, value: Any, *, out: Tensor | None = ...
) -> Tensor: ...
