"""Linear algebra: norms, factorisations, solving, determinants, products of matrices."""

from pellucid.ops.linalg import determinants as determinants
from pellucid.ops.linalg import factors as factors
from pellucid.ops.linalg import indefinite as indefinite
from pellucid.ops.linalg import least_squares as least_squares
from pellucid.ops.linalg import low_rank as low_rank
from pellucid.ops.linalg import lu as lu
from pellucid.ops.linalg import norms as norms
from pellucid.ops.linalg import reflections as reflections
from pellucid.ops.linalg import solving as solving
from pellucid.ops.linalg import tensors as tensors
