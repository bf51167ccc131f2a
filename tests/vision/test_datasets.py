"""Data sets from files: idx, CIFAR's archives, folders; and what damaged ones say."""

import gzip
import io
import pickle
import struct
import tarfile

import numpy as np
import pytest

import pellucid as torch
from pellucid.vision import datasets, transforms

Image = pytest.importorskip("PIL.Image", reason="needs Pillow")


def idx(array):
    """An array as an idx file's bytes."""
    codes = {"uint8": 8, "int16": 11, "float32": 13}
    head = bytes([0, 0, codes[array.dtype.name], array.ndim])
    return (
        head
        + struct.pack(f">{array.ndim}I", *array.shape)
        + array.astype(array.dtype.newbyteorder(">")).tobytes()
    )


PIXELS = np.arange(5 * 28 * 28).reshape(5, 28, 28).astype(np.uint8)
LABELS = np.array([3, 1, 4, 1, 5], np.uint8)


def write_mnist(folder, prefix="train", compressed=False):
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in (("images-idx3", PIXELS), ("labels-idx1", LABELS)):
        path = folder / f"{prefix}-{name}-ubyte{'.gz' if compressed else ''}"
        path.write_bytes(gzip.compress(idx(array)) if compressed else idx(array))


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("place", ["FashionMNIST/raw", "FashionMNIST", "."])
def test_idx_files_wherever_they_lie(tmp_path, place, compressed):
    write_mnist(tmp_path / place, compressed=compressed)
    found = datasets.FashionMNIST(tmp_path, train=True, transform=transforms.PILToTensor())
    assert len(found) == 5
    image, label = found[2]
    assert np.array_equal(image.numpy(), PIXELS[2:3])
    assert (label, found.classes[label]) == (4, "Coat")
    assert found.targets.tolist() == LABELS.tolist()
    assert repr(found).splitlines()[:2] == ["Dataset FashionMNIST", "    Number of datapoints: 5"]


def test_test_split_and_kin(tmp_path):
    write_mnist(tmp_path / "MNIST" / "raw", "t10k")
    assert datasets.MNIST(tmp_path, train=False).class_to_idx["3 - three"] == 3
    write_mnist(tmp_path / "EMNIST" / "raw", "emnist-letters-train")
    assert len(datasets.EMNIST(tmp_path, "letters")) == 5
    with pytest.raises(ValueError, match="Unknown value 'words' for argument split"):
        datasets.EMNIST(tmp_path, "words")


def test_missing_files_say_what_goes_where(tmp_path):
    with pytest.raises(
        RuntimeError,
        match=r"(?s)Dataset not found: KMNIST.*train-images-idx3-ubyte.*put them there",
    ):
        datasets.KMNIST(tmp_path, download=True)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data: data[:-1], "4,935 bytes|its header says"),
        (lambda data: data + b"x", "its header says"),
        (lambda data: b"PK" + data[2:], "does not begin as an idx file"),
        (lambda data: data[:6], "header is cut off"),
        (lambda data: b"", "does not begin"),
    ],
)
def test_damaged_idx_files(tmp_path, damage, words):
    write_mnist(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(RuntimeError, match=words):
        datasets.MNIST(tmp_path)


def test_truncated_gzip(tmp_path):
    write_mnist(tmp_path, compressed=True)
    path = tmp_path / "train-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(RuntimeError, match="cannot be decompressed"):
        datasets.MNIST(tmp_path)


def test_counts_that_differ(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(LABELS[:3]))
    with pytest.raises(RuntimeError, match="3 labels for 5 images"):
        datasets.MNIST(tmp_path)


# -- CIFAR

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 3072), np.uint8)


def cifar_files(protocol=2):
    batch = {"data": IMAGES, "labels": [0, 1, 2, 1]}
    files = {f"data_batch_{number}": batch for number in range(1, 6)}
    files["batches.meta"] = {"label_names": ["cat", "dog", "ship"]}
    return {name: pickle.dumps(value, protocol) for name, value in files.items()}


def write_archive(root, files):
    with tarfile.open(root / "cifar-10-python.tar.gz", "w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("unpacked", [False, True])
def test_cifar(tmp_path, unpacked, protocol):
    files = cifar_files(protocol)
    if unpacked:
        folder = tmp_path / "cifar-10-batches-py"
        folder.mkdir()
        for name, data in files.items():
            (folder / name).write_bytes(data)
    else:
        write_archive(tmp_path, files)
    found = datasets.CIFAR10(tmp_path, transform=transforms.PILToTensor())
    assert len(found) == 20
    image, label = found[6]
    assert np.array_equal(image.numpy(), IMAGES[2].reshape(3, 32, 32))
    assert found.classes[label] == "ship"
    assert not unpacked or found.class_to_idx == {"cat": 0, "dog": 1, "ship": 2}


class Bomb:
    def __reduce__(self):
        return print, ("this ran",)


def test_cifar_runs_nothing_from_its_files(tmp_path, capsys):
    files = cifar_files() | {"data_batch_2": pickle.dumps({"data": Bomb()})}
    write_archive(tmp_path, files)
    with pytest.raises(
        RuntimeError, match=r"asks for (builtins|__builtin__)\.print, which no image"
    ):
        datasets.CIFAR10(tmp_path)
    assert "this ran" not in capsys.readouterr().out


def test_cifar_damaged_or_missing(tmp_path):
    with pytest.raises(RuntimeError, match=r"Dataset not found: CIFAR10 needs"):
        datasets.CIFAR10(tmp_path)
    files = cifar_files()
    del files["data_batch_3"]
    write_archive(tmp_path, files)
    with pytest.raises(RuntimeError, match="it lacks data_batch_3"):
        datasets.CIFAR10(tmp_path)
    path = tmp_path / "cifar-10-python.tar.gz"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(RuntimeError, match="cannot be unpacked"):
        datasets.CIFAR10(tmp_path)
    write_archive(tmp_path, cifar_files() | {"data_batch_1": cifar_files()["data_batch_1"][:100]})
    with pytest.raises(RuntimeError, match="is damaged"):
        datasets.CIFAR10(tmp_path)


# -- folders


def test_image_folder(tmp_path):
    for name, colour in (("dog", 10), ("cat", 200)):
        (tmp_path / name / "deep").mkdir(parents=True)
        Image.new("L", (4, 3), colour).save(tmp_path / name / "b.png")
        Image.new("RGB", (4, 3), (colour, 0, 0)).save(tmp_path / name / "deep" / "a.PNG")
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    found = datasets.ImageFolder(tmp_path, transform=transforms.PILToTensor())
    assert found.classes == ["cat", "dog"]
    assert found.targets == [0, 0, 1, 1]
    image, label = found[0]
    assert (tuple(image.shape), image[0, 0, 0].item(), label) == ((3, 3, 4), 200, 0)
    only = datasets.ImageFolder(tmp_path, is_valid_file=lambda path: path.endswith("b.png"))
    assert len(only) == 2


def test_image_folder_refuses(tmp_path):
    with pytest.raises(FileNotFoundError, match="Couldn't find any class folder"):
        datasets.ImageFolder(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        datasets.ImageFolder(tmp_path / "none")
    (tmp_path / "cat").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no valid file for the classes cat.*\.png"):
        datasets.ImageFolder(tmp_path)
    (tmp_path / "cat" / "a.png").write_bytes(b"no image")
    with pytest.raises(OSError, match=r"a\.png cannot be read as an image"):
        datasets.ImageFolder(tmp_path)[0]
    with pytest.raises(ValueError, match="Both extensions and is_valid_file"):
        datasets.folder.make_dataset(tmp_path)


def test_fake_data_is_the_same_every_time():
    found = datasets.FakeData(3, (3, 4, 5), transform=transforms.ToTensor())
    torch.manual_seed(7)
    before = torch.get_rng_state()
    (first, label), (again, _) = found[1], found[1]
    assert torch.equal(first, again)
    assert torch.equal(torch.get_rng_state(), before)
    assert tuple(first.shape) == (3, 4, 5)
    assert 0 <= label < 10
    assert not torch.equal(found[2][0], first)
    with pytest.raises(IndexError, match="out of range"):
        found[3]


def test_one_kind_of_transforms():
    with pytest.raises(ValueError, match="Only transforms or transform/target_transform"):
        datasets.VisionDataset("x", transforms=lambda a, b: (a, b), transform=abs)
    found = datasets.FakeData(1, (1, 2, 2), target_transform=lambda label: -1)
    assert found[0][1] == -1


def test_a_data_set_prints_its_transforms_as_torchvision_does(tmp_path):
    """The words of torchvision 0.28: only the first line of a transform is moved to the right."""
    write_mnist(tmp_path / "MNIST" / "raw")
    steps = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1,), (0.3,))])
    printed = repr(datasets.MNIST(tmp_path, transform=steps)).splitlines()
    assert printed[-5:] == [
        "    StandardTransform",
        "Transform: Compose(",
        "               ToTensor()",
        "               Normalize(mean=(0.1,), std=(0.3,))",
        "           )",
    ]
