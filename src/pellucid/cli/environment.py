"""`pellucid env`: what a bug report should say about the machine and the installation."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import sys
from typing import Annotated

import typer

from pellucid import config
from pellucid.instrument import log, timing
from pellucid.version import PELLUCID

LIBRARIES = ("numpy", "llvmlite", "typer", "rich", "ml_dtypes", "safetensors", "tokenizers")


def library_version(name: str) -> str | None:
    """The installed version of a distribution, or None."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


@timing
@log("DEBUG")
def environment() -> dict[str, str]:
    """name -> value of everything that may matter to how a program runs."""
    facts = {
        "pellucid": PELLUCID,
        "python": f"{platform.python_version()} ({sys.executable})",
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cpus": str(os.cpu_count()),
    }
    facts.update({name: library_version(name) or "not installed" for name in LIBRARIES})
    real = importlib.util.find_spec("torch")
    facts["torch"] = (
        "not installed (not needed)"
        if real is None
        else f"{library_version('torch')} (`pellucid run` does not use it)"
    )
    for name in sorted(os.environ):
        if name.startswith("PELLUCID_"):
            facts[name] = os.environ[name]
    facts["debug windows"] = ", ".join(sorted(config.debug_windows())) or "none"
    return facts


def env_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Print what a bug report should say about this machine and installation."""
    facts = environment()
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:{width}}  {value}")
