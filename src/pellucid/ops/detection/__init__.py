"""Operators of detectors: regions of interest and suppression.

They are described when `pellucid.vision.ops`, which gives them their public names, is first used: a
program without a detector does not pay for them.
"""
