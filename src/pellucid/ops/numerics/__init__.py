"""Special functions of NumPy arrays: rational approximations and series, vectorised.

No tensors here.
"""
