"""Sequence to sequence with attention (Bahdanau et al., 2014): learn to say a number backwards.

A bidirectional GRU reads packed sequences of different lengths; a decoder made of a GRUCell attends
to what it read, with teacher forcing by the throw of a coin; padding is kept out of the scores and
of the loss. At the end it decodes greedily.
"""

import random

import torch
from torch import nn, optim
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.utils.data import DataLoader, Dataset

PAD, START, END = 0, 1, 2


class Numbers(Dataset):
    def __init__(self, count):
        self.items = [torch.randint(3, 13, (int(torch.randint(2, 6, (1,))),)) for _ in range(count)]

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        digits = self.items[index]
        return digits, torch.cat([digits.flip(0), torch.tensor([END])])


def collate(batch):
    sources, targets = zip(*batch, strict=True)
    lengths = torch.tensor([len(source) for source in sources])
    return (
        pad_sequence(sources, batch_first=True, padding_value=PAD),
        lengths,
        pad_sequence(targets, batch_first=True, padding_value=PAD),
    )


class Encoder(nn.Module):
    def __init__(self, vocabulary, width):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width, padding_idx=PAD)
        self.rnn = nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.bridge = nn.Linear(2 * width, width)

    def forward(self, source, lengths):
        packed = pack_padded_sequence(
            self.embedding(source), lengths, batch_first=True, enforce_sorted=False
        )
        outputs, hidden = self.rnn(packed)
        outputs, _ = pad_packed_sequence(outputs, batch_first=True)
        return outputs, torch.tanh(self.bridge(torch.cat([hidden[-2], hidden[-1]], dim=1)))


class Attention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.query = nn.Linear(width, width, bias=False)
        self.keys = nn.Linear(2 * width, width, bias=False)
        self.score = nn.Linear(width, 1, bias=False)

    def forward(self, hidden, outputs, mask):
        scores = self.score(torch.tanh(self.query(hidden).unsqueeze(1) + self.keys(outputs)))
        scores = scores.squeeze(-1).masked_fill(~mask, -1e9)
        weights = F.softmax(scores, dim=1)
        return torch.bmm(weights.unsqueeze(1), outputs).squeeze(1), weights


class Decoder(nn.Module):
    def __init__(self, vocabulary, width):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.attention = Attention(width)
        self.cell = nn.GRUCell(3 * width, width)
        self.out = nn.Linear(4 * width, vocabulary)

    def forward(self, token, hidden, outputs, mask):
        embedded = self.embedding(token)
        context, weights = self.attention(hidden, outputs, mask)
        hidden = self.cell(torch.cat([embedded, context], dim=1), hidden)
        return self.out(torch.cat([hidden, context, embedded], dim=1)), hidden, weights


def decode(encoder, decoder, source, lengths, steps, targets=None, forcing=0.0):
    outputs, hidden = encoder(source, lengths)
    mask = torch.arange(outputs.size(1))[None, :] < lengths[:, None]
    token = torch.full((source.size(0),), START, dtype=torch.long)
    logits, weights = [], None
    for step in range(steps):
        scores, hidden, weights = decoder(token, hidden, outputs, mask)
        logits.append(scores)
        forced = targets is not None and random.random() < forcing
        token = targets[:, step] if forced else scores.argmax(dim=-1)
    return torch.stack(logits, dim=1), weights


def main():
    random.seed(0)
    torch.manual_seed(0)
    encoder, decoder = Encoder(13, 24), Decoder(13, 24)
    for name, parameter in [*encoder.named_parameters(), *decoder.named_parameters()]:
        if "weight" in name and parameter.dim() > 1:
            nn.init.xavier_uniform_(parameter.data)
    optimizer = optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=5e-3)
    criterion = nn.CrossEntropyLoss(ignore_index=PAD)
    loader = DataLoader(Numbers(320), batch_size=32, shuffle=True, collate_fn=collate)
    for epoch in range(3):
        for source, lengths, target in loader:
            optimizer.zero_grad()
            logits, _ = decode(encoder, decoder, source, lengths, target.size(1), target, 0.7)
            loss = criterion(logits.reshape(-1, logits.size(-1)), target.reshape(-1))
            loss.backward()
            norm = nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
            optimizer.step()
            print(f"epoch {epoch} loss {loss.item():.5f} norm {norm:.4f}")

    encoder.eval()
    decoder.eval()
    with torch.no_grad():
        source, lengths, target = next(iter(loader))
        logits, weights = decode(encoder, decoder, source, lengths, target.size(1))
        right = (logits.argmax(-1) == target)[target != PAD].float().mean()
    print(f"right {right:.4f}", source[0].tolist(), logits[0].argmax(-1).tolist())
    print([f"{w:.4f}" for w in weights.max(dim=1).values[:4].tolist()])


if __name__ == "__main__":
    main()
