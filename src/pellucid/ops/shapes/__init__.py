"""The same elements in other shapes, copied: joining, repeating, flipping, diagonals, grids."""
