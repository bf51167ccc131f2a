"""ResNets against torchvision's: names, seeds, answers; weights from files of every kind."""

import json
import re
from pathlib import Path

import pytest
import torch as pytorch

import pellucid as torch
from pellucid import models, nn
from pellucid.io import safetensors
from pellucid.models._utils import IntermediateLayerGetter
from pellucid.models.weights import Weights

REFERENCE = json.loads((Path(__file__).parent / "data" / "resnet.json").read_text())["models"]


def small(seed=0, num_classes=5):
    torch.manual_seed(seed)
    return models.resnet18(num_classes=num_classes)


@pytest.mark.parametrize("name", REFERENCE)
def test_same_seed_same_network_as_torchvision(name):
    known = REFERENCE[name]
    torch.manual_seed(0)
    model = models.get_model(name, **known["arguments"])
    state = model.state_dict()
    assert list(state) == [row[0] for row in known["state"]]
    for key, shape, total, magnitude, first, last in known["state"]:
        flat = state[key].double().flatten()
        assert list(state[key].shape) == shape, key
        assert flat.abs().sum().item() == pytest.approx(magnitude, rel=1e-6), key
        assert flat.sum().item() == pytest.approx(total, rel=1e-6, abs=1e-6 * magnitude), key
        assert flat[0].item() == pytest.approx(first, rel=1e-5, abs=1e-9), key
        assert flat[-1].item() == pytest.approx(last, rel=1e-5, abs=1e-9), key
    image = torch.sin(torch.arange(3 * 65 * 70).double() * 0.37).float().view(1, 3, 65, 70)
    with torch.no_grad():
        answer = model.eval()(image)[0, :8]
    expected = torch.tensor(known["answer"])
    # Fifty convolutions in another order of summation.
    assert torch.allclose(answer, expected, rtol=1e-3, atol=1e-4 * expected.abs().max().item())


def test_sizes_of_the_paper():
    model = models.resnet18().eval()
    sizes = {}
    for name in ("conv1", "maxpool", "layer1", "layer2", "layer3", "layer4", "avgpool", "fc"):
        getattr(model, name).register_forward_hook(
            lambda module, args, out, name=name: sizes.update({name: tuple(out.shape[1:])})
        )
    with torch.no_grad():
        model(torch.zeros(1, 3, 224, 224))
    assert sizes == {
        "conv1": (64, 112, 112),
        "maxpool": (64, 56, 56),
        "layer1": (64, 56, 56),
        "layer2": (128, 28, 28),
        "layer3": (256, 14, 14),
        "layer4": (512, 7, 7),
        "avgpool": (512, 1, 1),
        "fc": (1000,),
    }


def test_gradients_reach_every_parameter():
    model = small()
    model(torch.randn(2, 3, 40, 40)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_of_pytorch_loads_and_decides_the_head(tmp_path, suffix):
    path = tmp_path / f"flowers{suffix}"
    state = small(num_classes=17).state_dict()
    if suffix == ".pth":
        theirs = {key: pytorch.from_numpy(value.numpy()) for key, value in state.items()}
        pytorch.save(theirs, path)
    else:
        safetensors.save_file(state, path)
    model = models.resnet18(weights=path)
    assert model.fc.out_features == 17
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


def test_a_training_checkpoint_of_data_parallel_is_unwrapped(tmp_path):
    path = tmp_path / "checkpoint.pth"
    state = small().state_dict()
    wrapped = {f"module.{key}": value for key, value in state.items()}
    torch.save({"epoch": 3, "state_dict": wrapped}, path)
    model = models.resnet18(weights=str(path))
    assert torch.equal(model.fc.weight, state["fc.weight"])


def test_files_from_before_num_batches_tracked(tmp_path):
    path = tmp_path / "2017.pth"
    state = small().state_dict()
    torch.save({key: v for key, v in state.items() if "num_batches" not in key}, path)
    model = models.resnet18(weights=path)
    assert torch.equal(model.layer4[1].bn2.weight, state["layer4.1.bn2.weight"])


def test_another_number_of_classes_is_told_with_the_fix(tmp_path):
    path = tmp_path / "five.pth"
    torch.save(small().state_dict(), path)
    with pytest.raises(ValueError, match="expected value 5 but got 3") as raised:
        models.resnet18(weights=path, num_classes=3)
    fix = re.search(r"`(model\.fc = .*?)`", str(raised.value)).group(1)
    space = {"model": models.resnet18(weights=path), "nn": nn}
    exec(fix, space)
    assert space["model"](torch.zeros(2, 3, 64, 64)).shape == (2, 3)


def test_the_weights_of_another_depth_are_recognised(tmp_path):
    path = tmp_path / "which.pth"
    torch.save(models.resnet34(num_classes=2).state_dict(), path)
    with pytest.raises(RuntimeError, match="not fit resnet18; by its keys it is of resnet34"):
        models.resnet18(weights=path)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_truncated_file_is_told(tmp_path, suffix):
    path = tmp_path / f"half{suffix}"
    state = small().state_dict()
    torch.save(state, path) if suffix == ".pth" else safetensors.save_file(state, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(RuntimeError, match=f"half{suffix}: "):
        models.resnet18(weights=path)


def test_what_is_no_state_is_told(tmp_path):
    path = tmp_path / "odd.pth"
    torch.save([1, 2], path)
    with pytest.raises(RuntimeError, match=r"holds no state dict .* but a list"):
        models.resnet18(weights=path)
    torch.save({"epoch": 3}, path)
    with pytest.raises(RuntimeError, match="holds no tensors; its keys: epoch"):
        models.resnet18(weights=path)
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        models.resnet18(weights=tmp_path / "none.pth")
    with pytest.raises(IsADirectoryError, match="it is a folder"):
        models.resnet18(weights=str(tmp_path) + "/.")
    with pytest.raises(ValueError, match="has IMAGENET1K_V1"):
        models.resnet18(weights="IMAGENET1K_V9")
    with pytest.raises(TypeError, match="not int"):
        models.resnet18(weights=3)


def test_published_weights_are_found_in_the_folder_of_downloads(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"save it as .*resnet18-f37072fd\.pth"):
        models.resnet18(weights="DEFAULT")
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(small(num_classes=1000).state_dict(), folder / "resnet18-f37072fd.pth")
    for weights in (models.ResNet18_Weights.DEFAULT, "IMAGENET1K_V1"):
        assert models.resnet18(weights=weights).fc.out_features == 1000
    with pytest.warns(UserWarning, match="'pretrained' is deprecated"):
        models.resnet18(pretrained=True)
    with pytest.raises(TypeError, match="expected ResNet34_Weights but received ResNet18"):
        models.resnet34(weights=models.ResNet18_Weights.DEFAULT)


def test_published_numbers_of_parameters_are_the_networks():
    for name in ("resnet18", "resnet34", "resnet50"):
        known = models.get_model_weights(name)
        assert issubclass(known, Weights)
        count = sum(p.numel() for p in models.get_model(name).parameters())
        assert known.DEFAULT.meta["num_params"] == count


def test_the_transform_of_published_weights():
    image = torch.arange(3 * 300 * 400).reshape(3, 300, 400).remainder(251).to(torch.uint8)
    for weights, side in (("IMAGENET1K_V1", 256), ("IMAGENET1K_V2", 232)):
        preset = models.ResNet50_Weights[weights].transforms()
        assert preset.resize_size == [side]
        found = preset(image)
        assert (tuple(found.shape), found.dtype) == ((3, 224, 224), torch.float32)
        shown = found * torch.tensor(preset.std)[:, None, None]
        shown += torch.tensor(preset.mean)[:, None, None]
        assert 0 <= shown.min().item() <= shown.max().item() <= 1 + 1e-6
    assert "resize_size=[232]" in repr(preset)
    assert models.ResNet50_Weights.DEFAULT.transforms(crop_size=64)(image).shape[-1] == 64


def test_several_layers_at_once():
    body = IntermediateLayerGetter(small(), {"layer1": "fine", "layer3": "coarse"})
    found = body(torch.rand(2, 3, 64, 64))
    assert {name: tuple(x.shape[1:]) for name, x in found.items()} == {
        "fine": (64, 16, 16),
        "coarse": (256, 4, 4),
    }
    assert "layer4" not in body
    with pytest.raises(ValueError, match=r"not present in model: layer5\n  Its layers are conv1,"):
        IntermediateLayerGetter(small(), {"layer5": "x"})


def test_models_by_name():
    assert models.list_models(include="wide*") == ["wide_resnet101_2", "wide_resnet50_2"]
    assert models.list_models(include=["wide*", "resnet1?"], exclude="*101*") == [
        "resnet18",
        "wide_resnet50_2",
    ]
    assert models.list_models(models.detection, exclude="mask*") == [
        "fasterrcnn_resnet18_fpn",
        "fasterrcnn_resnet50_fpn",
    ]
    assert "resnet18" in models.list_models(models)
    assert models.get_weight("ResNet50_Weights.DEFAULT") is models.ResNet50_Weights.IMAGENET1K_V2
    with pytest.raises(ValueError, match="ResNet50_Weights has no 'V3': there are IMAGENET1K_V1"):
        models.get_weight("ResNet50_Weights.V3")
    with pytest.raises(ValueError, match=r"Unable to find the weights 'VGG16_Weights\.DEFAULT'"):
        models.get_weight("VGG16_Weights.DEFAULT")
    with pytest.raises(ValueError, match="did you mean resnet18"):
        models.get_model("resent18")


def test_blocks_refuse_what_they_cannot():
    with pytest.raises(ValueError, match="only supports groups=1"):
        models.ResNet(models.BasicBlock, [1, 1, 1, 1], groups=2)
    with pytest.raises(NotImplementedError, match="Dilation > 1"):
        models.resnet18(replace_stride_with_dilation=[True, True, True])
    with pytest.raises(ValueError, match="3-element tuple"):
        models.resnet50(replace_stride_with_dilation=[True])
