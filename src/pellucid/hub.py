"""`torch.hub`: models from the network. Pellucid reads local files only; what would download is
refused.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlparse as urlparse  # programs take it from here

from pellucid.serialization import load as _load

__all__ = [
    "download_url_to_file",
    "get_dir",
    "help",
    "list",
    "load",
    "load_state_dict_from_url",
    "set_dir",
]

HASH_REGEX = re.compile(r"-([a-f0-9]*)\.")
"""Finds the hash in a name like `resnet18-f37072fd.pth`."""
_chosen: dict[str, str] = {}


def get_dir() -> str:
    """The folder of downloaded files: `$TORCH_HOME/hub`, at first `~/.cache/torch/hub`."""
    if "dir" in _chosen:
        return _chosen["dir"]
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("TORCH_HOME", os.path.join(cache, "torch"))
    return os.path.join(os.path.expanduser(home), "hub")


def set_dir(d: str | os.PathLike[str]) -> None:
    """Choose the folder of downloaded files."""
    _chosen["dir"] = os.path.expanduser(str(d))


def load_state_dict_from_url(
    url: str,
    model_dir: str | None = None,
    map_location: Any = None,
    progress: bool = True,
    check_hash: bool = False,
    file_name: str | None = None,
    weights_only: bool = False,
) -> Any:
    """The checkpoint of a URL that was downloaded before. RuntimeError if it lies in no folder."""
    folder = Path(model_dir or os.path.join(get_dir(), "checkpoints"))
    path = folder / (file_name or url.rpartition("/")[2])
    if not path.exists():
        _refuse(f"download {url}; save the file as {path}")
    return _load(path, map_location=map_location)


def _refuse(what: str) -> NoReturn:
    raise RuntimeError(
        f"torch.hub: Pellucid opens no network connections and does not {what}. Fetch the files "
        "yourself and read weights with torch.load(path)."
    )


def download_url_to_file(url: str, dst: str, *args: Any, **kwargs: Any) -> NoReturn:
    """Refused: RuntimeError."""
    _refuse(f"download {url}; save it as {dst}")


def load(repo_or_dir: Any, model: str, *args: Any, **kwargs: Any) -> NoReturn:
    """Refused: RuntimeError. It would run a stranger's code."""
    _refuse(f"load the model {model!r} from {repo_or_dir!r}: that runs code from there")


def list(github: str, *args: Any, **kwargs: Any) -> NoReturn:
    """Refused: RuntimeError."""
    _refuse(f"list what {github!r} offers")


def help(github: str, model: str, *args: Any, **kwargs: Any) -> NoReturn:
    """Refused: RuntimeError."""
    _refuse(f"read the help of {model!r} from {github!r}")
