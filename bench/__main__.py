"""`python -m bench [overhead|training ...]`: tables of Pellucid beside PyTorch, as text and as
JSON.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import platform
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from bench import overhead, training
from bench.timing import Measured

GROUPS = ("import", "overhead", "training")


def peers() -> dict[str, Any]:
    """Pellucid, and PyTorch if it is installed."""
    found = {"pellucid": importlib.import_module("pellucid")}
    if importlib.util.find_spec("torch") is not None:
        found["torch"] = importlib.import_module("torch")
    return found


def table(title: str, rows: dict[str, dict[str, Measured]]) -> Table:
    """One row a case: microseconds of each peer and the ratio to PyTorch."""
    names = sorted(
        {peer for row in rows.values() for peer in row}, key=["pellucid", "torch", "numpy"].index
    )
    out = Table(title=title)
    out.add_column("case")
    for name in names:
        out.add_column(f"{name} (µs)", justify="right")
    out.add_column("pellucid / torch", justify="right")
    out.add_column("spread", justify="right")
    for case, row in rows.items():
        cells = [f"{row[name].seconds * 1e6:,.1f}" if name in row else "" for name in names]
        ratio = f"{row['pellucid'].seconds / row['torch'].seconds:.2f}" if "torch" in row else ""
        out.add_row(case, *cells, ratio, f"{row['pellucid'].spread:.0%}")
    return out


def main(
    groups: Annotated[
        list[str] | None, typer.Argument(help=f"any of {', '.join(GROUPS)}; all if none is named")
    ] = None,
    threads: Annotated[int, typer.Option(help="threads for every peer")] = 2,
    json_path: Annotated[
        Path | None, typer.Option("--json", help="also write the numbers to this file")
    ] = None,
) -> None:
    """Measure Pellucid beside its peers in one run; medians of interleaved calls."""
    chosen = groups or list(GROUPS)
    unknown = set(chosen) - set(GROUPS)
    if unknown:
        raise typer.BadParameter(
            f"no group named {sorted(unknown)[0]!r}; there are {', '.join(GROUPS)}"
        )
    modules = peers()
    for module in modules.values():
        module.set_num_threads(threads)
    console = Console()
    results: dict[str, dict[str, dict[str, Measured]]] = {}
    if "import" in chosen:
        results["import"] = {"import": overhead.measure_imports("torch" in modules)}
    if "overhead" in chosen:
        results["overhead"] = overhead.measure(modules)
    if "training" in chosen:
        results["training"] = training.measure(modules)
    for title, rows in results.items():
        console.print(table(f"{title} ({platform.machine()}, {threads} threads)", rows))
    if json_path is not None:
        plain = {
            group: {
                case: {peer: vars(value) for peer, value in row.items()}
                for case, row in rows.items()
            }
            for group, rows in results.items()
        }
        partial = json_path.with_suffix(json_path.suffix + ".tmp")
        partial.write_text(json.dumps(plain, indent=1))
        partial.replace(json_path)


if __name__ == "__main__":
    typer.run(main)
