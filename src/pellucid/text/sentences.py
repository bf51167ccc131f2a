"""Sentences as vectors: Reimers, Gurevych, "Sentence-BERT" (2019)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pellucid as torch
import pellucid.nn.functional as F
from pellucid import Tensor
from pellucid.models.bert import BertModel
from pellucid.text.tokenizer import Tokenizer, _read_json


class SentenceEncoder:
    """A BERT whose token states are pooled to one vector a text.

    The mean of the states of all tokens (padding apart), or the state of [CLS]; then scaled to
    length 1, so that products of vectors are cosines.

    Attributes:
        size: numbers in a vector.
        max_length: tokens of a text that are read; the rest is cut off.
    """

    def __init__(
        self,
        model: BertModel,
        tokenizer: Tokenizer,
        max_length: int | None = None,
        pooling: str = "mean",
        normalise: bool = True,
    ) -> None:
        if pooling not in ("mean", "cls"):
            raise ValueError(f"pooling is 'mean' or 'cls', not {pooling!r}")
        if len(tokenizer) > model.config.vocab_size:
            raise ValueError(
                f"the tokenizer has {len(tokenizer)} tokens and the model "
                f"{model.config.vocab_size}: they do not belong together"
            )
        self.model = model.eval()
        self.tokenizer = tokenizer
        most = model.config.max_position_embeddings
        self.max_length = min(max_length or tokenizer.max_length or most, most)
        self.pooling = pooling
        self.normalise = normalise

    @classmethod
    def from_pretrained(cls, folder: str | os.PathLike[str]) -> SentenceEncoder:
        """Read a folder of sentence-transformers, or of a bare BERT (then mean and length 1).

        Raises: what `BertModel.from_pretrained` and `Tokenizer.from_pretrained` raise; ValueError
            for a way of pooling that is not here.
        """
        place = Path(folder)
        model = BertModel.from_pretrained(place)
        tokenizer = Tokenizer.from_pretrained(place)
        longest = _read_json(place / "sentence_bert_config.json").get("max_seq_length")
        pooling = _pooling(_read_json(place / "1_Pooling" / "config.json"), place)
        is_described = (place / "modules.json").exists()
        has_scale = "Normalize" in ((place / "modules.json").read_text() if is_described else "")
        return cls(model, tokenizer, longest, pooling, has_scale or not is_described)

    @property
    def size(self) -> int:
        return self.model.config.hidden_size

    def __call__(self, texts: str | Sequence[str], batch_size: int = 32) -> Tensor:
        """Vectors N×size in the order of the texts, float32, whatever the batch size.

        Texts of like length are put together, so that little padding is computed.
        """
        rows = [texts] if isinstance(texts, str) else list(texts)
        result = torch.empty(len(rows), self.size)
        for places, vectors in self.batches(rows, batch_size):
            result[torch.tensor(places)] = vectors
        return result

    encode = __call__

    def batches(
        self, texts: Sequence[str], batch_size: int = 32, skip: int = 0
    ) -> Iterator[tuple[list[int], Tensor]]:
        """(places in `texts`, their vectors) batch by batch, the longest texts first.

        The order depends on the texts and the batch size alone: `skip` leaves out as many batches
        as an earlier run has done.
        """
        if batch_size < 1:
            raise ValueError(f"a batch holds at least one text, not {batch_size}")
        encoded = self.tokenizer.encode(texts, max_length=self.max_length)
        order = sorted(range(len(texts)), key=lambda place: (-len(encoded[place].ids), place))
        for start in range(skip * batch_size, len(order), batch_size):
            places = order[start : start + batch_size]
            yield places, self._vectors([texts[place] for place in places])

    def _vectors(self, texts: list[str]) -> Tensor:
        batch = self.tokenizer(texts, max_length=self.max_length)
        with torch.no_grad():
            states = self.model(**batch).last_hidden_state  # N×L×H
            if self.pooling == "cls":
                vectors = states[:, 0]
            else:
                mask = batch["attention_mask"].unsqueeze(-1).to(states.dtype)  # N×L×1
                vectors = (states * mask).sum(1) / mask.sum(1)
            return F.normalize(vectors, dim=-1) if self.normalise else vectors


def _pooling(settings: dict[str, Any], place: Path) -> str:
    chosen = [name for name, value in settings.items() if name.startswith("pooling_mode") and value]
    known = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
    if not chosen:
        return "mean"
    if len(chosen) > 1 or chosen[0] not in known:
        raise ValueError(
            f"{place}/1_Pooling asks for {', '.join(chosen)}; only mean and cls are here"
        )
    return known[chosen[0]]
