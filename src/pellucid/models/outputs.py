"""Results with several parts, read by name, by key or by place, as in Hugging Face's library."""

from __future__ import annotations

from typing import Any


class ModelOutput(dict[str, Any]):
    """A dictionary of the parts that are there; every part is an attribute too, None if absent.

    `out.last_hidden_state`, `out["last_hidden_state"]` and `out[0]` are the same; `to_tuple()` has
    all parts that are there in their order.
    """

    names: tuple[str, ...] = ()

    def __init__(self, **parts: Any) -> None:
        super().__init__({name: parts[name] for name in self.names if parts[name] is not None})

    def __getattr__(self, name: str) -> Any:
        if name in type(self).names:
            return self.get(name)
        raise AttributeError(
            f"{type(self).__name__!r} object has no attribute {name!r}; it has "
            f"{', '.join(type(self).names)}"
        )

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(key) if isinstance(key, str) else self.to_tuple()[key]

    def to_tuple(self) -> tuple[Any, ...]:
        return tuple(self.values())


class BaseModelOutputWithPooling(ModelOutput):
    """What `BertModel` gives.

    `last_hidden_state` N×L×H; `pooler_output` N×H; `hidden_states`: those of the embeddings and
    of every layer, if asked for; `attentions`: N×heads×L×L of every layer, if asked for.
    """

    names = ("last_hidden_state", "pooler_output", "hidden_states", "attentions")


class MaskedLMOutput(ModelOutput):
    """`loss` if labels were given; `logits` N×L×vocabulary."""

    names = ("loss", "logits", "hidden_states", "attentions")


class SequenceClassifierOutput(ModelOutput):
    """`loss` if labels were given; `logits` N×labels."""

    names = ("loss", "logits", "hidden_states", "attentions")
