"""`pellucid diagram`: draw a model that a module can make."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli.complaint import complaining


def diagram_command(
    target: Annotated[
        str,
        typer.Argument(
            metavar="MODULE:CALLABLE",
            help="What makes the model, as in torchvision.models:resnet18; or just resnet18.",
        ),
    ],
    inputs: Annotated[
        list[str],
        typer.Option(
            "--input", help="Sizes of an input, as in 1,3,224,224 or 1,128:int64; once for each."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Write .svg, .mmd (Mermaid), .html or .txt."),
    ] = None,
    depth: Annotated[
        int | None, typer.Option(min=1, help="Draw modules this deep as one box.")
    ] = None,
    fold: Annotated[
        bool, typer.Option(help="Draw three or more equal blocks in a row as one.")
    ] = True,
) -> None:
    """Draw a model with the sizes of one run, or print it as a table."""
    from pellucid.cli.drawing import draw

    with complaining("diagram"):
        print(draw(target, inputs, out, depth, fold))
