"""Models in folders as Hugging Face's library writes them: config.json, and weights beside it."""

from __future__ import annotations

import json
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pellucid import Tensor, nn
from pellucid.io import safetensors
from pellucid.io.atomic import atomic_writer
from pellucid.models.weights import read_state

P = TypeVar("P", bound="Pretrained")
C = TypeVar("C", bound="Config")

FILES = ("model.safetensors", "pytorch_model.bin")
"""Names of weights; beside each there may be NAME.index.json, which lists several files."""
OLD_ENDINGS = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
"""How TensorFlow's BERT called them, and with it the first checkpoints."""
BUFFERS = ("position_ids", "token_type_ids")
"""Counted again by every model; old checkpoints hold them."""


_FILLING = [name for name in vars(nn.init) if name.endswith("_") and not name.startswith("_")]
_ONE_AT_A_TIME = threading.RLock()


@contextmanager
def unfilled() -> Iterator[None]:
    """Inside, new modules of this thread leave their parameters as memory was.

    The checkpoint fills them, which takes a tenth of the time that random numbers do.
    """
    here = threading.get_ident()

    def only_elsewhere(fill: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def filled(tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            return tensor if threading.get_ident() == here else fill(tensor, *args, **kwargs)

        return filled

    with _ONE_AT_A_TIME:
        kept = {name: getattr(nn.init, name) for name in _FILLING}
        try:
            for name, function in kept.items():
                setattr(nn.init, name, only_elsewhere(function))
            yield
        finally:
            for name, function in kept.items():
                setattr(nn.init, name, function)


@dataclass
class Config:
    """Sizes and choices of a model, as config.json has them."""

    @classmethod
    def from_dict(cls: type[C], data: Mapping[str, Any], **changes: Any) -> C:
        """The configuration, with changes; entries of the file that it has no use for are left."""
        known = {each.name for each in fields(cls)}
        if wrong := set(changes) - known:
            raise TypeError(
                f"{cls.__name__} has no {min(wrong)!r}; it has {', '.join(sorted(known))}"
            )
        found = {name: value for name, value in data.items() if name in known}
        if "num_labels" in known and isinstance(data.get("id2label"), Mapping):
            found["num_labels"] = len(data["id2label"])
        return cls(**(found | changes))

    @classmethod
    def from_pretrained(cls: type[C], folder: str | os.PathLike[str], **changes: Any) -> C:
        """Read FOLDER/config.json.

        Raises: FileNotFoundError; ValueError if it is no JSON, or of another kind of model.
        """
        path = Path(folder) / "config.json"
        if not Path(folder).is_dir():
            raise FileNotFoundError(f"no model at {folder}: there is no such folder")
        if not path.exists():
            there = ", ".join(sorted(p.name for p in Path(folder).iterdir())[:8]) or "nothing"
            raise FileNotFoundError(f"no model at {folder}: it has no config.json, but {there}")
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is no JSON: {error}") from None
        if not isinstance(data, dict):
            raise ValueError(f"{path} holds a {type(data).__name__}, not the settings of a model")
        try:
            return cls.from_dict(data, **changes)
        except (TypeError, ValueError) as error:
            error.args = (f"{path}: {error}",)
            raise


class Pretrained(nn.Module):
    """A module that can be read from a folder and written to one."""

    config: Config
    config_class: ClassVar[type[Config]]
    prefix: ClassVar[str] = ""
    """The name a bigger model gives to this one: its keys may begin so."""
    inner: ClassVar[str] = ""
    """The name this model gives to the encoder: keys of a bare encoder lack it."""
    may_be_missing: ClassVar[tuple[str, ...]] = ()
    """Beginnings of keys that another task's checkpoint does not have."""
    tied: ClassVar[tuple[str, ...]] = ()
    """Keys that are the same tensors as others."""
    not_in_checkpoint: tuple[str, ...] = ()
    """Parameters that `from_pretrained` did not find: they are random until they are trained."""
    unused_of_checkpoint: tuple[str, ...] = ()
    """Keys that were in the checkpoint and have no place here."""

    @classmethod
    def from_pretrained(
        cls: type[P],
        folder: str | os.PathLike[str],
        ignore_mismatched_sizes: bool = False,
        **changes: Any,
    ) -> P:
        """The model in a folder, in evaluation mode.

        A head or pooler that the checkpoint lacks starts random: a warning says so, and
        `not_in_checkpoint` and `explain(model)` name it. Nothing else may be missing.

        Args:
            folder: with config.json and model.safetensors or pytorch_model.bin, whole or in parts.
            ignore_mismatched_sizes: leave tensors of other sizes random instead of refusing.
            changes: entries of the configuration, such as `num_labels=5`.

        Raises:
            FileNotFoundError: no such folder, or no config.json or weights in it.
            ValueError: the configuration is of another kind of model.
            RuntimeError: the weights are damaged or do not fit.
        """
        config = cls.config_class.from_pretrained(folder, **changes)
        with unfilled():
            model = cls(config)
        state = model._own_keys(read_folder(folder))
        own = model.state_dict()
        wrong = {k: t for k, t in state.items() if k in own and t.shape != own[k].shape}
        if wrong and not ignore_mismatched_sizes:
            raise RuntimeError(_sizes(cls.__name__, folder, wrong, own))
        fitting = {k: t for k, t in state.items() if k in own and k not in wrong}
        missing = [k for k in own if k not in fitting and k not in cls.tied]
        model._check_missing(missing, wrong, folder, state)
        model._fill(missing)
        model.load_state_dict(fitting, strict=False)
        model.not_in_checkpoint = tuple(missing)
        model.unused_of_checkpoint = tuple(k for k in state if k not in own)
        if missing:
            warnings.warn(
                f"Some weights of {cls.__name__} were not initialized from the model checkpoint at "
                f"{folder} and are newly initialized: {sorted(missing)}\n"
                "What is computed with them means nothing before they are trained.",
                stacklevel=2,
            )
        return model.eval()

    def initialise(self, module: nn.Module) -> None:
        """Draw the first values of one module's own parameters."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it begins")

    def _fill(self, names: list[str]) -> None:
        """Draw first values for the modules that these parameters belong to."""
        for owner in dict.fromkeys(name.rpartition(".")[0] for name in names):
            module = self.get_submodule(owner)
            reset = getattr(module, "reset_parameters", None)
            if reset is not None:
                reset()
            self.initialise(module)

    def _own_keys(self, state: Mapping[str, Any]) -> dict[str, Tensor]:
        """The state under this model's names."""
        found: dict[str, Tensor] = {}
        inner = (
            [name for name, _ in getattr(self, self.inner).named_children()] if self.inner else []
        )
        for key, tensor in state.items():
            for old, new in OLD_ENDINGS.items():
                key = key.removesuffix(old) + new if key.endswith(old) else key
            if self.prefix:
                key = key.removeprefix(f"{self.prefix}.")
            elif key.partition(".")[0] in inner:
                key = f"{self.inner}.{key}"
            if not key.endswith(BUFFERS):
                found[key] = tensor
        return found

    def _check_missing(
        self, missing: list[str], wrong: Mapping[str, Any], folder: Any, state: Mapping[str, Any]
    ) -> None:
        """Refuse a checkpoint that lacks more than a head."""
        lost = [k for k in missing if not k.startswith(self.may_be_missing) and k not in wrong]
        if lost:
            shown = ", ".join(lost[:4]) + (f" and {len(lost) - 4} more" if len(lost) > 4 else "")
            raise RuntimeError(
                f"the weights in {folder} lack {shown}. They hold {len(state)} tensors "
                f"({', '.join(list(state)[:3])}, …): config.json is not of these weights"
            )

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write config.json and model.safetensors; each file appears whole or not at all."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        settings = {"architectures": [type(self).__name__], **asdict(self.config)}
        state = {k: t.contiguous() for k, t in self.state_dict().items() if k not in self.tied}
        with atomic_writer(target / "config.json") as file:
            file.write(json.dumps(settings, indent=2).encode() + b"\n")
        with atomic_writer(target / "model.safetensors") as file:
            file.write(safetensors.save(state, metadata={"format": "pt"}))


def read_folder(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """All tensors of a folder's weights. FileNotFoundError if it has none."""
    for name in FILES:
        path, index = Path(folder) / name, Path(folder) / f"{name}.index.json"
        if path.exists():
            return read_state(path)
        if index.exists():
            parts = sorted(
                set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
            )
            return {k: t for part in parts for k, t in read_state(Path(folder) / part).items()}
    raise FileNotFoundError(f"no weights in {folder}: neither {' nor '.join(FILES)} is there")


def _sizes(name: str, folder: Any, wrong: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> str:
    lines = [
        f"{key}: {tuple(tensor.shape)} in the checkpoint, {tuple(own[key].shape)} in the model"
        for key, tensor in wrong.items()
    ]
    advice = "config.json does not belong to these weights"
    heads = [tensor for key, tensor in wrong.items() if key.startswith("classifier.")]
    if heads:
        advice = (
            f"load it with num_labels={heads[0].shape[0]}, or with ignore_mismatched_sizes=True to "
            "begin with a new head"
        )
    return f"{name}: sizes differ from those in {folder}:\n  " + "\n  ".join(lines) + f"\n{advice}"
