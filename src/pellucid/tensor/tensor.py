"""`Tensor`: a storage, a layout, a dtype, and what the tape remembers.

The class is born here without operators: `pellucid.ops` attaches the methods its specs name,
`pellucid.autograd` those of the tape. What stands here is metadata and the way to the data,
`_array`: the NumPy array that shows exactly this layout of this storage.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from operator import index as to_index
from typing import TYPE_CHECKING, Any

import numpy as np

from pellucid.tensor import layout as layouts
from pellucid.tensor.device import CPU, META, contiguous_format, device, memory_format, strided
from pellucid.tensor.dtype import dtype, from_numpy_dtype
from pellucid.tensor.layout import Layout, contiguous
from pellucid.tensor.printing import represent, represent_without_data
from pellucid.tensor.refusals import no_memory, no_number
from pellucid.tensor.size import Size
from pellucid.tensor.storage import Storage

if TYPE_CHECKING:
    import weakref

    from pellucid.tensor.methods import Methods  # written from the operators' descriptions
else:
    Methods = object


def _dimension(name: str, dim: Any) -> int:
    """`dim` as a Python int, as PyTorch's parser reads it."""
    if type(dim) is int:
        return dim
    if hasattr(dim, "__index__") and not isinstance(dim, bool) and not getattr(dim, "ndim", 0):
        try:
            return to_index(dim)
        except TypeError:
            pass
    raise TypeError(f"{name}(): argument 'dim' (position 1) must be int, not {type(dim).__name__}")


_NO: Any = property(lambda self: False)


class Tensor(Methods):
    """A view of a storage: shape, strides, offset and dtype over shared bytes, with a place on the
    tape.

    Made by `pellucid.tensor(...)`, `zeros`, `randn`, … and by operators; `Tensor(2, 3)` and
    `Tensor([1, 2])` are PyTorch's old constructors. Fields (internal, but stable for the rooms
    above): `_storage`, `_layout`, `_dtype`, `_array`; `_requires_grad` (true for leaves that want a
    gradient and for everything computed from them), `_grad_fn` and `_output_nr` (the node that made
    it), `_base` (the tensor this is a view of), `_view` (why the tape refuses writes through this
    view, if it does) and `_view_version` (the storage's version when `_grad_fn` was set).
    """

    _storage: Storage
    _layout: Layout
    _dtype: dtype
    _array: np.ndarray
    if TYPE_CHECKING:
        dtype: dtype
    else:  # reading it takes no Python frame; hot paths read `_dtype`
        dtype = property(attrgetter("_dtype"), doc="The type of the elements.")

    # What most tensors do not have costs them nothing: these defaults live on the class.
    _requires_grad: bool = False
    _grad_fn: Any = None
    _output_nr: int = 0
    _base: Tensor | None = None
    _view: str | None = None
    _view_version: int = 0
    _grad: Tensor | None = None
    _hooks: Any = None
    _post_accumulate_hooks: Any = None
    _accumulator: weakref.ref[Any] | None = None
    _retains_grad: bool = False
    _inference: bool = False
    _plain: bool = True
    """Whether exactly this class (not a subclass of it) is printed as `tensor(...)`."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Tensor:
        return _legacy_constructor(cls, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name == "_array":
            storage = self._storage
            array = make_array(storage, self._layout, self._dtype)
            if storage.lazy:  # not kept: the memory that it is read from may be written
                return storage.read(array)  # type: ignore[attr-defined]
            self._array = array
            return array
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    # -- metadata

    @property
    def shape(self) -> Size:
        """The sizes of the dimensions."""
        return _new_size(Size, self._layout.shape)

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self._layout.shape)

    def dim(self) -> int:
        """The number of dimensions."""
        return len(self._layout.shape)

    ndimension = dim

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of dimension `dim`."""
        if dim is None:
            return _new_size(Size, self._layout.shape)
        shape = self._layout.shape
        return shape[layouts.normalize_dim(_dimension("size", dim), len(shape))]

    def stride(self, dim: int | None = None) -> Any:
        """The strides in elements, or the stride of dimension `dim`."""
        strides = self._layout.strides
        if dim is None:
            return tuple(strides)
        return strides[layouts.normalize_dim(_dimension("stride", dim), len(strides))]

    def storage_offset(self) -> int:
        """Where the first element lies in the storage, in elements."""
        return self._layout.offset

    def numel(self) -> int:
        """The number of elements."""
        return self._layout.numel

    nelement = numel

    def element_size(self) -> int:
        """Bytes per element."""
        return self.dtype.itemsize

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Elements times bytes per element (what a contiguous copy would take)."""
        return self._layout.numel * self.dtype.itemsize

    def is_contiguous(self, memory_format: memory_format = contiguous_format) -> bool:
        """Whether the elements lie in memory in the order of `memory_format` without gaps."""
        return self._layout.is_contiguous(getattr(memory_format, "name", memory_format))  # type: ignore[arg-type]

    def untyped_storage(self) -> Storage:
        """The bytes this tensor looks at, shared with all its views."""
        return self._storage.base

    def data_ptr(self) -> int:
        """The address of the first element (0 for tensors without elements)."""
        if not self._layout.numel or self._storage.meta:
            return 0
        return self._storage.address + self._layout.offset * self.dtype.itemsize

    @property
    def device(self) -> device:
        """The CPU, or "meta" for a tensor without data."""
        return META if self._storage.meta else CPU

    @property
    def is_meta(self) -> bool:
        """Whether the tensor has no data."""
        return self._storage.meta

    @property
    def is_cpu(self) -> bool:
        """Whether the tensor has its data in memory."""
        return not self._storage.meta

    @property
    def layout(self) -> Any:
        """`torch.strided`."""
        return strided

    is_cuda = is_sparse = is_quantized = is_mkldnn = is_mps = is_xpu = is_nested = _NO
    is_sparse_csr = is_vulkan = is_ipu = is_xla = is_mtia = is_maia = _NO

    @property
    def names(self) -> tuple[None, ...]:
        """The names of the dimensions, which have none."""
        return (None,) * self.ndim

    @names.setter
    def names(self, names: Any) -> None:
        if names is not None and any(name is not None for name in names):
            raise NotImplementedError(
                f"Pellucid's dimensions have no names, so names={tuple(names)} cannot be given.\n"
                "  einops-style names live in einsum's letters; dimensions go by their number."
            )

    def is_floating_point(self) -> bool:
        """Whether the dtype is a floating one."""
        return self.dtype.is_floating_point

    def is_complex(self) -> bool:
        """Whether the dtype is a complex one."""
        return self.dtype.is_complex

    def is_signed(self) -> bool:
        """Whether the dtype has negative numbers."""
        return self.dtype.is_signed

    def is_inference(self) -> bool:
        """Whether the tensor was made in inference mode."""
        return self._inference

    def get_device(self) -> int:
        """-1: the CPU has no index."""
        return -1

    def is_shared(self) -> bool:
        """Whether the memory is shared with other processes: no."""
        return False

    def is_pinned(self) -> bool:
        """Whether the memory is page-locked: no."""
        return False

    def is_conj(self) -> bool:
        """Whether the tensor is a conjugate that is computed when it is read."""
        return self._storage.conjugated

    def is_neg(self) -> bool:
        """Whether the tensor is a negative that is computed when it is read."""
        return self._storage.negated

    @property
    def _version(self) -> int:
        if self._inference:
            raise RuntimeError("Inference tensors do not track version counter.")
        return self._storage.version

    def _is_view(self) -> bool:
        return self._base is not None

    def _twin(self) -> Tensor:
        """Another tensor over the same memory, not on the tape."""
        return make(self._storage, self._layout, self.dtype)

    def _bump_version(self) -> None:
        """Tell the tape that the data was written (writers outside the operators call this)."""
        self._storage.version += 1

    # -- data out

    def item(self) -> Any:
        """The only element, as a Python number."""
        if self._layout.numel != 1:
            raise RuntimeError(
                f"a Tensor with {self._layout.numel} elements cannot be converted to Scalar"
            )
        if self._storage.meta:
            raise no_number()
        value = self._array.item()
        return value if isinstance(value, (bool, int, float, complex)) else float(value)

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers (a number for 0-dim tensors)."""
        if self.dtype.name == "bfloat16":
            return self._array.astype(np.float32).tolist()
        return self._array.tolist()

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """A NumPy array over the same memory. `force=True` detaches first."""
        if self._requires_grad and not force:
            raise RuntimeError(
                "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() "
                "instead."
            )
        if self.dtype.name == "bfloat16":
            raise TypeError("Got unsupported ScalarType BFloat16")
        if self._storage.meta:
            raise TypeError(
                "can't convert meta device type tensor to numpy. Use Tensor.cpu() to copy the "
                "tensor to host memory first.\n  It has no data that could be copied: "
                "torch.empty_like(x, device='cpu') has memory to be filled."
            )
        if self._storage.lazy:
            return self._resolved_numpy(force)
        return self._array.view()

    def _resolved_numpy(self, force: bool) -> np.ndarray:
        if force:
            return self._array.copy()
        conjugated = self._storage.conjugated
        words, way = ("conjugate", "resolve_conj") if conjugated else ("negative", "resolve_neg")
        raise RuntimeError(
            f"Can't call numpy() on Tensor that has {words} bit set. Use tensor.{way}().numpy() "
            "instead."
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __array_wrap__(
        self, array: np.ndarray, context: Any = None, return_scalar: bool = False
    ) -> Tensor:
        """What a NumPy function computed of this tensor, as a tensor: `np.sin(t)`, `t * array`.

        Booleans become `uint8`, as in PyTorch.
        """
        return from_numpy(array.astype(np.uint8) if array.dtype == bool else array)

    __array_priority__ = 1000

    def _scalar(self) -> Any:
        if self._layout.numel != 1:
            raise ValueError("only one element tensors can be converted to Python scalars")
        return self.item()

    def __bool__(self) -> bool:
        count = self._layout.numel
        if count != 1:
            if count == 0:
                raise RuntimeError("Boolean value of Tensor with no values is ambiguous")
            raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")
        if self._storage.meta:
            raise no_number()
        return bool(self._array.item())

    def __float__(self) -> float:
        return float(_real_number(self._scalar(), "double"))

    def __int__(self) -> int:
        return int(_real_number(self._scalar(), "int64_t"))

    def __complex__(self) -> complex:
        return complex(self._scalar())

    def __index__(self) -> int:
        if self.dtype.category > 1 or self._layout.numel != 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self.item())

    def __len__(self) -> int:
        if not self._layout.shape:
            raise TypeError("len() of a 0-d tensor")
        return self._layout.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self._layout.shape:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self, *, tensor_contents: str | None = None) -> str:
        """The values, and what they do not say; `tensor_contents` is shown in their place."""
        try:
            node = getattr(self, "grad_fn", None)
            grad_fn = None if node is None else node.name().rsplit("::", 1)[-1]
        except RuntimeError:  # a view that was made or written in no_grad mode
            grad_fn = "Invalid"
        cls = type(self)
        if self._storage.meta:
            return represent_without_data(
                self._layout.shape,
                self.dtype,
                name="tensor" if cls.__dict__.get("_plain") else cls.__name__,
                grad_fn=grad_fn,
                requires_grad=self._requires_grad,
            )
        return represent(
            self._array,
            self.dtype,
            name="tensor" if cls.__dict__.get("_plain") else cls.__name__,
            grad_fn=grad_fn,
            requires_grad=self._requires_grad,
            numbers=tensor_contents,
        )

    def __format__(self, spec: str) -> str:
        if self._layout.shape == () and type(self) is Tensor and not self._storage.meta:
            return self.item().__format__(spec)
        return object.__format__(self, spec)


def _real_number(value: Any, target: str) -> float:
    if isinstance(value, complex):
        if value.imag:
            raise RuntimeError(f"value cannot be converted to type {target} without overflow")
        return value.real
    return value


def make_array(storage: Storage, layout: Layout, dtype: dtype) -> np.ndarray:
    """The NumPy array that shows `layout` of `storage`."""
    size = dtype.itemsize
    shape, strides, offset = layout
    if not layout.numel:
        return np.ndarray(shape, dtype.numpy)
    return np.ndarray(
        shape, dtype.numpy, storage.buffer, offset * size, [s * size for s in strides]
    )


_new = object.__new__
_ndarray = np.ndarray
_new_size = tuple.__new__  # no look at sizes that are known to be ints


def make(storage: Storage, layout: Layout, dtype: dtype) -> Tensor:
    """A tensor that shows `layout` of `storage`, not on the tape."""
    t = _new(Tensor)
    t._storage = storage
    t._layout = layout
    t._dtype = dtype
    return t


def empty(layout: Layout, dtype: dtype) -> Tensor:
    """A tensor over fresh, uninitialised memory.

    `layout` must start at offset 0 and be dense (or be made so by the caller).
    """
    t = _new(Tensor)
    try:
        t._storage = storage = Storage(layout.numel * dtype.itemsize)
    except (MemoryError, ValueError):
        raise no_memory(layout.shape, layout.numel * dtype.itemsize) from None
    if layout.is_row_major:  # `_array` at once: what is empty is about to be filled
        t._array = _ndarray(layout.shape, dtype.numpy, storage.buffer)
    t._layout = layout
    t._dtype = dtype
    return t


def adopt(array: np.ndarray, own: dtype | None = None) -> Tensor:
    """A tensor over a NumPy array that nobody else will write: the result of a computation.

    Dense arrays (in any order of dimensions) are taken as they are, others are copied.
    """
    if type(array) is not np.ndarray:
        array = np.asarray(array)
    found = own if own is not None else from_numpy_dtype(array.dtype)
    if not array.flags.forc and array.size:
        size = array.itemsize
        strides = tuple(s // size for s in array.strides)
        layout = Layout(array.shape, strides, 0)
        if min(strides, default=0) < 0 or not layouts.is_non_overlapping_and_dense(layout):
            array = np.ascontiguousarray(array)
    if array.flags.c_contiguous or not array.size:
        layout = contiguous(array.shape)
    else:
        size = array.itemsize
        layout = Layout(array.shape, tuple(s // size for s in array.strides), 0)
    t = _new(Tensor)
    t._array = array
    t._storage = Storage.adopt(array)
    t._layout = layout
    t._dtype = found
    return t


def from_numpy(array: np.ndarray) -> Tensor:
    """A tensor over the memory of `array`, shared both ways (`torch.from_numpy`)."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(array).__name__})")
    found = from_numpy_dtype(array.dtype)
    size = array.itemsize
    if any(s < 0 for s in array.strides):
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative "
            "strides are not "
            "currently supported. (You can probably work around this by making a copy of your "
            "array  with array.copy().) "
        )
    if any(s % size for s in array.strides):
        raise ValueError(
            "given numpy array strides not a multiple of the element byte size. Copy the numpy "
            "array to reallocate the memory."
        )
    layout = Layout(array.shape, tuple(s // size for s in array.strides), 0)
    span = layouts.span(layout)
    flat = np.lib.stride_tricks.as_strided(array, (span,), (size,), writeable=array.flags.writeable)
    t = _new(Tensor)
    t._storage = Storage.adopt(flat)
    t._layout = layout
    t._dtype = found
    t._array = array if type(array) is np.ndarray else array.view(np.ndarray)
    return t


def _legacy_constructor(cls: type[Tensor], *args: Any, **kwargs: Any) -> Tensor:
    raise NotImplementedError  # replaced by pellucid.ops.creation.legacy
