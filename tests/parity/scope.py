"""Which of PyTorch's operators Pellucid answers for, by family.

Names are those of the database without the variant: `div` stands for its three rounding modes. Not
here, and so not promised: sparse, nested and quantised tensors, `jiterator`, the `masked`
namespace, and names of PyTorch's internals (`ops.aten…`, leading underscore).
"""

from __future__ import annotations

FAMILIES: dict[str, tuple[str, ...]] = {
    family: tuple(names.split())
    for family, names in {
        "views": """
            as_strided broadcast_to broadcast_tensors broadcast_shapes chunk unsafe_chunk clone
            contiguous diagonal linalg.diagonal expand expand_as flatten unflatten ravel reshape
            reshape_as view view_as view_as_real view_as_complex movedim narrow permute select
            split split_with_sizes unsafe_split tensor_split hsplit vsplit dsplit squeeze
            unsqueeze T H mT mH t transpose unbind unfold atleast_1d atleast_2d
            atleast_3d real imag conj resolve_conj resolve_neg positive to resize_ resize_as_
            sum_to_size diag diag_embed diagflat
        """,
        "copies": """
            expand_copy diagonal_copy as_strided_copy view_copy permute_copy split_with_sizes_copy
            squeeze_copy t_copy transpose_copy unbind_copy unfold_copy unsqueeze_copy alias_copy
            narrow_copy as_strided_scatter diagonal_scatter select_scatter slice_scatter
            cat stack hstack vstack dstack column_stack tile repeat repeat_interleave roll rot90
            flip fliplr flipud block_diag cartesian_prod combinations meshgrid constant_pad_nd
            bfloat16 bool byte char double float half int long short cfloat cdouble
            complex polar conj_physical
        """,
        "indexing": """
            __getitem__ index_select index_put index_add index_copy index_fill index_reduce gather
            scatter scatter_add scatter_reduce take take_along_dim put masked_fill masked_select
            masked_scatter nonzero argwhere where fill zero_ item tril triu
            tril_indices triu_indices nonzero_static unravel_index
        """,
        "arithmetic": """
            abs add addcdiv addcmul sub rsub mul div true_divide floor_divide remainder fmod neg
            reciprocal pow float_power square sqrt rsqrt exp exp2 expm1 log log2 log10 log1p
            logaddexp logaddexp2 sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh
            sinc sigmoid ceil floor round trunc frac sign sgn signbit copysign heaviside hypot lerp
            clamp clamp_min clamp_max maximum minimum fmax fmin nan_to_num nextafter
            deg2rad rad2deg angle gcd lcm ldexp frexp
            __radd__ __rsub__ __rmul__ __rdiv__ __rmod__ __rpow__
        """,
        "comparison": """
            eq ne lt le gt ge equal isclose allclose isnan isinf isfinite isposinf isneginf isreal
            logical_and logical_or logical_xor logical_not bitwise_and bitwise_or bitwise_xor
            bitwise_not bitwise_left_shift bitwise_right_shift __rand__ __ror__ __rxor__
        """,
        "special": """
            erf erfc erfinv lgamma digamma polygamma mvlgamma logit xlogy i0 igamma igammac
            special.entr special.i0e special.i1 special.i1e special.ndtr special.ndtri
            special.log_ndtr special.erfcx special.xlog1py special.zeta special.polygamma
            special.airy_ai special.bessel_j0 special.bessel_j1 special.bessel_y0 special.bessel_y1
            special.modified_bessel_i0 special.modified_bessel_i1 special.modified_bessel_k0
            special.modified_bessel_k1 special.scaled_modified_bessel_k0
            special.scaled_modified_bessel_k1 special.spherical_bessel_j0
            special.chebyshev_polynomial_t special.chebyshev_polynomial_u
            special.chebyshev_polynomial_v special.chebyshev_polynomial_w
            special.shifted_chebyshev_polynomial_t special.shifted_chebyshev_polynomial_u
            special.shifted_chebyshev_polynomial_v special.shifted_chebyshev_polynomial_w
            special.hermite_polynomial_h special.hermite_polynomial_he
            special.laguerre_polynomial_l special.legendre_polynomial_p
        """,
        "reductions": """
            sum nansum mean nanmean var std var_mean std_mean prod min max amin amax aminmax argmin
            argmax norm logsumexp all any cumsum cumprod cummax cummin logcumsumexp median
            nanmedian mode quantile nanquantile count_nonzero dist diff trapezoid trapz
            cumulative_trapezoid renorm cov corrcoef gradient
        """,
        "sorting": """
            sort argsort msort topk kthvalue searchsorted bucketize unique unique_consecutive histc
            histogram bincount isin
        """,
        "linalg": """
            matmul mm bmm mv dot vdot addmm addmv addbmm baddbmm addr inner outer tensordot kron
            einsum __rmatmul__ cross linalg.cross linalg.vecdot linalg.norm linalg.vector_norm
            linalg.matrix_norm linalg.inv linalg.inv_ex linalg.det linalg.slogdet linalg.solve
            linalg.solve_ex linalg.cholesky linalg.cholesky_ex linalg.qr linalg.svd
            linalg.svdvals linalg.eigh linalg.eigvalsh linalg.eig linalg.eigvals linalg.lstsq
            linalg.pinv linalg.matrix_power linalg.matrix_rank linalg.multi_dot linalg.lu
            linalg.lu_factor linalg.lu_factor_ex linalg.lu_solve linalg.solve_triangular
            linalg.cond linalg.tensorinv linalg.tensorsolve linalg.vander
            linalg.householder_product trace triangular_solve cholesky cholesky_inverse
            cholesky_solve pinverse qr svd lu lu_solve lu_unpack logdet matrix_exp cdist
            geqrf ormqr linalg.ldl_factor linalg.ldl_factor_ex linalg.ldl_solve svd_lowrank
            pca_lowrank
        """,
        "convolution": """
            nn.functional.conv1d nn.functional.conv2d nn.functional.conv3d
            nn.functional.conv_transpose1d nn.functional.conv_transpose2d
            nn.functional.conv_transpose3d nn.functional.linear nn.functional.bilinear
            nn.functional.unfold nn.functional.fold
        """,
        "pooling": """
            nn.functional.avg_pool1d nn.functional.avg_pool2d nn.functional.avg_pool3d
            nn.functional.max_pool1d nn.functional.max_pool2d nn.functional.max_pool3d
            nn.functional.adaptive_avg_pool1d nn.functional.adaptive_avg_pool2d
            nn.functional.adaptive_avg_pool3d nn.functional.adaptive_max_pool1d
            nn.functional.adaptive_max_pool2d nn.functional.adaptive_max_pool3d
            nn.functional.lp_pool1d nn.functional.lp_pool2d nn.functional.lp_pool3d
            nn.functional.max_unpool1d nn.functional.max_unpool2d nn.functional.max_unpool3d
            nn.functional.fractional_max_pool2d nn.functional.fractional_max_pool3d
        """,
        "normalisation": """
            nn.functional.batch_norm nn.functional.layer_norm nn.functional.group_norm
            nn.functional.instance_norm nn.functional.local_response_norm nn.functional.rms_norm
            nn.functional.normalize native_batch_norm native_layer_norm native_group_norm
        """,
        "activations": """
            softmax log_softmax nn.functional.softmin nn.functional.relu nn.functional.relu6
            nn.functional.elu nn.functional.selu nn.functional.celu nn.functional.gelu
            nn.functional.glu nn.functional.silu nn.functional.mish nn.functional.leaky_relu
            nn.functional.prelu nn.functional.rrelu nn.functional.logsigmoid
            nn.functional.hardsigmoid nn.functional.hardswish nn.functional.hardtanh
            nn.functional.hardshrink nn.functional.softshrink nn.functional.softplus
            nn.functional.softsign nn.functional.tanhshrink nn.functional.threshold
        """,
        "losses": """
            nn.functional.cross_entropy nn.functional.nll_loss nn.functional.mse_loss
            nn.functional.l1_loss nn.functional.smooth_l1_loss nn.functional.huber_loss
            nn.functional.binary_cross_entropy nn.functional.binary_cross_entropy_with_logits
            nn.functional.kl_div nn.functional.poisson_nll_loss nn.functional.gaussian_nll_loss
            nn.functional.hinge_embedding_loss nn.functional.cosine_embedding_loss
            nn.functional.margin_ranking_loss nn.functional.multi_margin_loss
            nn.functional.multilabel_margin_loss nn.functional.multilabel_soft_margin_loss
            nn.functional.soft_margin_loss nn.functional.triplet_margin_loss
            nn.functional.triplet_margin_with_distance_loss nn.functional.ctc_loss
            nn.functional.cosine_similarity nn.functional.pairwise_distance nn.functional.pdist
        """,
        "vision": """
            nn.functional.pad nn.functional.interpolate nn.functional.upsample_bilinear
            nn.functional.upsample_nearest nn.functional.grid_sample nn.functional.affine_grid
            nn.functional.pixel_shuffle nn.functional.pixel_unshuffle
            nn.functional.channel_shuffle
        """,
        "embedding": """
            nn.functional.embedding nn.functional.embedding_bag nn.functional.one_hot
            nn.functional.scaled_dot_product_attention nn.functional.multi_head_attention_forward
        """,
        "creation": """
            arange linspace logspace full full_like new_full zeros zeros_like new_zeros ones
            ones_like new_ones empty empty_like new_empty empty_strided new_empty_strided
            empty_permuted eye scalar_tensor
        """,
        "fourier": """
            fft.fft fft.ifft fft.rfft fft.irfft fft.hfft fft.ihfft fft.fft2 fft.ifft2 fft.rfft2
            fft.irfft2 fft.hfft2 fft.ihfft2 fft.fftn fft.ifftn fft.rfftn fft.irfftn fft.hfftn
            fft.ihfftn fft.fftshift fft.ifftshift stft istft signal.windows.bartlett
            signal.windows.blackman signal.windows.cosine signal.windows.exponential
            signal.windows.gaussian signal.windows.general_cosine signal.windows.general_hamming
            signal.windows.hamming signal.windows.hann signal.windows.kaiser
            signal.windows.nuttall
        """,
        "random": """
            rand_like randn randn_like randint randint_like bernoulli multinomial normal uniform
            exponential cauchy geometric log_normal nn.functional.dropout nn.functional.dropout2d
            nn.functional.dropout3d nn.functional.alpha_dropout
            nn.functional.feature_alpha_dropout
        """,
    }.items()
}

# Operators of these families must agree in at least this part of their samples, listed differences
# included: a list of excuses does not make an operator usable.
LEAST_RATE = 0.98


def family_of(name: str) -> str:
    """The family of a database name, with or without its variant; `""` if it is out of scope."""
    while name:
        for family, names in FAMILIES.items():
            if name in names:
                return family
        name = name.rpartition(".")[0]
    return ""


def all_names() -> list[str]:
    return [name for names in FAMILIES.values() for name in names]
