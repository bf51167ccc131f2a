"""Names that programs take from `torch.hub` without opening a connection."""

import torch.hub

import pellucid.hub


def test_names_of_files_are_taken_apart_as_by_pytorch():
    for name in ("resnet18-f37072fd.pth", "weights.pth", "a-b-0123abcd.tar.gz"):
        theirs, ours = (hub.HASH_REGEX.findall(name) for hub in (torch.hub, pellucid.hub))
        assert ours == theirs
    assert pellucid.hub.urlparse is torch.hub.urlparse
