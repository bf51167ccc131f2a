"""grid_sample and affine_grid (being written by another engineer)."""
