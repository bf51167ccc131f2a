"""`explain.diagram`: sizes, edges, parameters by storage, Mermaid, SVG."""

import json
import re
import xml.etree.ElementTree as ET

import pytest

import pellucid as torch
import pellucid.nn.functional as F
from pellucid import models, nn
from pellucid.explain import diagram
from pellucid.explain.structure.costs import Counted
from pellucid.explain.structure.mermaid import quoted
from pellucid.tensor.events import listeners


@pytest.fixture(scope="module")
def resnet():
    return diagram(models.resnet18(), torch.zeros(1, 3, 224, 224))


def by_name(drawn):
    return {node.name: node for node in drawn.graph.nodes}


def edges(drawn):
    """(source name, target name, views on the way) of every edge that is drawn."""
    return [(e.source.name, n.name, e.through) for n in drawn.graph.nodes for e in n.edges]


def test_resnet18_is_the_flowchart_of_the_notes(resnet):
    text = resnet.mermaid
    for line in (
        'conv1["Conv2d 7×7, 64, stride 2<br/>64×112×112"]',
        'maxpool["MaxPool2d 3×3, stride 2<br/>64×56×56"]',
        'layer2_0_downsample_0["Conv2d 1×1, 128, stride 2<br/>128×28×28"]',
        "layer1_0_add{Add}",
        'maxpool -->|"shortcut 64×56×56"| layer1_0_add',
        "layer1_0_bn2 --> layer1_0_add",
        "layer4_1_relu2 --> avgpool",
        "avgpool --> flatten",
        'fc["Linear 512→1000<br/>1000"]',
        'subgraph layer4_1_box["1 BasicBlock"]',
    ):
        assert line in text, line
    assert text.count("subgraph") == text.count("\n    end") + text.count("\n        end") + (
        text.count("\n            end")
    )


def test_resnet18_is_counted_as_published(resnet):
    assert resnet.parameters == resnet.trainable == 11_689_512
    assert sum(node.parameters for node in resnet.steps) == 11_689_512
    assert resnet.macs == 1_814_073_344
    assert resnet.buffers == 9_620
    assert json.loads(json.dumps(resnet.to_dict()))["parameters"] == 11_689_512


def test_the_picture_is_a_picture(resnet):
    root = ET.fromstring(resnet.svg())
    width, height = float(root.get("width")), float(root.get("height"))
    assert 300 < width < 1500 and height > width
    boxes = [e for e in root.iter() if e.get("class", "").startswith("box")]
    joins = [e for e in root.iter() if e.get("class") == "join"]
    assert len(joins) == 8 and len(boxes) == len(resnet.graph.nodes) - 8
    tops = sorted((float(b.get("y")), float(b.get("x")), float(b.get("width"))) for b in boxes)
    for (y, x, _), (other, left, wide) in zip(tops[1:], tops, strict=False):
        assert y - other >= 25 or x >= left + wide or left >= x, "two boxes lie on each other"
    shortcuts = [e for e in root.iter() if e.get("class") == "wire shortcut"]
    assert len(shortcuts) == 5  # the three others pass a convolution


def test_a_run_leaves_no_trace():
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5)).train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    torch.manual_seed(3)
    stream = torch.get_rng_state()
    diagram(model, torch.randn(4, 3, generator=torch.Generator()))
    assert model.training and model[0].training
    assert torch.equal(torch.get_rng_state(), stream)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


class Shared(nn.Module):
    """One layer called twice, and a head tied to the embedding."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(10, 4)
        self.layer = nn.Linear(4, 4)
        self.head = nn.Linear(4, 10, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids):
        x = self.layer(self.embed(ids))
        return self.head(torch.relu(self.layer(x)))


def test_shared_memory_counts_once():
    drawn = diagram(Shared(), torch.zeros(1, 3, dtype=torch.int64))
    assert drawn.parameters == 10 * 4 + 4 * 4 + 4
    assert drawn.tied == (("embed.weight", "head.weight"),)
    first, second = [node for node in drawn.graph.nodes if node.name == "layer"]
    assert (first.parameters, second.parameters, second.shared) == (20, 0, True)
    assert by_name(drawn)["head"].shared
    assert drawn.macs == 3 * (16 + 16 + 40)
    assert "one memory, counted once: embed.weight = head.weight" in str(drawn)
    assert 'layer2["Linear 4→4' in drawn.mermaid


def test_views_of_one_memory_count_each_element_once():
    base = torch.zeros(4, 6)
    counted = Counted()
    assert counted.add([base[:2]]) == (12, 0)
    assert counted.add([base]) == (12, 12)
    assert counted.add([base.t(), base[:, 1]]) == (4, 24)  # a column has gaps: told apart
    assert counted.add([base[:, 1]]) == (0, 4)


class Functions(nn.Module):
    """What happens between modules."""

    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 1, 4))
        self.register_buffer("queue", torch.randn(4, 8))
        self.left, self.right = nn.Linear(4, 4), nn.Linear(4, 4)
        self.skip = nn.Identity()

    def forward(self, x):
        x = torch.cat([self.token.expand(len(x), 1, 4), x], dim=1)
        a, b = self.left(x), self.right(x).transpose(1, 2)
        weights = F.softmax(a @ b, dim=-1)
        x = self.skip(x) + weights @ x
        x = x.mean(1).reshape(-1, 4)
        mask = torch.ones(4) * 2  # a constant: not drawn
        return torch.einsum("nc,ck->nk", x * mask, self.queue)


def test_functions_between_modules_are_drawn():
    drawn = diagram(Functions(), torch.zeros(2, 3, 4))
    found = edges(drawn)
    assert ("token", "cat", ("expand",)) in found
    assert ("right", "matmul", ("transpose",)) in found
    assert ("skip", "add", ()) in found and ("cat", "skip", ()) in found
    assert ("cat", "left", ()) in found, "what an Identity hands on is told apart from its input"
    assert ("queue", "einsum", ()) in found
    assert {"softmax", "mean", "mul"} <= {node.name for node in drawn.graph.nodes}
    assert "ones" not in {node.name for node in drawn.graph.nodes}
    assert by_name(drawn)["einsum"].macs == 2 * 4 * 8
    ET.fromstring(drawn.svg())


def test_functions_have_the_names_that_programs_know():
    class Names(nn.Module):
        def forward(self, x):
            heads = x.unflatten(-1, (2, 4)).transpose(1, 2)
            x = F.scaled_dot_product_attention(heads, heads, heads).transpose(1, 2).flatten(-2)
            x = F.layer_norm(x, (8,)) + F.gelu(x) * x.sigmoid()
            x = torch.where(x > 0, x, torch.cumsum(x, 1)).masked_fill(x < -1, 0.0)
            return x.clamp(min=-3).log_softmax(-1).topk(2).values

    names = [n.name for n in diagram(Names(), torch.ones(1, 3, 8)).graph.nodes]
    assert set(names) == {
        *("input", "output", "unflatten", "scaled_dot_product_attention", "flatten", "add", "gelu"),
        *("layer_norm", "mul", "sigmoid", "where", "gt", "cumsum", "masked_fill", "lt", "clamp"),
        *("log_softmax", "topk"),
    }


def test_in_place_writes_are_steps():
    class Write(nn.Module):
        def forward(self, x):
            y = torch.tanh(x)
            y[:, 0].mul_(3.0)
            y += x
            return y

    drawn = diagram(Write(), torch.ones(2, 3))
    found = edges(drawn)
    assert ("tanh", "mul", ("getitem",)) in found or ("tanh", "mul", ()) in found
    assert any(source == "mul" and target == "add" for source, target, _ in found)


def test_equal_blocks_are_folded_and_counted_in_full():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model = nn.TransformerEncoder(layer, 4)
    folded = diagram(model, torch.zeros(1, 5, 8))
    plain = diagram(model, torch.zeros(1, 5, 8), fold=False)
    assert len(plain.graph.nodes) - 2 == 4 * (len(folded.graph.nodes) - 2)
    assert folded.macs == plain.macs and folded.parameters == plain.parameters
    assert "layers.0…3 TransformerEncoderLayer, 4 times" in folded.mermaid
    assert edges(folded)[-1][0] == "layers.0.norm2"
    shallow = diagram(model, torch.zeros(1, 5, 8), depth=1, fold=False)
    assert shallow.macs == plain.macs


def test_blocks_with_paths_around_them_are_not_folded():
    class Dense(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(4, 4)) for _ in range(4))

        def forward(self, x):
            first = self.blocks[0](x)
            y = self.blocks[2](self.blocks[1](first))
            return self.blocks[3](y) + first

    drawn = diagram(Dense(), torch.zeros(1, 4))
    assert sum(node.title == "Linear 4→4" for node in drawn.graph.nodes) > 1


def test_recurrent_and_attention_modules_are_one_box():
    drawn = diagram(nn.LSTM(4, 6, batch_first=True), torch.zeros(2, 5, 4))
    assert [n.name for n in drawn.graph.nodes if n.kind == "module"] == []
    model = nn.ModuleDict({"rnn": nn.LSTM(4, 6, batch_first=True)})
    model.forward = lambda x: model["rnn"](x)[0]
    drawn = diagram(model, torch.zeros(2, 5, 4))
    node = by_name(drawn)["rnn"]
    assert node.title == "LSTM 4→6" and node.macs == 2 * 5 * (4 + 6) * 24


def test_modules_that_did_not_run_are_named():
    model = nn.ModuleDict({"used": nn.Linear(2, 2), "pooler": nn.Linear(2, 2)})
    model.forward = lambda x: model["used"](x)
    drawn = diagram(model, torch.zeros(1, 2))
    assert drawn.unused == ("pooler",)
    assert "not called in this run: pooler" in str(drawn)


def test_labels_cannot_break_mermaid():
    assert quoted('a "b" <c> #d `e` \\f') == ('"a #quot;b#quot; #lt;c#gt; #35;d #96;e#96; #92;f"')
    model = nn.Sequential()
    model.add_module("end", nn.ReLU())
    model.add_module("für×", nn.ReLU())
    text = diagram(model, torch.zeros(1), name='it\'s: "x"').mermaid
    assert "title: 'it''s: \"x\"'" in text
    ids = re.findall(r"^    (\w+)[\[({]", text, re.MULTILINE)
    assert "end" not in ids and len(set(ids)) == 4 and all(i.isascii() for i in ids)


@pytest.mark.parametrize("suffix", [".svg", ".mmd", ".html", ".txt"])
def test_files_are_written_whole(tmp_path, suffix):
    drawn = diagram(nn.Linear(2, 3), torch.zeros(5, 2))
    path = tmp_path / f"model{suffix}"
    drawn.save(path)
    assert path.read_text().startswith(
        {".svg": "<svg", ".mmd": "---", ".html": "<!doctype"}.get(suffix, "Linear: 9 parameters")
    )
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert "batch of 5" in drawn.summary() and "<svg" in drawn._repr_html_()


def test_what_cannot_be_drawn_is_told(tmp_path):
    with pytest.raises(TypeError, match=r"must be a module \(an object\), not Linear: Linear\(\)"):
        diagram(nn.Linear, torch.zeros(1))
    with pytest.raises(ValueError, match="depth must be 1 or more"):
        diagram(nn.ReLU(), torch.zeros(1), depth=0)
    with pytest.raises(ValueError, match=r"ends in none of \.svg"):
        diagram(nn.ReLU(), torch.zeros(1)).save(tmp_path / "x.png")
    with pytest.raises(RuntimeError, match=r"mat1 and mat2"):
        diagram(nn.Linear(2, 3), torch.zeros(1, 5))
    assert listeners == []
