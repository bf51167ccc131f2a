"""What networks are made of: softmax, norms, pools, losses, padding, embeddings, attention."""

from __future__ import annotations

from typing import Any

from tests.properties.rows import Row, row, tensor


def reductions(name: str, *args: Any, **kwargs: Any) -> list[Row]:
    """A loss with each of its three reductions."""
    ways = ("mean", "sum", "none")
    return [row("nn.functional." + name, *args, reduction=way, **kwargs) for way in ways]


NORMS = [
    row("softmax", "nmk", 1),
    row("softmax", "nm", -1),
    row("log_softmax", "nmk", 0),
    row("nn.functional.softmax", "nm", dim=0),
    row("nn.functional.log_softmax", "nm", dim=1),
    row("nn.functional.softmin", "nm", dim=1),
    row("nn.functional.layer_norm", "nm4", (4,), "4", "4"),
    row("nn.functional.layer_norm", "n34", (3, 4)),
    row("nn.functional.rms_norm", "n4", (4,), "4"),
    row("nn.functional.group_norm", "n4k", 2, "4", "4"),
    row("nn.functional.group_norm", "2433", 4),
    row("nn.functional.batch_norm", "3c", "c:any!", "c:positive!", orders=1),
    row("nn.functional.batch_norm", "3c34", None, None, "c", "c", True),
    row("nn.functional.instance_norm", "2c5"),
    row("nn.functional.local_response_norm", "2434", 2),
    row("nn.functional.normalize", "nmk", 2.0, 1),
    row("batch_norm", "3c4", "c", "c", "c:any!", "c:positive!", False, 0.1, 1e-5, False),
    row("native_batch_norm", "3c4", "c", "c", None, None, True, 0.1, 1e-5, empty=False, orders=1),
    row("native_layer_norm", "n34", (4,), "4", "4", 1e-5, orders=1),
]

POOLS = [
    row("nn.functional.max_pool1d", "2c6", 2, empty=False),
    row("nn.functional.max_pool2d", "2c55", 2, 2, 1, empty=False),
    row("nn.functional.max_pool2d", "2355", 3, 1, 1, 1, True),
    row("nn.functional.max_pool3d", "1c444", 2, empty=False),
    row("nn.functional.max_pool1d_with_indices", "236", 2),
    row("nn.functional.max_pool2d_with_indices", "2355", 2),
    row("nn.functional.max_pool3d_with_indices", "12444", 2),
    row("nn.functional.avg_pool1d", "2c6", 3, 2, 1, empty=False),
    row("nn.functional.avg_pool2d", "2c55", 2, 2, 1, empty=False),
    row("nn.functional.avg_pool2d", "2355", 3, 2, 0, True, False),
    row("nn.functional.avg_pool3d", "1c444", 2, empty=False),
    row("nn.functional.adaptive_avg_pool1d", "2c5", 3, empty=False),
    row("nn.functional.adaptive_avg_pool2d", "2c54", (2, 3), empty=False),
    row("nn.functional.adaptive_avg_pool3d", "1c344", 2, empty=False),
    row("nn.functional.adaptive_max_pool1d", "2c5", 3, empty=False),
    row("nn.functional.adaptive_max_pool2d", "2c54", (2, 3), empty=False),
    row("nn.functional.adaptive_max_pool3d", "1c344", 2, empty=False),
    row("nn.functional.adaptive_max_pool1d_with_indices", "235", 3),
    row("nn.functional.adaptive_max_pool2d_with_indices", "2354", 2),
    row("nn.functional.adaptive_max_pool3d_with_indices", "12344", 2),
    row("nn.functional.lp_pool1d", "236:positive", 2.0, 2),
    row("nn.functional.lp_pool2d", "2355:positive", 2.0, 2),
    row("nn.functional.lp_pool3d", "12444:positive", 2.0, 2),
    row("nn.functional.max_unpool1d", "233", "233:index6", 2, orders=0),
    row("nn.functional.max_unpool2d", "1322", "1322:index9", 2, orders=0),
    row("nn.functional.max_unpool3d", "12222", "12222:index9", 2, orders=0),
    row("nn.functional.fractional_max_pool2d", "2366", 2, 3, _random_samples=tensor("232:open!")),
    row(
        "nn.functional.fractional_max_pool2d_with_indices",
        *("2366", 2, 3),
        _random_samples=tensor("232:open!"),
    ),
    row("nn.functional.fractional_max_pool3d", "12444", 2, 2, _random_samples=tensor("123:open!")),
    row(
        "nn.functional.fractional_max_pool3d_with_indices",
        *("12444", 2, 2),
        _random_samples=tensor("123:open!"),
    ),
]

LOSSES = [
    *reductions("mse_loss", "nm", "nm"),
    *reductions("l1_loss", "nm", "nm"),
    *reductions("smooth_l1_loss", "nm", "nm", beta=0.5),
    *reductions("huber_loss", "nm", "nm", delta=0.5),
    *reductions("poisson_nll_loss", "nm", "nm:positive"),
    *reductions("gaussian_nll_loss", "nm", "nm", "nm:positive"),
    *reductions("kl_div", "nm", "nm:open"),
    *reductions("nll_loss", "n4", "n:index4"),
    *reductions("nll_loss", "243m:own", "23m:index4", weight=tensor("4:positive!"), orders=0),
    *reductions("cross_entropy", "n4", "n:index4", label_smoothing=0.1),
    *reductions("cross_entropy", "243m:own", "23m:index4", weight=tensor("4:positive!")),
    *reductions("cross_entropy", "n4", "n4:open"),
    *reductions("binary_cross_entropy", "nm:open", "nm:open", weight=tensor("nm:any!")),
    *reductions("binary_cross_entropy_with_logits", "nm", "nm:open", pos_weight=tensor("m:any!"))[
        :2
    ],
    *reductions("soft_margin_loss", "nm", "nm:sign!"),
    *reductions("multilabel_soft_margin_loss", "nm", "nm:open"),
    *reductions("hinge_embedding_loss", "nm", "nm:sign!"),
    *reductions("margin_ranking_loss", "n", "n", "n:sign!"),
    *reductions("multi_margin_loss", "n4", "n:index4", empty=False, orders=1),
    *reductions("multilabel_margin_loss", "n4", "n4:index4", empty=False, orders=1),
]

DISTANCES = [
    row("pairwise_distance", "nm", "nm"),
    row("cosine_similarity", "nmk", "nmk", dim=1),
    row("pdist", "4m", empty=False, orders=1),
    *reductions("cosine_embedding_loss", "nm", "nm", "n:sign!"),
    *reductions("triplet_margin_loss", "nm", "nm", "nm", swap=True),
    *reductions("triplet_margin_with_distance_loss", "nm", "nm", "nm"),
]

SAMPLING = [
    row("affine_grid_generator", "223", (2, 1, 3, 4), False),
    row("nn.functional.affine_grid", "223", (2, 1, 3, 4), align_corners=True),
    row("grid_sampler", "2344", "2322:unit", 0, 0, False, orders=1),
    row("grid_sampler_2d", "2344", "2322:unit", 0, 1, True, orders=1),
    row("grid_sampler_3d", "12333", "12223:unit", 0, 0, False, orders=1),
    row("nn.functional.grid_sample", "2344", "2322:unit", align_corners=False, orders=1),
]

OTHERS = [
    row("nn.functional.pad", "nm", (1, 2)),
    row("nn.functional.pad", "nmk", (1, -1, 0, 2), mode="constant", value=3.0, empty=False),
    row("nn.functional.pad", "2344", (1, 1, 2, 0), mode="reflect"),
    row("nn.functional.pad", "234", (1, 2), mode="replicate"),
    row("nn.functional.pad", "23344", (1, 1, 1, 0, 0, 1), mode="replicate"),
    row("nn.functional.pad", "2344", (1, 1, 2, 0), mode="circular"),
    row("constant_pad_nd", "nm", (1, 0, 2, 1), 0.5),
    row("nn.functional.embedding", "nm:index4", "4k"),
    row("nn.functional.embedding", "n:index4", "43", padding_idx=1, scale_grad_by_freq=True),
    row("embedding", "4k", "nm:index4"),
    row("nn.functional.one_hot", "nm:index4", 4),
    row("nn.functional.scaled_dot_product_attention", "bnk", "bmk", "bml", empty=False),
    row(
        "nn.functional.scaled_dot_product_attention",
        "2324",
        "2324",
        "2324",
        is_causal=True,
        orders=1,
    ),
    row("nn.functional.pixel_shuffle", "n433", 2),
    row("nn.functional.pixel_unshuffle", "n244", 2, empty=False),
    row("nn.functional.channel_shuffle", "n433", 2, empty=False),
    row("nn.functional.interpolate", "2345", size=(5, 4)),
    row("nn.functional.interpolate", "2345", scale_factor=2, mode="bilinear"),
    row("nn.functional.interpolate", "234", scale_factor=2, mode="linear", align_corners=True),
    row("nn.functional.interpolate", "2345", size=(3, 3), mode="bicubic", dtypes=("float64",)),
    row("nn.functional.interpolate", "2345", size=(2, 2), mode="area"),
    row("nn.functional.interpolate", "12333", scale_factor=2, mode="trilinear"),
    row("nn.functional.upsample", "2345", scale_factor=2),
    row("nn.functional.upsample_nearest", "2345", scale_factor=2),
    row("nn.functional.upsample_bilinear", "2345", scale_factor=2),
]

# `torch` has these under its own signatures, with reductions as numbers.
INNER = [
    row("kl_div", "nm", "nm:open", 1),
    row("hinge_embedding_loss", "nm", "nm:sign!", 0.5, 2),
    row("margin_ranking_loss", "n", "n", "n:sign!", 0.1, 0),
    row("cosine_embedding_loss", "nm", "nm", "n:sign!", 0.1, 1),
    row("triplet_margin_loss", "nm", "nm", "nm", 1.0, 2, 1e-6, False, 0),
    row("poisson_nll_loss", "nm", "nm:open", True, False, 1e-8, 1),
    row("binary_cross_entropy_with_logits", "nm", "nm:open", None, None, 2),
    row("instance_norm", "2c5", None, None, None, None, True, 0.1, 1e-5, False),
    row("native_channel_shuffle", "n433", 2, empty=False, orders=0),
]

ROWS = [*NORMS, *POOLS, *LOSSES, *DISTANCES, *SAMPLING, *OTHERS, *INNER]
