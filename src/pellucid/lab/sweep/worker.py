"""A worker of `here.Here`: reads cells from stdin, a JSON line each, and answers on stdout.

It ends when stdin does, at once: whoever asked is gone.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from typing import Any

from pellucid.lab.sweep.cells import Cell, Question, train_cell


def answer(asked: bytes) -> bytes:
    """The line that answers a line."""
    told = json.loads(asked)
    said: dict[str, Any]
    try:
        record = train_cell(Question.from_json(told["question"]), Cell(**told["cell"]))
        said = {"record": record}
    except Exception as error:  # told to the one who asked, who decides
        said = {"error": f"{type(error).__name__}: {error}"}
    return json.dumps(said).encode() + b"\n"


def main() -> None:
    """Answer until stdin ends."""
    out = os.dup(1)
    os.dup2(2, 1)  # whatever else prints does not get between the answers
    asked: queue.Queue[bytes] = queue.Queue()

    def listen() -> None:
        for line in sys.stdin.buffer:
            asked.put(line)
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        rest = memoryview(answer(asked.get()))
        while rest:
            rest = rest[os.write(out, rest) :]


if __name__ == "__main__":
    main()
