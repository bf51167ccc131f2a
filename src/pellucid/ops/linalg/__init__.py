"""Linear algebra: norms, factorisations, solving, determinants, products of matrices."""
