"""Texts to token ids and back, by Hugging Face's `tokenizers`, from a model's folder."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pellucid as torch
from pellucid import Tensor

FAR = 10**9
"""Folders that know no longest length write numbers beyond this."""


class Batch(dict[str, Tensor]):
    """`input_ids`, `attention_mask`, `token_type_ids`, each N×L; `model(**batch)` takes it."""

    def __getattr__(self, name: str) -> Tensor:
        if name in self:
            return self[name]
        raise AttributeError(f"a batch has {', '.join(self)}, but no {name}")


class Tokenizer:
    """Texts to ids, as the model's makers trained it.

    Attributes:
        max_length: the longest text the model takes, in tokens; None if the folder does not say.
        pad_id: the id that fills shorter texts up.
    """

    def __init__(self, backend: Any, max_length: int | None = None) -> None:
        backend.no_padding()  # files keep settings of their last use; each call states its own
        backend.no_truncation()
        self.backend = backend
        self.max_length = max_length
        pad = next((t for t in ("[PAD]", "<pad>") if backend.token_to_id(t) is not None), None)
        self.pad_token = pad
        self.pad_id: int = 0 if pad is None else backend.token_to_id(pad)

    @classmethod
    def from_pretrained(cls, folder: str | os.PathLike[str]) -> Tokenizer:
        """Read tokenizer.json, or BERT's vocab.txt, from a folder.

        Raises:
            FileNotFoundError: no such folder, or neither file in it.
            ValueError: the file is damaged.
            ModuleNotFoundError: `tokenizers` is not installed (`pip install pellucid[text]`).
        """
        try:
            import tokenizers
        except ModuleNotFoundError:
            raise ModuleNotFoundError(
                "texts need the library tokenizers: pip install 'pellucid[text]'", name="tokenizers"
            ) from None
        place = Path(folder)
        if not place.is_dir():
            raise FileNotFoundError(f"no tokenizer at {folder}: there is no such folder")
        settings = _read_json(place / "tokenizer_config.json")
        if (place / "tokenizer.json").exists():
            try:
                backend = tokenizers.Tokenizer.from_file(str(place / "tokenizer.json"))
            except Exception as error:  # the library raises nothing more special
                raise ValueError(f"{place / 'tokenizer.json'} is damaged: {error}") from None
        elif (place / "vocab.txt").exists():
            backend = _wordpiece(place / "vocab.txt", settings.get("do_lower_case", True) is True)
        else:
            raise FileNotFoundError(
                f"no tokenizer at {folder}: neither tokenizer.json nor vocab.txt is there"
            )
        longest = settings.get("model_max_length")
        fits = isinstance(longest, (int, float)) and 0 < longest < FAR
        return cls(backend, int(longest) if fits else None)  # type: ignore[arg-type]

    def __call__(
        self,
        texts: str | Sequence[str],
        pairs: str | Sequence[str] | None = None,
        *,
        padding: bool | str = True,
        truncation: bool = True,
        max_length: int | None = None,
    ) -> Batch:
        """Texts (or pairs of a text and a second one) as tensors of int64.

        Args:
            texts: one text or several; one gives a batch of one.
            pairs: second texts, one for each.
            padding: True: to the longest of these; "max_length": to `max_length`; False: not at
                all, then all must have one length.
            truncation: cut to `max_length`, the longer of a pair first.
            max_length: in tokens, [CLS] and [SEP] counted; the model's by default.

        Raises:
            TypeError: something is no text.
            ValueError: as many pairs as texts are needed; lengths differ without padding.
        """
        rows = self.encode(texts, pairs, truncation=truncation, max_length=max_length)
        longest = max((len(row.ids) for row in rows), default=0)
        if padding == "max_length":
            longest = max_length or self.max_length or longest
        elif padding is False and any(len(row.ids) != longest for row in rows):
            raise ValueError(
                "the texts have different numbers of tokens, which no tensor can hold: pass "
                "padding=True"
            )
        ids, mask, kinds = [], [], []
        for row in rows:
            fill = longest - len(row.ids)
            ids.append(row.ids + [self.pad_id] * fill)
            mask.append([1] * len(row.ids) + [0] * fill)
            kinds.append(row.type_ids + [0] * fill)
        names = ("input_ids", "token_type_ids", "attention_mask")
        shape = (len(rows), longest)
        tensors = (torch.tensor(v, dtype=torch.int64).reshape(shape) for v in (ids, kinds, mask))
        return Batch(zip(names, tensors, strict=True))

    def encode(
        self,
        texts: str | Sequence[str],
        pairs: str | Sequence[str] | None = None,
        *,
        truncation: bool = True,
        max_length: int | None = None,
    ) -> list[Any]:
        """The library's encodings (`ids`, `tokens`, `offsets`, …), not padded."""
        first = _texts(texts, "texts")
        second = None if pairs is None else _texts(pairs, "pairs")
        if second is not None and len(second) != len(first):
            raise ValueError(f"{len(first)} texts and {len(second)} pairs: one for each is needed")
        limit = max_length if max_length is not None else self.max_length
        if limit is not None and limit < 3:
            raise ValueError(f"max_length={limit} leaves no room: [CLS] and [SEP] are two tokens")
        if truncation and limit is not None:
            self.backend.enable_truncation(limit)
        try:
            inputs = first if second is None else list(zip(first, second, strict=True))
            found: list[Any] = self.backend.encode_batch(inputs)
        finally:
            self.backend.no_truncation()
        return found

    def decode(self, ids: Any, skip_special_tokens: bool = True) -> str:
        """The text of one row of ids."""
        row = ids.tolist() if isinstance(ids, Tensor) else list(ids)
        text: str = self.backend.decode(row, skip_special_tokens=skip_special_tokens)
        return text

    def __len__(self) -> int:
        """How many tokens there are."""
        return int(self.backend.get_vocab_size())


def _texts(value: Any, name: str) -> list[str]:
    texts = [value] if isinstance(value, str) else list(value)
    for place, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"{name}[{place}] must be a text, not {type(text).__name__}")
    return texts


def _read_json(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from None
    return data if isinstance(data, dict) else {}


def _wordpiece(path: Path, lower: bool) -> Any:
    """BERT's own tokenizer from its list of word pieces."""
    from tokenizers.implementations import BertWordPieceTokenizer

    words = path.read_text(encoding="utf-8").splitlines()
    if missing := [t for t in ("[UNK]", "[CLS]", "[SEP]") if t not in words]:
        raise ValueError(f"{path} is no vocabulary of BERT's: it lacks {', '.join(missing)}")
    vocabulary = {word: place for place, word in enumerate(words)}
    return BertWordPieceTokenizer(vocabulary, lowercase=lower)._tokenizer
