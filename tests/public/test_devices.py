"""Devices, libraries and services that are not there: questions are answered, requests refused."""

from __future__ import annotations

import pickle

import pytest

import pellucid
from tests.expressions import check, lines

ANSWERS = """
    torch.cuda.is_available()
    torch.cuda.device_count()
    torch.cuda.is_initialized()
    torch.cuda.manual_seed(1)
    torch.cuda.manual_seed_all(1)
    torch.cuda.seed()
    torch.cuda.empty_cache()
    torch.cuda.memory_allocated()
    torch.cuda.max_memory_allocated()
    torch.cuda.memory_reserved()
    torch.cuda.get_rng_state_all()
    torch.cuda.set_rng_state_all([])
    torch.cuda.get_arch_list()
    torch.cuda.is_bf16_supported()
    torch.cuda.current_device()
    torch.cuda.get_device_name()
    torch.cuda.get_device_properties(0)
    torch.cuda.get_device_capability()
    torch.cuda.synchronize()
    torch.cuda.current_stream()
    torch.cuda.initial_seed()
    torch.cuda.get_rng_state()
    torch.cuda.mem_get_info()
    torch.cuda.init()
    torch.cuda.Stream()
    torch.cuda.Event()
    torch.cuda.FloatTensor(2)
    torch.cuda.random.manual_seed(1)
    torch.backends.cudnn.enabled
    torch.backends.cudnn.benchmark
    torch.backends.cudnn.deterministic
    torch.backends.cudnn.is_available()
    torch.backends.cudnn.version()
    torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.is_built()
    torch.backends.cuda.flash_sdp_enabled()
    torch.backends.mps.is_available()
    torch.backends.mps.is_built()
    torch.backends.mha.get_fastpath_enabled()
    torch.accelerator.is_available()
    torch.accelerator.current_accelerator()
    torch.accelerator.device_count()
    torch.mps.device_count()
    torch.xpu.is_available()
    torch.cpu.is_available()
    torch.cpu.current_device()
    torch.is_vulkan_available()
    torch.jit.is_scripting()
    torch.jit.is_tracing()
    torch.overrides.has_torch_function((1,))
    torch.overrides.is_tensor_like(torch.ones(1))
    torch.overrides.is_tensor_like(3)
    torch.overrides.is_tensor_method_or_property(torch.Tensor.add)
    torch.overrides.is_tensor_method_or_property(len)
"""


@pytest.mark.parametrize("expression", lines(ANSWERS))
def test_answers(expression):
    check(expression, warned=False)


def test_flags_can_be_set_and_read_back():
    cudnn = pellucid.backends.cudnn
    cudnn.benchmark = True
    try:
        with cudnn.flags(enabled=False, benchmark=False):
            assert not cudnn.enabled
            assert not cudnn.benchmark
        assert cudnn.enabled
        assert cudnn.benchmark
    finally:
        cudnn.benchmark = False
    with pellucid.backends.cuda.sdp_kernel(enable_flash=False):
        assert not pellucid.backends.cuda.flash_sdp_enabled()
    assert pellucid.backends.cuda.flash_sdp_enabled()


def test_contexts_of_no_device_do_nothing():
    with pellucid.cuda.device(None), pellucid.cuda.device(-1), pellucid.cuda.stream(None):
        pass
    with (
        pytest.raises(AssertionError, match="Torch not compiled with CUDA enabled"),
        pellucid.cuda.device(0),
    ):
        pass


def test_what_scripts_is_left_as_it_is():
    def function(x):
        return x

    assert pellucid.jit.script(function) is function
    assert pellucid.jit.ignore(function) is function
    assert pellucid.jit.ignore(drop=True)(function) is function
    for name in ("trace", "load", "save"):
        with pytest.raises(RuntimeError, match=f"torch.jit.{name}"):
            getattr(pellucid.jit, name)(function)
    with pytest.raises(RuntimeError, match="eval mode"):
        pellucid.jit.freeze(pellucid.nn.Linear(1, 1))


def test_the_network_is_refused(tmp_path):
    with pytest.raises(RuntimeError, match="opens no network connections"):
        pellucid.hub.load("owner/repository", "model")
    with pytest.raises(RuntimeError, match="save the file as"):
        pellucid.hub.load_state_dict_from_url("http://x/weights.pt", model_dir=str(tmp_path))
    pellucid.save({"w": pellucid.ones(2)}, tmp_path / "weights.pt")
    found = pellucid.hub.load_state_dict_from_url("http://x/weights.pt", model_dir=str(tmp_path))
    assert found["w"].tolist() == [1.0, 1.0]


def test_autocast_and_storages_under_their_old_names():
    with pytest.warns(UserWarning, match="CUDA is not available"):
        assert not pellucid.cuda.amp.autocast()._enabled
    with pellucid.cpu.amp.autocast():
        x = pellucid.ones(2, 2)
        assert (x @ x).dtype is pellucid.bfloat16
    assert pellucid.storage.UntypedStorage is pellucid.UntypedStorage


def _double(index, results):
    results.put((index, pickle.dumps(pellucid.ones(2) * index)))


def _fail(index):
    raise ValueError(f"planted in {index}")


def test_processes():
    results = pellucid.multiprocessing.get_context("fork").SimpleQueue()
    pellucid.multiprocessing.spawn(_double, (results,), nprocs=2, start_method="fork")
    found = dict(results.get() for _ in range(2))
    assert pickle.loads(found[1]).tolist() == [1.0, 1.0]
    with pytest.raises(pellucid.multiprocessing.ProcessRaisedException, match="planted in 0"):
        pellucid.multiprocessing.spawn(_fail, nprocs=1, start_method="fork")
