"""`pellucid embed` and `pellucid similar`."""

import json

import numpy as np
import pytest

from pellucid.cli import embedding
from pellucid.cli.complaint import Complaint
from pellucid.cli.embedding import embed, read_lines, similar
from pellucid.text import SentenceEncoder
from tests.subprocesses import PELLUCID, start
from tests.text import small_bert

LINES = ["the cat sat", "a dog ran", "", "rain .", "the sun", "dogs ran , cats sat ."]


@pytest.fixture
def model(tmp_path):
    return small_bert.write(tmp_path / "model")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_text("\n".join(LINES) + "\n")
    return path


def test_rows_belong_to_lines(tmp_path, file, model):
    out = tmp_path / "out.npy"
    assert "6 vectors of 8 numbers" in embed(file, out, model, 2)
    rows = np.load(out)
    expected = SentenceEncoder.from_pretrained(model)(LINES).numpy()
    np.testing.assert_allclose(rows, expected, atol=5e-7)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["lines.txt", "model", "out.npy"]
    embed(file, tmp_path / "out.jsonl", model, 4)
    entries = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [entry["text"] for entry in entries] == LINES
    np.testing.assert_allclose([entry["embedding"] for entry in entries], expected, atol=5e-7)


def test_an_interrupted_run_goes_on(tmp_path, file, model, monkeypatch):
    whole = tmp_path / "whole.npy"
    embed(file, whole, model, 2)
    out, computed = tmp_path / "out.npy", []
    vectors = SentenceEncoder._vectors

    def interrupted(self, texts):
        if len(computed) == 2:
            raise KeyboardInterrupt
        computed.append(texts)
        return vectors(self, texts)

    monkeypatch.setattr(SentenceEncoder, "_vectors", interrupted)
    with pytest.raises(Complaint, match="after 4 of 6 lines; the same command goes on") as raised:
        embed(file, out, model, 2)
    assert raised.value.code == 130 and not out.exists()
    monkeypatch.setattr(SentenceEncoder, "_vectors", lambda *a: computed.append(a) or vectors(*a))
    assert "(4 were done before)" in embed(file, out, model, 2)
    assert len(computed) == 3
    np.testing.assert_array_equal(np.load(out), np.load(whole))


def test_half_of_another_run_is_not_taken_up(tmp_path, file, model, monkeypatch):
    out = tmp_path / "out.npy"
    state = embedding.Partial(out, "of something else", (6, 8))
    state.add([0, 1], np.ones((2, 8)))
    assert "done before" not in embed(file, out, model, 2)
    (tmp_path / "out.npy.partial.json").write_text("not json")
    assert "done before" not in embed(file, out, model, 2)


def test_the_most_alike_lines_come_first(tmp_path, file, model):
    found = similar(file, "a dog ran", model, 2, None, 2)
    assert found[0][1:] == (2, "a dog ran") and found[0][0] == pytest.approx(1, abs=1e-5)
    assert found[0][0] > found[1][0] and len(found) == 2
    for suffix in (".npy", ".jsonl"):
        embed(file, tmp_path / f"out{suffix}", model, 2)
    again = similar(file, "a dog ran", model, 2, tmp_path / "out.npy", 2)
    listed = similar(tmp_path / "out.jsonl", "a dog ran", model, 2, None, 2)
    for one, other, third in zip(found, again, listed, strict=True):
        assert one[1:] == other[1:] == third[1:]
        assert one[0] == pytest.approx(other[0], abs=1e-6) == pytest.approx(third[0], abs=1e-6)


def test_lines_of_every_kind(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffeins\r\nzw\u2028ei\n\ndrei".encode())
    assert read_lines(path) == ["eins", "zw\u2028ei", "", "drei"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"good\nb\xe4d\n", r"line 2: byte 0xe4 is not UTF-8; convert"),
    ],
)
def test_files_that_cannot_be_read_are_told(tmp_path, content, words):
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(Complaint, match=words):
        read_lines(path)
    with pytest.raises(Complaint, match="no such file"):
        read_lines(tmp_path / "none.txt")
    with pytest.raises(Complaint, match="is a folder"):
        read_lines(tmp_path)


def test_vectors_that_do_not_fit_are_told(tmp_path, file, model):
    path = tmp_path / "x.npy"
    for array, words in (
        (np.zeros((5, 8), np.float32), "5 rows, but .* has 6 lines"),
        (np.zeros((6, 9), np.float32), "have 9 numbers, those of the model 8"),
        (np.zeros(6), "rows of numbers are wanted"),
        (np.array([{}]), "not an array of NumPy"),
    ):
        np.save(path, array)
        with pytest.raises(Complaint, match=words):
            similar(file, "cat", model, 2, path, 2)
    path.write_bytes(b"\x93NUMPY")
    with pytest.raises(Complaint, match="not an array of NumPy"):
        similar(file, "cat", model, 2, path, 2)
    lines = tmp_path / "x.jsonl"
    lines.write_text('{"text": "a", "embedding": [1, 2]}\n{"text": "b", "embedding": [1]}\n')
    with pytest.raises(Complaint, match="line 2: 1 numbers, before 2"):
        similar(lines, "cat", model, 2, None, 2)
    lines.write_text('{"text": "a"}\n')
    with pytest.raises(Complaint, match="line 1: not an entry"):
        similar(lines, "cat", model, 2, None, 2)
    with pytest.raises(Complaint, match=r"name the text file, and give this one as --embeddings"):
        similar(tmp_path / "rows.npy", "cat", model, 2, None, 2)
    with pytest.raises(Complaint, match="the query is empty"):
        similar(file, " ", model, 2, None, 2)


def test_as_a_user_types_it(tmp_path, file, model):
    done = start(PELLUCID, "embed", file, "-o", "v.npy", "--model", model, cwd=tmp_path)
    assert done.returncode == 0 and "v.npy: 6 vectors" in done.stdout, done.stderr
    done = start(PELLUCID, "similar", file, "cat", "--model", model, "-k", 3, cwd=tmp_path)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 3, done.stderr
    whole = (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(whole[:100])
    for arguments, words in (
        ((file, "-o", "v.npy", "--model", "nowhere"), "--model: no model at nowhere"),
        ((file, "-o", "v.txt", "--model", model), r"must end in .npy or .jsonl"),
        ((file, "-o", "no/v.npy", "--model", model), "there is no folder no"),
        ((file, "-o", "v.npy", "--model", model), "model.safetensors: "),
    ):
        done = start(PELLUCID, "embed", *arguments, cwd=tmp_path)
        assert done.returncode == 2 and words in done.stderr and "Traceback" not in done.stderr
