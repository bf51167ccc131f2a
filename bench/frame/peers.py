"""Who takes part: for each peer, how a benchmark becomes a call.

A peer that is not installed is left out with a word (`Absent`), and so is one that fails.
All peers that run a network compute with the same weights on the same inputs.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import os
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.frame.registry import Benchmark, Call, Network

Weights = dict[str, np.ndarray]
OURS = "pellucid"


class Absent(Exception):
    """Why a peer does not take part, for the reader of the table."""


class NotMeant(Exception):
    """This kind of benchmark is not for this peer: nothing to tell."""


@dataclass(frozen=True)
class Work:
    """A benchmark, what it is run with, and the threads each peer may use."""

    benchmark: Benchmark
    weights: Weights
    inputs: tuple[np.ndarray, ...]
    threads: int

    def module(self, t: Any) -> tuple[Any, tuple[Any, ...]]:
        """The network in `t`'s classes, in evaluation mode, and its inputs as tensors."""
        return built(t, self.network, self.weights), tuple(map(t.from_numpy, self.inputs))

    @property
    def network(self) -> Network:
        """The benchmark's network. Raises NotMeant if it is none."""
        if self.benchmark.network is None:
            raise NotMeant
        return self.benchmark.network


@dataclass(frozen=True)
class Peer:
    """A way to run benchmarks: the packages it needs, and how it prepares a call."""

    name: str
    needs: tuple[str, ...]
    prepare: Callable[[Work], Call]

    def call(self, work: Work) -> Call:
        """The call to time; a benchmark's own call for this peer goes first.

        Raises: Absent, NotMeant.
        """
        for package in self.needs:
            if importlib.util.find_spec(package) is None:
                raise Absent(f"{package} is not installed")
        by_hand = work.benchmark.own.get(self.name)
        return self.prepare(work) if by_hand is None else by_hand()


def prepare_work(benchmark: Benchmark, threads: int) -> Work:
    """Draw the weights and make the inputs of a benchmark."""
    network = benchmark.network
    if network is None:
        return Work(benchmark, {}, (), threads)
    ours = importlib.import_module(OURS)
    ours.manual_seed(0)
    state = network.module(ours).state_dict()
    weights = {name: value.numpy().copy() for name, value in state.items()}
    return Work(benchmark, weights, network.inputs(), threads)


def built(t: Any, network: Network, weights: Weights) -> Any:
    """The network in `t`'s classes with these weights, in evaluation mode."""
    module = network.module(t)
    module.load_state_dict({name: t.from_numpy(value) for name, value in weights.items()})
    return module.eval()


def inference(t: Any, module: Any, inputs: Sequence[Any]) -> Call:
    """A call that runs a module without recording."""

    def call() -> Any:
        with t.no_grad():
            return module(*inputs)

    return call


def exact_answer(work: Work) -> Any:
    """The outcome in float64: PyTorch's if it is installed, else Pellucid's own."""
    t = importlib.import_module("torch" if importlib.util.find_spec("torch") else OURS)
    if work.benchmark.program is not None:
        return work.benchmark.program(t, t.float64)()
    module, inputs = work.module(t)
    wide = [x.double() if x.is_floating_point() else x for x in inputs]
    return inference(t, module.double(), wide)()


def _eager(name: str) -> Callable[[Work], Call]:
    """Run programs and networks as they are, on a module with PyTorch's names."""

    def prepare(work: Work) -> Call:
        t = importlib.import_module(name)
        t.set_num_threads(work.threads)
        if work.benchmark.program is not None:
            return work.benchmark.program(t, t.float32)
        module, inputs = work.module(t)
        if work.benchmark.compiled and name == OURS:
            module = t.compile(module)
        return inference(t, module, inputs)

    return prepare


def _ours(precision: str) -> Callable[[Work], Call]:
    """Pellucid's compiled network, multiplying in a lower precision."""

    def prepare(work: Work) -> Call:
        if not work.benchmark.compiled:
            raise NotMeant
        t = importlib.import_module(OURS)
        t.set_num_threads(work.threads)
        module, inputs = work.module(t)
        return inference(t, t.compile(module, precision=precision), inputs)

    return prepare


def _channels_last(work: Work) -> Call:
    """PyTorch with images and weights in NHWC memory."""
    if not any(x.ndim == 4 for x in work.inputs):
        raise NotMeant
    t = importlib.import_module("torch")
    t.set_num_threads(work.threads)
    module, inputs = work.module(t)
    nhwc = t.channels_last
    moved = [x.to(memory_format=nhwc) if x.ndim == 4 else x for x in inputs]
    return inference(t, module.to(memory_format=nhwc), moved)


def _compiled(work: Work) -> Call:
    """`torch.compile`, compiled before the clock starts."""
    t = importlib.import_module("torch")
    t.set_num_threads(work.threads)
    module, inputs = work.module(t)
    call = inference(t, t.compile(module), inputs)
    call()
    return call


def _onnx_file(work: Work, folder: str) -> Path:
    """The network as ONNX, by PyTorch's exporter."""
    t = importlib.import_module("torch")
    module, inputs = work.module(t)
    path = Path(folder) / "network.onnx"
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        t.onnx.export(module, inputs, str(path), dynamo=False)
    return path


def _onnxruntime(work: Work) -> Call:
    """ONNX Runtime on its CPU provider."""
    _ = work.network
    ort = importlib.import_module("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads = work.threads
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as folder:
        path = _onnx_file(work, folder)
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    feeds = {each.name: x for each, x in zip(session.get_inputs(), work.inputs, strict=True)}
    return lambda: session.run(None, feeds)


def _openvino(precision: str) -> Callable[[Work], Call]:
    """OpenVINO's CPU plugin, computing in this precision."""

    def prepare(work: Work) -> Call:
        _ = work.network
        os.environ.setdefault("OPENVINO_TELEMETRY_OPT_OUT", "1")
        ov = importlib.import_module("openvino")
        with tempfile.TemporaryDirectory() as folder:
            model = ov.convert_model(str(_onnx_file(work, folder)))
            settings = {
                "INFERENCE_NUM_THREADS": work.threads,
                "INFERENCE_PRECISION_HINT": precision,
                "PERFORMANCE_HINT": "LATENCY",
            }
            compiled = ov.compile_model(model, "CPU", settings)
        used = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
        if used != precision:
            raise Absent(f"computes in {used} on this processor")
        request = compiled.create_infer_request()
        inputs = list(work.inputs)

        def call() -> Any:
            found = request.infer(inputs, share_inputs=True, share_outputs=True)
            return list(found.values())

        return call

    return prepare


def _own_only(work: Work) -> Call:
    raise NotMeant


PEERS = (
    Peer(OURS, (OURS,), _eager(OURS)),
    Peer(f"{OURS} bf16", (OURS,), _ours("bfloat16")),
    Peer(f"{OURS} int8", (OURS,), _ours("int8")),
    Peer("numpy", ("numpy",), _own_only),
    Peer("torch", ("torch",), _eager("torch")),
    Peer("torch channels-last", ("torch",), _channels_last),
    Peer("torch.compile", ("torch",), _compiled),
    Peer("onnxruntime", ("torch", "onnx", "onnxruntime"), _onnxruntime),
    Peer("openvino", ("torch", "onnx", "openvino"), _openvino("f32")),
    Peer("openvino bf16", ("torch", "onnx", "openvino"), _openvino("bf16")),
    Peer("jax", ("jax",), _own_only),
    Peer("jax scan", ("jax",), _own_only),
)
PACKAGES = (OURS, "numpy", "llvmlite", "torch", "onnxruntime", "openvino", "jax")
"""The packages whose versions stand beside the numbers."""


def choose(names: Sequence[str]) -> list[Peer]:
    """The peers of these names and Pellucid, in the usual order; all for none.

    Raises: KeyError for a name that is no peer's.
    """
    known = [peer.name for peer in PEERS]
    for name in names:
        if name not in known:
            raise KeyError(f"no peer is named {name!r}: there are {', '.join(known)}")
    wanted = {OURS, *names, *(counterpart(name) for name in names)}
    return [peer for peer in PEERS if not names or peer.name in wanted]


def counterpart(name: str) -> str:
    """Pellucid in the precision of a peer: what the peer is compared with.

    >>> counterpart("openvino bf16")
    'pellucid bf16'
    """
    return next((f"{OURS} {word}" for word in ("bf16", "int8") if name.endswith(f" {word}")), OURS)
