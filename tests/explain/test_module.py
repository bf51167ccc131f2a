"""`explain(module)` and `explain.loading`: what they predict is what happens."""

import copy

import pytest

import pellucid as torch
from pellucid import explain, nn
from pellucid.models import BertConfig, BertModel


class Odd(nn.Module):
    """One of each kind, and the usual mistakes."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.norm = nn.BatchNorm1d(3)
        self.tied = nn.Linear(3, 3)
        self.tied.weight = self.layer.weight
        self.frozen = nn.Parameter(torch.ones(2), requires_grad=False)
        self.register_buffer("mask", torch.ones(3), persistent=False)
        self.register_buffer("later", None)
        self.scale = torch.ones(3)
        self.layers = [nn.Linear(2, 2)]
        self.bias_of = {"a": nn.Parameter(torch.zeros(2))}


def by_name(told):
    return {each.name: each for each in told.held}


def test_what_is_predicted_happens():
    module = Odd()
    held = by_name(explain(module))
    assert {name for name, each in held.items() if each.saved} == set(module.state_dict())
    trained = {name for name, p in module.named_parameters(remove_duplicate=False)}
    assert {n for n, each in held.items() if each.trained} == trained - {"frozen"}
    wide = copy.deepcopy(module).double()
    for name, each in by_name(explain(wide)).items():
        if each.tensor is not None and each.tensor.is_floating_point():
            assert (each.tensor.dtype is torch.float64) == held[name].moved, name
    copied = by_name(explain(copy.deepcopy(module)))
    for name, each in held.items():
        if each.tensor is not None:
            assert copied[name].tensor._storage is not each.tensor._storage, name


def test_kinds_and_ties_are_named():
    told = explain(Odd())
    kinds = {name: each.kind for name, each in by_name(told).items()}
    assert kinds["mask"] == "buffer, not persistent" and kinds["later"] == "empty buffer"
    assert kinds["norm.running_mean"] == "buffer" and kinds["scale"] == "plain attribute"
    assert kinds["bias_of['a']"] == "plain attribute"
    assert told.tied == (("layer.weight", "tied.weight"),)
    assert told.to_dict()["tied"] == [["layer.weight", "tied.weight"]]
    assert "<table>" in told._repr_html_() and "2 plain attributes" in told.summary()


def test_mistakes_come_with_a_fix_that_works():
    module = Odd()
    notes = "\n".join(explain(module).notes)
    assert 'self.register_buffer("scale", scale)' in notes
    assert "self.layers = nn.ModuleList(layers)" in notes
    assert "self.bias_of = nn.ParameterDict(bias_of)" in notes
    space = {"self": module, "nn": nn, "scale": module.scale, "layers": module.layers}
    space["bias_of"] = module.bias_of
    for name in ("scale", "layers", "bias_of"):
        delattr(module, name)
    for line in notes.splitlines():
        if line.startswith("    self."):
            exec(line.strip(), space)
    again = explain(module)
    assert again.notes == () and "layers.0.weight" in module.state_dict()


def test_a_slice_of_something_big_is_told():
    module = nn.Module()
    module.register_buffer("few", torch.zeros(100_000)[:10])
    assert "few shows 40 B of 391 KiB: torch.save writes all of it" in str(explain(module))


def test_weights_that_were_not_in_the_checkpoint_are_told(tmp_path):
    config = BertConfig(
        vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=1, intermediate_size=4
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(tmp_path)
    with pytest.warns(UserWarning, match="newly initialized"):
        model = BertModel.from_pretrained(tmp_path)
    text = str(explain(nn.ModuleDict({"bert": model})))
    assert "bert: not in the checkpoint, so random until trained: pooler.dense.weight" in text


def test_calling_a_module_is_still_explained():
    told = explain(nn.Linear(2, 2), torch.zeros(1, 2))
    assert [step.name for step in told.steps] == ["linear"]


# Loading ------------------------------------------------------------------------------------------


def run(fix, model, state):
    space = {"state": state, "model": model, "torch": torch}
    exec(fix, space)


def prefixed(state, prefix):
    return {prefix + key: value for key, value in state.items()}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: prefixed(state, "module."),
        lambda state: {"epoch": 3, "state_dict": prefixed(state, "module.")},
        lambda state: {"model": prefixed(state, "_orig_mod.module."), "optimizer": {}},
        lambda state: {k.removeprefix("layer."): v for k, v in state.items()},
        lambda state: {k.replace("norm.weight", "norm.gamma"): v for k, v in state.items()},
        lambda state: state | {"mask": torch.ones(3), "head.weight": torch.ones(1)},
        lambda state: {k.replace("tied", "tyed"): v for k, v in state.items()},
    ],
    ids=["wrapped", "checkpoint", "compiled", "no prefix", "gamma", "too much", "misspelt"],
)
def test_the_fix_loads_everything(spoil):
    torch.manual_seed(1)
    source, model = Odd(), Odd()
    state = spoil(source.state_dict())
    told = explain.loading(model, state)
    assert not told.fits and told.left == ()
    with pytest.raises(RuntimeError, match=r"Error\(s\) in loading state_dict"):
        model.load_state_dict(state)
    run(told.fix, model, state)
    for key, value in source.state_dict().items():
        assert torch.equal(model.state_dict()[key], value), key


def test_what_cannot_be_loaded_is_left_and_told():
    state = Odd().state_dict()
    state["layer.bias"] = torch.zeros(7)
    del state["frozen"]
    told = explain.loading(Odd(), state)
    assert told.sizes == (("layer.bias", (7,), (3,)),) and told.missing == ("frozen",)
    assert set(told.left) == {"layer.bias", "frozen"}
    assert told.fix.endswith("model.load_state_dict(state, strict=False)")
    assert "(7,) in the state, (3,) here" in str(told)
    run(told.fix, Odd(), state)


def test_files_and_states_that_fit(tmp_path):
    model = nn.Linear(2, 2)
    torch.save(prefixed(model.state_dict(), "module."), tmp_path / "m.pt")
    told = explain.loading(model, tmp_path / "m.pt")
    assert "torch.load(" in told.fix
    run(told.fix, nn.Linear(2, 2), None)
    assert str(explain.loading(model, model.state_dict())).startswith("The state fits")
    assert explain.loading(model, model.state_dict()).to_dict()["fits"] is True


def test_what_is_no_state_is_told(tmp_path):
    with pytest.raises(TypeError, match="maps names to tensors; this is a list"):
        explain.loading(nn.Linear(1, 1), [1])
    with pytest.raises(TypeError, match="the first argument is a module, not dict"):
        explain.loading({}, {})
    with pytest.raises(FileNotFoundError, match="none"):
        explain.loading(nn.Linear(1, 1), tmp_path / "none.pt")
