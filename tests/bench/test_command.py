"""`python -m bench` and `pellucid bench` as a user calls them."""

import json
import subprocess
import sys
from pathlib import Path

from tests.architecture.rooms import ROOT


def run(*command: str, cwd: Path = ROOT):
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=cwd, capture_output=True, text=True, timeout=120
    )


def test_one_benchmark_as_table_numbers_and_picture(tmp_path):
    numbers, image = tmp_path / "numbers.json", tmp_path / "picture.png"
    done = run(
        *("bench", "overhead/x + y", "--peer", "numpy", "--rounds", "1"),
        *("--json", str(numbers), "--picture", str(image)),
    )
    assert done.returncode == 0, done.stderr
    assert "x + y" in done.stdout and "NumPy's addition" in done.stdout
    (entry,) = json.loads(numbers.read_text())["benchmarks"]
    assert set(entry["peers"]) == {"pellucid", "numpy"}
    assert image.read_bytes().startswith(b"\x89PNG")


def test_pellucid_bench_is_the_same_command(tmp_path):
    done = run("pellucid", "bench", "overhead", "--list", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "overhead/x.view(2, 2)" in done.stdout
    assert "peers: pellucid, pellucid bf16, pellucid int8, numpy, torch" in done.stdout


def test_wrong_names_are_refused_in_words():
    for arguments, word in (
        (["nothing"], "no benchmark fits 'nothing'"),
        (["--peer", "tourch"], "no peer is named 'tourch'"),
        (["start", "--json", "/no/such/folder/x.json"], "there is no folder"),
    ):
        done = run("bench", *arguments)
        assert done.returncode == 2
        assert word in " ".join(done.stderr.replace("│", " ").split())
