"""Every row of every family, and the public operators that have none, with the reason."""

from __future__ import annotations

from tests.properties import elementwise_rows, indexing_rows, linear_rows, nn_rows, reduction_rows
from tests.properties.rows import Row

ROWS: list[Row] = [
    row
    for family in (elementwise_rows, reduction_rows, linear_rows, nn_rows, indexing_rows)
    for row in family.ROWS
]

NO_LAYOUT = "takes no tensor whose layout could matter"
RANDOM = "its numbers are drawn; tests/parity and tests/tensor compare them by seed"
ELSEWHERE = "tests of its family and tests/parity drive it"
MEMORY = "is about the tensor itself; tests/tensor and tests/autograd look at it"

WITHOUT_ROWS: dict[str, str] = {
    name: reason
    for reason, names in {
        ELSEWHERE: """
            fft.fft fft.fft2 fft.fftfreq fft.fftn fft.fftshift fft.hfft fft.hfft2 fft.hfftn fft.ifft
            fft.ifft2 fft.ifftn fft.ifftshift fft.ihfft fft.ihfft2 fft.ihfftn fft.irfft fft.irfft2
            fft.irfftn fft.rfft fft.rfft2 fft.rfftfreq fft.rfftn istft stft geqrf ormqr
            linalg.ldl_factor linalg.ldl_factor_ex linalg.ldl_solve pca_lowrank svd_lowrank
        """,
        NO_LAYOUT: """
            zeros ones empty full empty_strided empty_permuted eye tril_indices triu_indices tensor
            scalar_tensor from_numpy frombuffer arange range linspace logspace randperm rand randn
            randint hann_window hamming_window blackman_window bartlett_window kaiser_window
            broadcast_shapes is_tensor is_storage from_file
        """,
        RANDOM: """
            rand_like randn_like randint_like bernoulli normal poisson binomial multinomial
            _standard_gamma _standard_gamma_grad _sample_dirichlet
            nn.functional.gumbel_softmax nn.functional.dropout native_dropout
            nn.functional.alpha_dropout nn.functional.feature_alpha_dropout
            nn.functional.dropout1d nn.functional.dropout2d nn.functional.dropout3d
        """,
        MEMORY: """
            detach_ zero_ resize_ resize_as_ set_ cpu cuda type new_tensor as_tensor asarray
            empty_like new_empty new_empty_strided is_nonzero is_distributed is_set_to dense_dim
            sparse_dim pin_memory
        """,
        "takes offsets and lengths that belong together; tests/ops and tests/parity": """
            ctc_loss nn.functional.ctc_loss embedding_bag nn.functional.embedding_bag
        """,
        "PyTorch refuses some transposed inputs; tests/parity": "kron",
        "PyTorch refuses inputs that are not contiguous; it is conv1d": "conv_tbc",
        "PyTorch refuses inputs that are not contiguous; group_norm calls it": "native_group_norm",
        "takes the factors that linalg.lu_factor made; tests/parity": """
            linalg.lu_solve lu_solve lu_unpack
        """,
    }.items()
    for name in names.split()
}
