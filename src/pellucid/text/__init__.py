"""Texts as tensors: tokens for models, and sentences as vectors that can be compared."""

from pellucid.text.sentences import SentenceEncoder as SentenceEncoder
from pellucid.text.tokenizer import Batch as Batch
from pellucid.text.tokenizer import Tokenizer as Tokenizer

__all__ = ["Batch", "SentenceEncoder", "Tokenizer"]
