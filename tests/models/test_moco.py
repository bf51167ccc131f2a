"""MoCo: the momentum update, the queue, shuffled groups, logits by hand, what is saved."""

import pytest
import torch as pytorch

import pellucid as torch
import pellucid.nn.functional as F
from pellucid import models, nn
from pellucid.models import MoCo


class Encoder(nn.Module):
    """A small encoder with batch normalisation and a head called `fc`."""

    def __init__(self, num_classes):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.bn = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, num_classes)

    def forward(self, x):
        return self.fc(self.bn(self.conv(x)).relu().mean((2, 3)))


def small(**changes):
    torch.manual_seed(0)
    return MoCo(Encoder, **({"dim": 3, "K": 10, "m": 0.9, "T": 0.2} | changes))


def crops(n=4):
    return torch.randn(n, 1, 6, 6), torch.randn(n, 1, 6, 6)


def test_logits_are_those_of_equation_1():
    model = small()
    im_q, im_k = crops()
    queue = model.queue.clone()
    logits, labels = model(im_q, im_k)
    assert logits.shape == (4, 11) and labels.tolist() == [0, 0, 0, 0]
    q = F.normalize(model.encoder_q(im_q), dim=1).detach()
    k = F.normalize(model.encoder_k(im_k), dim=1).detach()
    for i in range(4):
        assert logits[i, 0].item() == pytest.approx((q[i] * k[i]).sum().item() / 0.2, abs=1e-4)
        for j in range(10):
            product = (q[i] * queue[:, j]).sum().item()
            assert logits[i, 1 + j].item() == pytest.approx(product / 0.2, abs=1e-4)


def test_the_key_encoder_follows_slowly_and_without_gradients():
    model = small()
    before = [p.clone() for p in model.encoder_k.parameters()]
    with torch.no_grad():
        for p in model.encoder_q.parameters():
            p.add_(1.0)
    logits, labels = model(*crops())
    for old, k, q in zip(
        before, model.encoder_k.parameters(), model.encoder_q.parameters(), strict=True
    ):
        assert torch.allclose(k, 0.9 * old + 0.1 * q, atol=1e-6)
    F.cross_entropy(logits, labels).backward()
    assert all(p.grad is None for p in model.encoder_k.parameters())
    assert all(p.grad is not None for p in model.encoder_q.parameters())
    assert model.queue.grad is None


def test_the_queue_forgets_the_oldest_keys_and_wraps_around():
    model = small()
    first = model.queue.clone()
    model(*crops())
    assert model.queue_ptr.tolist() == [4]
    assert torch.equal(model.queue[:, 4:], first[:, 4:])
    assert not torch.isclose(model.queue[:, :4], first[:, :4]).all()
    model(*crops())
    second = model.queue.clone()
    model(*crops())  # places 8, 9, 0, 1
    assert model.queue_ptr.tolist() == [2]
    assert torch.equal(model.queue[:, 2:8], second[:, 2:8])
    assert torch.allclose(model.queue.norm(dim=0), torch.ones(10), atol=1e-6)


def test_queue_and_pointer_are_saved_and_are_no_parameters():
    model = small()
    model(*crops())
    state = model.state_dict()
    assert {"queue", "queue_ptr"} <= set(state)
    assert not {"queue", "queue_ptr"} & {name for name, _ in model.named_parameters()}
    other = small()
    other.load_state_dict(state)
    assert torch.equal(other.queue, model.queue) and other.queue_ptr.item() == 4


def test_keys_come_back_in_their_order():
    model = small().eval()  # running statistics: the order of images alone could change keys
    _, im_k = crops(9)
    expected = F.normalize(model.encoder_k(im_k), dim=1)
    assert torch.allclose(model._keys(im_k), expected, atol=1e-6)


def test_groups_have_statistics_of_their_own():
    model = small(groups=3)
    images, _ = crops(9)
    found = model._encode(model.encoder_q, images)
    parts = [F.normalize(model.encoder_q(part), dim=1) for part in images.split(3)]
    assert torch.allclose(found, torch.cat(parts), atol=1e-6)
    whole = small()._encode(model.encoder_q, images)
    assert not torch.allclose(found, whole, atol=1e-3)


def test_evaluation_changes_nothing():
    model = small().eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    model(*crops())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_version_2_has_a_hidden_layer_in_both_heads():
    model = MoCo.v2(models.resnet18, dim=8, K=16)
    assert model.T == 0.2 and model.m == 0.999
    for encoder in (model.encoder_q, model.encoder_k):
        assert [type(part).__name__ for part in encoder.fc] == ["Linear", "ReLU", "Linear"]
        assert encoder.fc[0].weight.shape == (512, 512) and encoder.fc[2].out_features == 8
    names = [key for key in model.state_dict() if "layer1.0.conv1" in key]
    assert names == ["encoder_q.layer1.0.conv1.weight", "encoder_k.layer1.0.conv1.weight"]


def test_both_sums_are_pytorchs():
    q, k, queue = torch.randn(5, 3), torch.randn(5, 3), torch.randn(3, 7)
    theirs = [pytorch.from_numpy(t.numpy()) for t in (q, k, queue)]
    for equation, a, b in (("nc,nc->n", 0, 1), ("nc,ck->nk", 0, 2)):
        ours = torch.einsum(equation, (q, k, queue)[a], (q, k, queue)[b])
        expected = pytorch.einsum(equation, theirs[a], theirs[b])
        assert torch.allclose(ours, torch.from_numpy(expected.numpy()), atol=1e-6)


def test_what_cannot_be_is_told():
    with pytest.raises(ValueError, match="batch of 12 keys does not fit into a queue of K=10"):
        small()(*crops(12))
    with pytest.raises(ValueError, match="two crops of the same images"):
        small()(crops(3)[0], crops(4)[0])
    with pytest.raises(ValueError, match=r"momentum m is in \[0, 1\)"):
        small(m=1.0)
    with pytest.raises(ValueError, match="groups >= 1 are needed"):
        small(groups=0)
