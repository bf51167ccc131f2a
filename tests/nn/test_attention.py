"""Attention and transformers, with every kind of mask."""

import pytest

from tests.nn.both import agree, programs


def attend(inputs="self", masks=(), call=None, **options):
    """A program: attention over batches of sequences, with gradients."""

    def program(torch):
        m = torch.nn.MultiheadAttention(4, 2, **options)
        shape = (2, 3) if options.get("batch_first") else (3, 2)
        query = torch.rand(*shape, 4, requires_grad=True)
        key = value = query
        if inputs == "cross":
            key = torch.rand(*shape, options.get("kdim", 4))
            value = torch.rand(*shape, options.get("vdim", 4))
        given = dict(call or {})
        if "padding" in masks:
            given["key_padding_mask"] = torch.tensor([[False, False, True], [False, True, False]])
        if "attention" in masks:
            given["attn_mask"] = torch.ones(3, 3).triu(1).bool()
        if "float" in masks:
            given["attn_mask"] = torch.rand(4, 3, 3)
        output, weights = m(query, key, value, **given)
        (output * torch.arange(output.numel()).view(output.shape)).sum().backward()
        return output, weights, query.grad, [p.grad for p in m.parameters()]

    return program


@pytest.mark.parametrize(
    "case",
    [
        {},
        {"batch_first": True},
        {"bias": False, "call": {"average_attn_weights": False}},
        {"call": {"need_weights": False}},
        {"inputs": "cross"},
        {"inputs": "cross", "kdim": 5, "vdim": 6, "batch_first": True},
        {"masks": ("padding",)},
        {"masks": ("attention",)},
        {"masks": ("attention",), "call": {"is_causal": True, "need_weights": False}},
        {"masks": ("attention", "padding"), "call": {"need_weights": False}},
        {"masks": ("float",), "add_zero_attn": True, "add_bias_kv": True},
        {"masks": ("padding",), "add_zero_attn": True, "add_bias_kv": True},
    ],
    ids=str,
)
def test_attention(case):
    agree(attend(**case), rtol=5e-5)


def wrong(name, expression):
    def program(torch):
        m = torch.nn.MultiheadAttention(4, 2)
        x = torch.zeros(3, 2, 4)
        return eval(expression, {"torch": torch, "nn": torch.nn, "m": m, "x": x})

    program.__name__ = name
    return program


@programs(
    wrong("heads", "nn.MultiheadAttention(4, 3)"),
    wrong("no_heads", "nn.MultiheadAttention(4, 0)"),
    wrong("dims", "m(x[0, 0], x, x)"),
    wrong("key_dims", "m(x, x[0], x[0])"),
    wrong("padding_dims", "m(x, x, x, key_padding_mask=torch.zeros(3).bool())"),
    wrong("mask_dims", "m(x, x, x, attn_mask=torch.zeros(3).bool())"),
    wrong("mask_size", "m(x, x, x, attn_mask=torch.zeros(2, 3).bool())"),
    wrong("mask_dtype", "m(x, x, x, attn_mask=torch.zeros(3, 3).long())"),
    wrong("padding_size", "m(x, x, x, key_padding_mask=torch.zeros(2, 4).bool())"),
    wrong("embedding", "m(x[..., :2], x, x)"),
    wrong("key_value", "m(x, x, x[:2])"),
    wrong("causal", "m(x, x, x, is_causal=True)"),
    wrong("activation", "nn.TransformerEncoderLayer(4, 2, activation='tanh')"),
)
def test_refusals(program):
    assert isinstance(agree(program), str)


def encoder(torch):
    layer = torch.nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, batch_first=True)
    m = torch.nn.TransformerEncoder(layer, 2, torch.nn.LayerNorm(4))
    x = torch.rand(2, 3, 4)
    causal = torch.nn.Transformer.generate_square_subsequent_mask(3)
    return m(x), m(x, mask=causal), repr(m)


def encoder_in_inference_drops_padding(torch):
    layer = torch.nn.TransformerEncoderLayer(4, 2, 6, batch_first=True)
    m = torch.nn.TransformerEncoder(layer, 2).eval()
    padding = torch.tensor([[False, False, True], [False, True, True]])
    with torch.no_grad():
        return m(torch.rand(2, 3, 4), src_key_padding_mask=padding)


def norm_first_gelu(torch):
    layer = torch.nn.TransformerEncoderLayer(
        4, 2, 6, dropout=0.0, activation="gelu", norm_first=True, bias=False
    )
    return layer(torch.rand(3, 2, 4))


def whole(torch):
    m = torch.nn.Transformer(4, 2, 1, 1, 6, dropout=0.0)
    source, target = torch.rand(3, 2, 4), torch.rand(5, 2, 4, requires_grad=True)
    causal = m.generate_square_subsequent_mask(5)
    padding = torch.tensor([[False, False, True], [False, False, False]])
    out = m(
        source,
        target,
        tgt_mask=causal,
        src_key_padding_mask=padding,
        memory_key_padding_mask=padding,
    )
    (out * torch.arange(40.0).view(5, 2, 4)).sum().backward()
    return out, target.grad, causal


def different_batches(torch):
    torch.nn.Transformer(4, 2, 1, 1, 6)(torch.zeros(3, 2, 4), torch.zeros(3, 1, 4))


@programs(encoder, encoder_in_inference_drops_padding, norm_first_gelu, whole, different_batches)
def test_transformer(program):
    agree(program, rtol=2e-4)
