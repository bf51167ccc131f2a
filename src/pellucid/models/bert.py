"""BERT: Devlin, Chang, Lee, Toutanova, "BERT: Pre-training of Deep Bidirectional Transformers for
Language Understanding" (2018); its layers are those of Vaswani et al., "Attention Is All You Need"
(2017). Sizes in comments: N sentences, L tokens, H hidden, A heads of D = H / A, V words.

Names of parameters are Hugging Face's: their checkpoints load as they are, older ones too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pellucid as torch
import pellucid.nn.functional as F
from pellucid import Tensor, nn
from pellucid.models.outputs import (
    BaseModelOutputWithPooling,
    MaskedLMOutput,
    SequenceClassifierOutput,
)
from pellucid.models.pretrained import Config, Pretrained

__all__ = ["BertConfig", "BertForMaskedLM", "BertForSequenceClassification", "BertModel"]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_new": lambda x: F.gelu(x, approximate="tanh"),
    "gelu_pytorch_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "relu": F.relu,
    "silu": F.silu,
    "tanh": torch.tanh,
}


@dataclass
class BertConfig(Config):
    """The sizes of a BERT; without arguments those of BERT-base (L=12, H=768, A=12: 110 million).

    Raises: ValueError for sizes that cannot be, or for a kind of BERT that this is not.
    """

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int | None = 0
    classifier_dropout: float | None = None
    problem_type: str | None = None
    num_labels: int = 2
    model_type: str = "bert"
    position_embedding_type: str = "absolute"
    is_decoder: bool = False

    def __post_init__(self) -> None:
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"The hidden size ({self.hidden_size}) is not a multiple of the number of "
                f"attention heads ({self.num_attention_heads})"
            )
        if self.model_type != "bert":
            raise ValueError(f"this is the configuration of a {self.model_type}, not of a bert")
        if self.hidden_act not in ACTIVATIONS:
            known = ", ".join(ACTIVATIONS)
            raise ValueError(f"hidden_act {self.hidden_act!r} is not known; there are {known}")
        if self.position_embedding_type != "absolute" or self.is_decoder:
            raise ValueError("only encoders with absolute positions are here, which BERT's are")


class BertEmbeddings(nn.Module):
    """Figure 2 of the paper: the sum of token, position and segment embeddings."""

    position_ids: Tensor

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(
            config.vocab_size, config.hidden_size, padding_idx=config.pad_token_id
        )
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        positions = torch.arange(config.max_position_embeddings).unsqueeze(0)
        self.register_buffer("position_ids", positions, persistent=False)

    def forward(
        self, words: Tensor, token_type_ids: Tensor | None, position_ids: Tensor | None
    ) -> Tensor:
        """`words`: N×L×H, the word embeddings."""
        length = words.shape[1]
        if position_ids is None:
            position_ids = self.position_ids[:, :length]  # 1×L
        if token_type_ids is None:
            token_type_ids = torch.zeros(words.shape[:2], dtype=torch.int64)  # N×L
        x = words + self.token_type_embeddings(token_type_ids)
        x = x + self.position_embeddings(position_ids)
        return self.dropout(self.LayerNorm(x))  # N×L×H


class BertSelfAttention(nn.Module):
    """Vaswani et al., equation 1 in A heads: softmax(Q Kᵀ / √D) V."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        self.query = nn.Linear(config.hidden_size, config.hidden_size)
        self.key = nn.Linear(config.hidden_size, config.hidden_size)
        self.value = nn.Linear(config.hidden_size, config.hidden_size)
        self.dropout = nn.Dropout(config.attention_probs_dropout_prob)

    def split(self, x: Tensor) -> Tensor:
        """N×L×H -> N×A×L×D."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(
        self, x: Tensor, mask: Tensor | None, weights_wanted: bool
    ) -> tuple[Tensor, Tensor | None]:
        q, k, v = self.split(self.query(x)), self.split(self.key(x)), self.split(self.value(x))
        if weights_wanted:
            scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])  # N×A×L×L
            weights = (scores if mask is None else scores + mask).softmax(dim=-1)
            out = self.dropout(weights) @ v  # N×A×L×D
        else:  # the same in one pass, without keeping the weights
            p = self.dropout.p if self.training else 0.0
            weights = None
            out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=p)
        return out.transpose(1, 2).flatten(-2), weights  # N×L×H


class BertResidual(nn.Module):
    """LayerNorm(x + Dropout(dense(y))): how both halves of a layer end."""

    def __init__(self, config: BertConfig, size: int) -> None:
        super().__init__()
        self.dense = nn.Linear(size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, y: Tensor, x: Tensor) -> Tensor:
        return self.LayerNorm(self.dropout(self.dense(y)) + x)


class BertAttention(nn.Module):
    """The first half of a layer."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.self = BertSelfAttention(config)
        self.output = BertResidual(config, config.hidden_size)

    def forward(
        self, x: Tensor, mask: Tensor | None, weights_wanted: bool
    ) -> tuple[Tensor, Tensor | None]:
        attended, weights = self.self(x, mask, weights_wanted)
        return self.output(attended, x), weights


class BertIntermediate(nn.Module):
    """The wide middle of the feed-forward half: H -> 4H."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.intermediate_size)
        self.activation = ACTIVATIONS[config.hidden_act]

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.dense(x))


class BertLayer(nn.Module):
    """Attention, then activation(x W₁ + b₁) W₂ + b₂ (equation 2), each with its residual."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.attention = BertAttention(config)
        self.intermediate = BertIntermediate(config)
        self.output = BertResidual(config, config.intermediate_size)

    def forward(
        self, x: Tensor, mask: Tensor | None, weights_wanted: bool
    ) -> tuple[Tensor, Tensor | None]:
        x, weights = self.attention(x, mask, weights_wanted)
        return self.output(self.intermediate(x), x), weights


class BertEncoder(nn.Module):
    """L layers of the same form."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList(BertLayer(config) for _ in range(config.num_hidden_layers))

    def forward(
        self, x: Tensor, mask: Tensor | None, weights_wanted: bool
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """The states before and after each layer, and each layer's weights if wanted."""
        states, weights = [x], []
        for layer in self.layer:
            x, found = layer(x, mask, weights_wanted)
            states.append(x)
            if found is not None:
                weights.append(found)
        return tuple(states), tuple(weights)


class BertPooler(nn.Module):
    """The state of the first token, [CLS], through a layer that pre-training fits: a sentence."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.activation = nn.Tanh()

    def forward(self, states: Tensor) -> Tensor:
        return self.activation(self.dense(states[:, 0]))  # N×L×H -> N×H


class Bert(Pretrained):
    """What all BERTs share: the configuration, and how parameters begin."""

    config: BertConfig
    config_class = BertConfig

    def initialise(self, module: nn.Module) -> None:
        initialise(module, self.config.initializer_range)


def initialise(module: nn.Module, std: float) -> None:
    """Appendix A.2 of the paper: normal numbers, biases 0, LayerNorm 1 and 0."""
    if isinstance(module, (nn.Linear, nn.Embedding)):
        nn.init.normal_(module.weight, 0.0, std)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
        if isinstance(module, nn.Embedding) and module.padding_idx is not None:
            with torch.no_grad():
                module.weight[module.padding_idx].zero_()


class BertModel(Bert):
    """The encoder: token ids to states, and the pooled state of the sentence.

    Call it with `input_ids` N×L (int64) and, if need be, `attention_mask` (1 for tokens, 0 for
    padding; N×L, or N×L×L), `token_type_ids` (0 and 1: first and second sentence), `position_ids`,
    or `inputs_embeds` N×L×H in place of ids. `output_hidden_states` and `output_attentions` ask for
    more; `return_dict=False` gives a plain tuple.
    """

    prefix = "bert"
    may_be_missing = ("pooler.",)

    def __init__(self, config: BertConfig, add_pooling_layer: bool = True) -> None:
        super().__init__()
        self.config = config
        self.embeddings = BertEmbeddings(config)
        self.encoder = BertEncoder(config)
        self.pooler = BertPooler(config) if add_pooling_layer else None
        self.apply(self.initialise)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_attentions: bool = False,
        output_hidden_states: bool = False,
        return_dict: bool = True,
    ) -> Any:
        words = self._words(input_ids, inputs_embeds)
        mask = None if attention_mask is None else additive(attention_mask, words)
        x = self.embeddings(words, token_type_ids, position_ids)
        states, weights = self.encoder(x, mask, output_attentions)
        result = BaseModelOutputWithPooling(
            last_hidden_state=states[-1],
            pooler_output=None if self.pooler is None else self.pooler(states[-1]),
            hidden_states=states if output_hidden_states else None,
            attentions=weights if output_attentions else None,
        )
        return result if return_dict else result.to_tuple()

    def _words(self, input_ids: Tensor | None, inputs_embeds: Tensor | None) -> Tensor:
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("You have to specify either input_ids or inputs_embeds, one of them")
        given = input_ids if input_ids is not None else inputs_embeds
        assert given is not None
        if given.dim() != (2 if input_ids is not None else 3):
            raise ValueError(
                f"Wrong shape for input_ids (shape {tuple(given.shape)}): sentences × tokens are "
                "wanted; for one sentence, ids.unsqueeze(0)"
            )
        most = self.config.max_position_embeddings
        if given.shape[1] > most:
            raise ValueError(
                f"{given.shape[1]} tokens, but this model knows {most} positions; truncate: "
                f"tokenizer(text, truncation=True, max_length={most})"
            )
        return given if input_ids is None else self.embeddings.word_embeddings(input_ids)


def additive(mask: Tensor, like: Tensor) -> Tensor:
    """0 where attention may go and the lowest number where not, to be added to scores N×A×L×L."""
    n, length = like.shape[:2]
    if mask.shape not in ((n, length), (n, length, length)):
        raise ValueError(
            f"Wrong shape for attention_mask (shape {tuple(mask.shape)}): for {n}×{length} tokens "
            f"it is ({n}, {length}) or ({n}, {length}, {length})"
        )
    wide = mask[:, None, None, :] if mask.dim() == 2 else mask[:, None]
    return (1.0 - wide.to(like.dtype)) * torch.finfo(like.dtype).min


class BertPredictions(nn.Module):
    """Task 1 of the paper: which word was there; the last layer is the word embedding's own."""

    def __init__(self, config: BertConfig, embedding: nn.Embedding) -> None:
        super().__init__()
        self.transform = nn.Module()
        self.transform.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.transform.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.activation = ACTIVATIONS[config.hidden_act]
        self.decoder = nn.Linear(config.hidden_size, config.vocab_size)
        self.apply(lambda module: initialise(module, config.initializer_range))
        self.decoder.weight = embedding.weight
        self.bias = self.decoder.bias

    def forward(self, states: Tensor) -> Tensor:
        x = self.transform.LayerNorm(self.activation(self.transform.dense(states)))
        return self.decoder(x)  # N×L×H -> N×L×V


class BertForMaskedLM(Bert):
    """BERT with its word predictions. `labels` N×L: the words to predict, -100 where none is."""

    inner = "bert"
    may_be_missing = ("cls.",)
    tied = ("cls.predictions.decoder.weight", "cls.predictions.decoder.bias")

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.config = config
        self.bert = BertModel(config, add_pooling_layer=False)
        self.cls = nn.Module()
        self.cls.predictions = BertPredictions(config, self.bert.embeddings.word_embeddings)

    def forward(
        self, input_ids: Tensor | None = None, *args: Any, labels: Tensor | None = None, **more: Any
    ) -> Any:
        """Arguments as for `BertModel`, and `labels`."""
        return_dict = more.pop("return_dict", True)
        out = self.bert(input_ids, *args, **more)
        logits = self.cls.predictions(out.last_hidden_state)
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten())
        result = MaskedLMOutput(
            loss=loss, logits=logits, hidden_states=out.hidden_states, attentions=out.attentions
        )
        return result if return_dict else result.to_tuple()


class BertForSequenceClassification(Bert):
    """BERT with a linear layer on the pooled state: figure 4 (a, b) of the paper.

    `labels`: N classes; with `num_labels=1`, N numbers (least squares); with
    `problem_type="multi_label_classification"`, N×num_labels of 0 and 1.
    """

    inner = "bert"
    may_be_missing = ("bert.pooler.", "classifier.")

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.config = config
        self.bert = BertModel(config)
        p = config.classifier_dropout
        self.dropout = nn.Dropout(config.hidden_dropout_prob if p is None else p)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        initialise(self.classifier, config.initializer_range)

    def forward(
        self, input_ids: Tensor | None = None, *args: Any, labels: Tensor | None = None, **more: Any
    ) -> Any:
        """Arguments as for `BertModel`, and `labels`."""
        return_dict = more.pop("return_dict", True)
        out = self.bert(input_ids, *args, **more)
        logits = self.classifier(self.dropout(out.pooler_output))  # N×H -> N×labels
        result = SequenceClassifierOutput(
            loss=None if labels is None else self._loss(logits, labels),
            logits=logits,
            hidden_states=out.hidden_states,
            attentions=out.attentions,
        )
        return result if return_dict else result.to_tuple()

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        kind = self.config.problem_type
        if kind == "regression" or (kind is None and self.config.num_labels == 1):
            return F.mse_loss(
                logits.squeeze(-1), labels.to(logits.dtype).view_as(logits.squeeze(-1))
            )
        if kind == "multi_label_classification":
            return F.binary_cross_entropy_with_logits(logits, labels)
        return F.cross_entropy(logits, labels.flatten())
