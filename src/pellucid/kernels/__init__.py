"""Kernels: programs in a small loop language, printed as LLVM IR, compiled for this CPU.

`language/` says what a program is, `passes/` improves it, `llvm.py` prints it, `jit.py` compiles
and keeps the object code, `pool.py` runs it on several threads. The other files are the kernels.
"""
