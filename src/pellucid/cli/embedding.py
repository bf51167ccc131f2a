"""What `pellucid embed` and `pellucid similar` do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pellucid.cli.complaint import Complaint
from pellucid.instrument import log, timing
from pellucid.io.atomic import atomic_writer
from pellucid.text import SentenceEncoder

FORMATS = (".npy", ".jsonl")


def read_lines(path: Path) -> list[str]:
    """The lines of a text file, empty ones too: row i of the result belongs to line i + 1."""
    if not path.exists():
        raise Complaint(f"{path}: there is no such file")
    if path.is_dir():
        raise Complaint(f"{path} is a folder, not a text file")
    content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    if not content.strip():
        raise Complaint(f"{path} is empty: there is no line to read")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise Complaint(
            f"{path}, line {line}: byte {content[error.start]:#04x} is not UTF-8; convert the "
            "file, for example with `iconv -f latin1 -t utf-8`"
        ) from None
    return text.removesuffix("\n").replace("\r\n", "\n").split("\n")


def read_model(folder: Path) -> SentenceEncoder:
    """The model of a folder, or a complaint."""
    try:
        return SentenceEncoder.from_pretrained(folder)
    except (OSError, RuntimeError, ValueError, TypeError, ModuleNotFoundError) as error:
        raise Complaint(f"--model: {error}") from None


class Partial:
    """Vectors that are done so far, beside the output, so that an interruption costs one batch.

    `OUT.partial` holds all rows, `OUT.partial.json` how many batches are in it, and of what.
    """

    def __init__(self, out: Path, of: str, shape: tuple[int, int]) -> None:
        self.rows_at = out.with_name(out.name + ".partial")
        self.note_at = out.with_name(out.name + ".partial.json")
        self.of = of
        self.done = self._done_before(shape)
        mode: Any = "r+" if self.done else "w+"
        self.rows = np.memmap(self.rows_at, np.float32, mode, shape=shape)

    def _done_before(self, shape: tuple[int, int]) -> int:
        try:
            note = json.loads(self.note_at.read_text(encoding="utf-8"))
            fits = note["of"] == self.of and self.rows_at.stat().st_size == shape[0] * shape[1] * 4
            return int(note["batches"]) if fits else 0
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def add(self, places: list[int], vectors: Any) -> None:
        self.rows[places] = vectors
        self.rows.flush()
        self.done += 1
        with atomic_writer(self.note_at) as file:
            file.write(json.dumps({"of": self.of, "batches": self.done}).encode())

    def remove(self) -> None:
        del self.rows
        self.rows_at.unlink(missing_ok=True)
        self.note_at.unlink(missing_ok=True)


@timing
@log("DEBUG")
def embed(file: Path, out: Path, folder: Path, batch_size: int) -> str:
    """Write the vectors of the lines of `file` to `out`; returns what to tell the user."""
    if out.suffix.lower() not in FORMATS:
        raise Complaint(f"-o {out}: the name must end in {' or '.join(FORMATS)}")
    if not out.absolute().parent.is_dir():
        raise Complaint(f"-o {out}: there is no folder {out.parent}")
    texts = read_lines(file)
    encoder = read_model(folder)
    partial = Partial(out, fingerprint(texts, folder, batch_size), (len(texts), encoder.size))
    before = min(partial.done * batch_size, len(texts))
    try:
        for places, vectors in shown(encoder, texts, batch_size, partial.done):
            partial.add(places, vectors.numpy())
    except KeyboardInterrupt:
        done = min(partial.done * batch_size, len(texts))
        words = (
            f"interrupted after {done} of {len(texts)} lines; the same command goes on from there"
        )
        raise Complaint(words, code=130) from None
    with atomic_writer(out) as target:
        if out.suffix.lower() == ".npy":
            np.save(target, np.asarray(partial.rows))
        else:
            for text, row in zip(texts, partial.rows, strict=True):
                entry = {"text": text, "embedding": [float(f"{x:.9g}") for x in row]}
                target.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
    partial.remove()
    resumed = f" ({before} were done before)" if before else ""
    return f"{out}: {len(texts)} vectors of {encoder.size} numbers{resumed}"


def fingerprint(texts: list[str], folder: Path, batch_size: int) -> str:
    """Changes whenever vectors that are half done would no longer fit."""
    state = hashlib.sha256("\n".join(texts).encode())
    for path in sorted(folder.glob("*")):
        if path.is_file():
            state.update(f"{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}".encode())
    state.update(f"{folder.absolute()} {batch_size}".encode())
    return state.hexdigest()


def shown(
    encoder: SentenceEncoder, texts: list[str], batch_size: int, skip: int
) -> Iterator[tuple[list[int], Any]]:
    """The encoder's batches, with a bar on the terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    bar = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True)
    with bar:
        task = bar.add_task("embedding lines", total=len(texts), completed=skip * batch_size)
        for places, vectors in encoder.batches(texts, batch_size, skip):
            yield places, vectors
            bar.advance(task, len(places))


@timing
@log("DEBUG")
def similar(
    file: Path, query: str, folder: Path, k: int, embeddings: Path | None, batch_size: int
) -> list[tuple[float, int, str]]:
    """(cosine, line, text) of the `k` lines most like the query, the best first."""
    if not query.strip():
        raise Complaint("the query is empty")
    if file.suffix == ".npy":
        raise Complaint(
            f"{file} holds vectors without their texts: name the text file, and give this one as "
            f"--embeddings {file}"
        )
    texts, rows = read_jsonl(file) if file.suffix == ".jsonl" else (read_lines(file), None)
    if embeddings is not None:
        rows = read_rows(embeddings, len(texts), file)
    encoder = read_model(folder)
    if rows is None:
        rows = np.empty((len(texts), encoder.size), np.float32)
        for places, vectors in shown(encoder, texts, batch_size, 0):
            rows[places] = vectors.numpy()
    if rows.shape[1] != encoder.size:
        raise Complaint(
            f"the vectors of {embeddings or file} have {rows.shape[1]} numbers, those of the model "
            f"{encoder.size}: another model made them"
        )
    wanted = encoder(query)[0].numpy()
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(wanted)
    cosines = rows @ wanted / np.maximum(lengths, 1e-12)
    best = np.argsort(-cosines, kind="stable")[:k]
    return [(float(cosines[i]), int(i) + 1, texts[i]) for i in best]


def read_jsonl(path: Path) -> tuple[list[str], Any]:
    """Texts and vectors that `embed` wrote."""
    texts, rows = [], []
    for number, line in enumerate(read_lines(path), 1):
        try:
            entry = json.loads(line)
            texts.append(str(entry["text"]))
            rows.append([float(x) for x in entry["embedding"]])
        except (ValueError, KeyError, TypeError):
            raise Complaint(
                f'{path}, line {number}: not an entry of `pellucid embed`, {{"text": …, '
                '"embedding": […]}'
            ) from None
        if len(rows[-1]) != len(rows[0]):
            raise Complaint(
                f"{path}, line {number}: {len(rows[-1])} numbers, before {len(rows[0])}"
            )
    return texts, np.array(rows, np.float32)


def read_rows(path: Path, count: int, file: Path) -> Any:
    """A .npy of one row a line."""
    try:
        rows = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise Complaint(f"--embeddings {path}: there is no such file") from None
    except (ValueError, OSError, EOFError) as error:
        raise Complaint(f"--embeddings {path}: not an array of NumPy: {error}") from None
    if rows.ndim != 2 or rows.dtype.kind != "f":
        raise Complaint(f"--embeddings {path}: rows of numbers are wanted, not {rows.shape}")
    if len(rows) != count:
        raise Complaint(f"--embeddings {path}: {len(rows)} rows, but {file} has {count} lines")
    return rows
