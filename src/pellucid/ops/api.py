"""`F`: operators by their public names, for gradient formulas and composites of other families.

Families stand beside each other and use one another in their formulas; looking a name up when it is
used avoids import cycles.
"""

from __future__ import annotations

from typing import Any

from pellucid.ops.spec import registry


class Place:
    """The operators of one public place as attributes."""

    def __init__(self, place: str) -> None:
        self._place = place

    def __getattr__(self, name: str) -> Any:
        found = registry.find(self._place, name)
        if found is None:
            raise AttributeError(f"there is no operator {self._place}.{name}")
        setattr(self, name, found)
        return found


class Api(Place):
    """`F.exp`, `F.nn.relu`, `F.linalg.norm`, `F.special.erf`, `F.fft.fft`."""

    def __init__(self) -> None:
        super().__init__("torch")
        self.nn = Place("nn.functional")
        self.linalg = Place("linalg")
        self.special = Place("special")
        self.fft = Place("fft")
        self.internal = Place("internal")


F = Api()
