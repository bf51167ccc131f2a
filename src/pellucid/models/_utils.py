"""Parts of networks as features, by torchvision's place and name."""

from __future__ import annotations

from collections import OrderedDict

from pellucid import Tensor, nn


class IntermediateLayerGetter(nn.ModuleDict):
    """A network up to the last layer of interest, returning several: {layer: name of its output}.

    Raises: ValueError for a layer that the network does not have.
    """

    def __init__(self, model: nn.Module, return_layers: dict[str, str]) -> None:
        wanted = dict(return_layers)
        children = dict(model.named_children())
        if not wanted.keys() <= children.keys():
            missing = ", ".join(sorted(wanted.keys() - children.keys()))
            raise ValueError(
                f"return_layers are not present in model: {missing}\n"
                f"  Its layers are {', '.join(children)}."
            )
        layers: dict[str, nn.Module] = {}
        for name, module in children.items():
            layers[name] = module
            wanted.pop(name, None)
            if not wanted:
                break
        super().__init__(layers)
        self.return_layers = dict(return_layers)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        found: dict[str, Tensor] = OrderedDict()
        for name, module in self.items():
            x = module(x)
            if name in self.return_layers:
                found[self.return_layers[name]] = x
        return found
