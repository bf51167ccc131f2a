"""The loop language: what programs are (`nodes`), how they are written (`builder`), checked
(`verify`), read (`text`) and run without a compiler (`interpret`).
"""
