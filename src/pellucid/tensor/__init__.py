"""Data and its description: dtypes, layouts, storage, the `Tensor` type, random bits, events."""
