"""What `data/dump_torchvision.py` wrote: arrays by the path of their name."""

import ast
from functools import cache
from pathlib import Path

import numpy as np

FILE = Path(__file__).parent / "data" / "torchvision.npz"


@cache
def arrays():
    with np.load(FILE) as found:
        return {name: found[name] for name in found.files}


def under(prefix):
    """The arrays whose name begins with `prefix`, by the rest of their name."""
    start = prefix + "/"
    return {name[len(start) :]: a for name, a in arrays().items() if name.startswith(start)}


def region_cases():
    """(operator, number of the case, keywords): one for each setting that was dumped."""
    for name in arrays():
        operator, _, rest = name.partition("/")
        number, _, rest = rest.partition("/")
        if rest == "float64/keywords":
            yield operator, number, ast.literal_eval(str(arrays()[name]))
