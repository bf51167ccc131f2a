"""Write `src/pellucid/ops/signatures.txt`: the overloads of PyTorch's functions and methods.

They are read from the bindings of the PyTorch that is installed, for the names that Pellucid has:
what each function calls itself, and the order of its overloads, are asked of its own error message.

    python tools/write_signatures.py
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import torch

import pellucid
import pellucid.nn.functional
from pellucid.ops.signature import Signature
from pellucid.ops.spec import registry

TARGET = Path(pellucid.__file__).parent / "ops" / "signatures.txt"
BINDINGS = Path(torch.__file__).parent / "lib" / "libtorch_python.so"
PLACES = {
    "torch": [torch],
    "Tensor": [torch.ones(2)],
    "nn.functional": [torch.nn.functional],
    "linalg": [torch.linalg],
    "special": [torch.special],
    "fft": [torch.fft],
}
UNKNOWN = {f"unknown_{number}": None for number in range(40)}


def overloads() -> dict[str, list[Signature | str]]:
    """Every signature in the bindings, by the name that the parser gives the function."""
    found = defaultdict(list)
    data = BINDINGS.read_bytes()
    pattern = rb"\x00([A-Za-z_]\w*\([\x20-\x7e]*\)(?:\|deprecated|\|hidden)?)(?=\x00)"
    for match in set(re.findall(pattern, data)):
        text = match.decode()
        try:
            signature = Signature.read(text)
        except (ValueError, KeyError, IndexError):
            continue
        if signature.positional <= len(signature.parameters):
            found[signature.name].append((text, signature))
    return found


def listed(function: object) -> tuple[str, list[str]] | None:
    """What `function` calls itself and the overloads it lists; None for one written in Python."""
    try:
        function(**UNKNOWN)
    except TypeError as error:
        message = str(error)
    except Exception:
        return None
    name = re.match(r"(\w+)\(\)", message)
    if name is None:
        return None
    return name[1], re.findall(r"^ \* (\(.*\))$", message, re.M)


def lines() -> list[str]:
    """One line for each place, name and overload that Pellucid has too."""
    known, written = overloads(), []
    for place, homes in PLACES.items():
        for name in sorted(registry.places.get(place, {})):
            function = getattr(homes[0], name, None)
            if function is None or hasattr(function, "__code__"):
                continue
            found = listed(function)
            if found is None or found[0] not in known:
                continue
            own, shown = found
            candidates = known[own]
            method = place == "Tensor"
            fitting = [
                (text, signature)
                for text, signature in candidates
                if method != any(p.name == "input" for p in signature.parameters)
                or not any(p.name == "input" for _, s in candidates for p in s.parameters)
            ]
            chosen = []
            for line in shown:
                ranked = fitting + [each for each in candidates if each not in fitting]
                chosen += [text for text, s in ranked if str(s) == line and not s.deprecated][:1]
            if len(chosen) != len(shown):
                print(f"{place}.{name}: {len(shown)} overloads listed, {len(chosen)} found")
            if not shown:
                plain = sorted(text for text, s in fitting if not s.deprecated)
                if len(plain) != 1:
                    print(f"{place}.{name}: {plain}")
                chosen = plain[-1:]  # of `copy_`, the one for tensors
            chosen += [text for text, s in fitting if s.deprecated and chosen]
            written += [f"{place}.{name} {text}" for text in chosen]
    return written


if __name__ == "__main__":
    found = lines()
    TARGET.write_text("\n".join(found) + "\n")
    print(f"{len(found)} overloads written to {TARGET.name}")
