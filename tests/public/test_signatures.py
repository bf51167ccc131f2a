"""Public functions, classes and methods take PyTorch's parameters.

The same names in the same order, by position or by keyword alike, with the same defaults.
"""

import importlib
import inspect
import warnings

import pytest
import torch

import pellucid

PLACES = """
    nn nn.functional nn.init nn.utils nn.utils.rnn nn.utils.parametrize nn.utils.parametrizations
    nn.utils.prune nn.parameter optim optim.lr_scheduler optim.swa_utils utils.data autograd
    autograd.functional autograd.graph func distributions amp signal.windows
    random testing jit hub overrides utils.checkpoint serialization
"""
DIFFERENT = {
    "nn.Transformer": "The default activation is named, where PyTorch gives the function itself.",
    "nn.TransformerDecoderLayer": "As nn.Transformer.",
    "nn.TransformerEncoderLayer": "As nn.Transformer.",
    "nn.functional.group_norm": "One operator stands for torch.group_norm too: cudnn_enabled.",
    "nn.functional.layer_norm": "One operator stands for torch.layer_norm too: cudnn_enable.",
    "nn.functional.rrelu": "One operator stands for torch.rrelu too: generator.",
    "autograd.no_grad": "The decorated function may be given at once.",
    "autograd.graph.Node.metadata": "A property, as PyTorch's own nodes have it.",
    "autograd.NestedIOFunction.backward": "PyTorch's unfolds its arguments itself.",
    "autograd.NestedIOFunction.forward": "As backward.",
    "autograd.graph.Node": "PyTorch's is abstract; the tape's nodes are made of a name and edges.",
    "jit.ScriptModule": "TorchScript is refused whatever it is given.",
    "jit.fork": "As jit.ScriptModule.",
    "jit.load": "As jit.ScriptModule.",
    "jit.save": "As jit.ScriptModule.",
    "jit.script": "Gives back what it is given, whatever the options.",
    "jit.trace": "As jit.script.",
    "jit.trace_module": "As jit.script.",
    "jit.wait": "As jit.ScriptModule.",
    "hub.download_url_to_file": "Nothing is downloaded, whatever the options.",
    "hub.help": "As hub.download_url_to_file.",
    "hub.list": "As hub.download_url_to_file.",
    "hub.load": "Local folders only; options of the download are taken together.",
    "serialization.load": "skip_refused=True loads the rest of a file that holds refused objects.",
    "serialization.save": "compact=True saves what a view shows of a big storage.",
}
"""Names whose parameters differ, with the reason."""
ABSENT = {
    "nn.DataParallel.gather": "One device: there is nothing to gather from.",
    "nn.DataParallel.parallel_apply": "As gather.",
    "nn.DataParallel.replicate": "As gather.",
    "nn.DataParallel.scatter": "As gather.",
    "nn.Module.compile": "torch.compile(module) makes a plan beside the module.",
    "nn.Module.ipu": "There is no such device.",
    "nn.Module.mtia": "There is no such device.",
    "nn.Module.xpu": "There is no such device.",
    "nn.utils.rnn.PackedSequence.cuda": "There is no such device.",
    "nn.utils.rnn.PackedSequence.pin_memory": "There is no such memory.",
    "autograd.NestedIOFunction.backward_extended": "A part of PyTorch's own machinery.",
    "autograd.NestedIOFunction.forward_extended": "As backward_extended.",
    "autograd.NestedIOFunction.mark_dirty": "As backward_extended.",
    "autograd.NestedIOFunction.mark_non_differentiable": "As backward_extended.",
    "autograd.NestedIOFunction.save_for_backward": "As backward_extended.",
    "jit.ScriptFunction.graph_for": "TorchScript is refused.",
    "jit.ScriptModule.define": "TorchScript is refused.",
    "jit.ScriptModule.forward_magic_method": "TorchScript is refused.",
    "jit.ScriptModule.get_debug_state": "TorchScript is refused.",
    "jit.ScriptModule.graph_for": "TorchScript is refused.",
    "jit.ScriptModule.save": "TorchScript is refused.",
    "jit.ScriptModule.save_to_buffer": "TorchScript is refused.",
    "distributions.Distribution.sample_n": "Deprecated: sample((n,)).",
}
"""Methods of classes that are there which are missing, with the reason."""
KINDS = {0: "position only", 1: "", 2: "*", 3: "keyword only", 4: "**"}


def found(library, path):
    """The module at a dotted path."""
    home = library
    for name in path.split("."):
        below = getattr(home, name, None)
        home = importlib.import_module(f"{home.__name__}.{name}") if below is None else below
    return home


def shown(default):
    """A default in words that both libraries share."""
    if default is inspect.Parameter.empty:
        return "required"
    text = repr(default).replace("pellucid.", "torch.")
    text = {"torch.Size([])": "()"}.get(text, text)
    return "an object" if " at 0x" in text else text


def parameters(function):
    """Names, kinds and defaults; None where Python cannot tell, or where a wrapper does not."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    listed = [(p.name, KINDS[p.kind], shown(p.default)) for p in signature.parameters.values()]
    anything = [("args", "*", "required"), ("kwargs", "**", "required")]
    return None if listed == anything else listed


def public(module):
    names = getattr(module, "__all__", [name for name in dir(module) if not name.startswith("_")])
    for name in sorted(set(names)):
        value = getattr(module, name, None)
        if callable(value) and str(getattr(value, "__module__", "")).startswith("torch"):
            yield name, value


def compared(place):
    """What differs in a module, and which methods of its classes are absent."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs, ours = found(torch, place), found(pellucid, place)
        different, absent, count = set(), set(), 0
        for name, value in public(theirs):
            own = getattr(ours, name, None)
            want = parameters(value)
            if own is None:
                continue
            if want is not None:
                count += 1
                if not callable(own) or parameters(own) != want:
                    different.add(f"{place}.{name}")
            if not (isinstance(value, type) and isinstance(own, type)):
                continue
            for method, function in vars(value).items():
                path = f"{place}.{name}.{method}"
                if method.startswith("_") or not inspect.isfunction(function):
                    continue
                if not hasattr(own, method):
                    absent.add(path)
                elif parameters(getattr(own, method)) != parameters(function):
                    different.add(path)
    return different, absent, count


@pytest.mark.parametrize("place", PLACES.split())
def test_parameters_are_those_of_pytorch(place):
    different, absent, count = compared(place)
    here = {name for name in DIFFERENT if _place(name) == place}
    missing = {name for name in ABSENT if _place(name) == place}
    assert count > 0
    assert different == here
    assert absent == missing


def _place(name):
    return max((p for p in PLACES.split() if name.startswith(p + ".")), key=len)


def test_a_wrong_default_would_be_found(monkeypatch):
    def adam(params, lr=0.1):
        return params, lr

    monkeypatch.setattr(pellucid.optim, "Adam", adam)
    assert "optim.Adam" in compared("optim")[0]
