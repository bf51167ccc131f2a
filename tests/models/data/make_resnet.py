"""What torchvision's ResNets are: `python3 tests/models/data/make_resnet.py` writes resnet.json.

Run with torchvision 0.14 (Debian's python3-torchvision), seed 0, `weights=None`. Of each tensor of
the state: name, shape, sum, sum of magnitudes, first and last value; and the answer to one image.
"""

import json
from pathlib import Path

import torch
import torchvision

MODELS = {
    "resnet18": {},
    "resnet34": {"zero_init_residual": True, "num_classes": 7},
    "resnet50": {"replace_stride_with_dilation": [False, True, True]},
    "resnext50_32x4d": {},
}


def describe(name, arguments):
    torch.manual_seed(0)
    model = getattr(torchvision.models, name)(weights=None, **arguments)
    state = []
    for key, tensor in model.state_dict().items():
        flat = tensor.double().flatten()
        numbers = [flat.sum().item(), flat.abs().sum().item(), flat[0].item(), flat[-1].item()]
        state.append([key, list(tensor.shape), *numbers])
    image = torch.sin(torch.arange(3 * 65 * 70).double() * 0.37).float().view(1, 3, 65, 70)
    with torch.no_grad():
        answer = model.eval()(image)[0, :8]
    return {"arguments": arguments, "state": state, "answer": answer.tolist()}


if __name__ == "__main__":
    found = {name: describe(name, arguments) for name, arguments in MODELS.items()}
    text = json.dumps({"torchvision": torchvision.__version__, "models": found})
    Path(__file__).with_name("resnet.json").write_text(text.replace('["', '\n["') + "\n")
