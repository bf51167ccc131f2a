"""`pellucid embed` and `pellucid similar`: the lines of a file as vectors, and which are alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli.complaint import complaining

_MODEL = typer.Option("--model", help="A folder with config.json, weights and tokenizer.")
_BATCH = typer.Option("--batch-size", min=1, help="Lines that are computed together.")


def embed_command(
    file: Annotated[Path, typer.Argument(help="A text file in UTF-8; every line is a text.")],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Write .npy (one row a line) or .jsonl.")
    ],
    model: Annotated[Path, _MODEL],
    batch_size: Annotated[int, _BATCH] = 32,
) -> None:
    """Write the vectors of a file's lines. After an interruption the same command goes on."""
    from pellucid.cli.embedding import embed

    with complaining("embed"):
        print(embed(file, out, model, batch_size))


def similar_command(
    file: Annotated[
        Path, typer.Argument(help="A text file, or a .jsonl that `pellucid embed` wrote.")
    ],
    query: Annotated[str, typer.Argument(help="The text to compare with.")],
    model: Annotated[Path, _MODEL],
    k: Annotated[int, typer.Option("-k", min=1, help="How many lines to show.")] = 5,
    embeddings: Annotated[
        Path | None,
        typer.Option(help="The .npy of the text file, so that it is not computed again."),
    ] = None,
    batch_size: Annotated[int, _BATCH] = 32,
) -> None:
    """Show the lines most like a query, with the cosine of their vectors."""
    from pellucid.cli.embedding import similar

    with complaining("similar"):
        for score, place, text in similar(file, query, model, k, embeddings, batch_size):
            print(f"{score:7.4f}  {place:>6}  {text}")
