"""A word-level language model with nn.TransformerEncoder, and text generated from it.

Batches are columns of one long text; sinusoidal positions (Vaswani et al., 2017); a square mask of
minus infinity keeps each word from the words after it; SGD with gradient clipping.
"""

import argparse
import math
import re
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F

TEXT = Path(__file__).resolve().parent / "data" / "sonnets.txt"


class Dictionary:
    def __init__(self):
        self.word2idx = {}
        self.idx2word = []

    def add_word(self, word):
        if word not in self.word2idx:
            self.idx2word.append(word)
            self.word2idx[word] = len(self.idx2word) - 1
        return self.word2idx[word]

    def __len__(self):
        return len(self.idx2word)


class PositionalEncoding(nn.Module):
    def __init__(self, d_model, dropout, max_len=512):
        super().__init__()
        self.dropout = nn.Dropout(p=dropout)
        pe = torch.zeros(max_len, d_model)
        position = torch.arange(0, max_len, dtype=torch.float).unsqueeze(1)
        div_term = torch.exp(torch.arange(0, d_model, 2).float() * (-math.log(10000.0) / d_model))
        pe[:, 0::2] = torch.sin(position * div_term)
        pe[:, 1::2] = torch.cos(position * div_term)
        pe = pe.unsqueeze(0).transpose(0, 1)
        self.register_buffer("pe", pe)

    def forward(self, x):
        x = x + self.pe[: x.size(0), :]
        return self.dropout(x)


class TransformerModel(nn.Module):
    def __init__(self, ntoken, ninp, nhead, nhid, nlayers, dropout):
        super().__init__()
        self.ninp = ninp
        self.src_mask = None
        self.input_emb = nn.Embedding(ntoken, ninp)
        self.pos_encoder = PositionalEncoding(ninp, dropout)
        layer = nn.TransformerEncoderLayer(ninp, nhead, nhid, dropout)
        self.encoder = nn.TransformerEncoder(layer, nlayers, enable_nested_tensor=False)
        self.decoder = nn.Linear(ninp, ntoken)
        self.init_weights()

    def init_weights(self):
        initrange = 0.1
        nn.init.uniform_(self.input_emb.weight, -initrange, initrange)
        nn.init.zeros_(self.decoder.bias)
        nn.init.uniform_(self.decoder.weight, -initrange, initrange)

    @staticmethod
    def square_subsequent_mask(size):
        return torch.log(torch.tril(torch.ones(size, size)))

    def forward(self, src):
        if self.src_mask is None or self.src_mask.size(0) != len(src):
            self.src_mask = self.square_subsequent_mask(len(src)).to(src.device)
        src = self.input_emb(src) * math.sqrt(self.ninp)
        src = self.pos_encoder(src)
        output = self.encoder(src, mask=self.src_mask)
        return F.log_softmax(self.decoder(output), dim=-1)


def batchify(data, batch_size):
    nbatch = data.size(0) // batch_size
    data = data.narrow(0, 0, nbatch * batch_size)
    return data.view(batch_size, -1).t().contiguous()


def get_batch(source, i, bptt):
    seq_len = min(bptt, len(source) - 1 - i)
    return source[i : i + seq_len], source[i + 1 : i + 1 + seq_len].view(-1)


def train_epoch(model, source, criterion, optimizer, args, epoch):
    model.train()
    for batch, i in enumerate(range(0, source.size(0) - 1, args.bptt)):
        data, targets = get_batch(source, i, args.bptt)
        optimizer.zero_grad()
        output = model(data).view(-1, model.decoder.out_features)
        loss = criterion(output, targets)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), args.clip)
        optimizer.step()
        print(f"epoch {epoch} batch {batch} loss {loss.item():.6f} gradient norm {norm:.6f}")


@torch.no_grad()
def evaluate(model, source, criterion, args):
    model.eval()
    total = 0.0
    for i in range(0, source.size(0) - 1, args.bptt):
        data, targets = get_batch(source, i, args.bptt)
        output = model(data).view(-1, model.decoder.out_features)
        total += len(data) * criterion(output, targets).item()
    return total / (len(source) - 1)


@torch.no_grad()
def generate(model, dictionary, words, temperature):
    model.eval()
    text = torch.randint(len(dictionary), (1, 1), dtype=torch.long)
    for _ in range(words):
        weights = model(text)[-1].squeeze().div(temperature).exp()
        word = torch.multinomial(weights, 1)[0]
        text = torch.cat([text, torch.tensor([[word]])], 0)
    return " ".join(dictionary.idx2word[i] for i in text[1:, 0].tolist())


def main():
    parser = argparse.ArgumentParser(description="A word-level transformer language model")
    parser.add_argument("--emsize", type=int, default=32)
    parser.add_argument("--nhead", type=int, default=4)
    parser.add_argument("--nhid", type=int, default=64)
    parser.add_argument("--nlayers", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--bptt", type=int, default=16)
    parser.add_argument("--lr", type=float, default=1.0)
    parser.add_argument("--clip", type=float, default=0.25)
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1111)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    dictionary = Dictionary()
    words = re.findall(r"[A-Za-z']+|[.,:;!?]|\n", TEXT.read_text(encoding="utf-8"))
    ids = torch.tensor([dictionary.add_word(word.replace("\n", "<eos>")) for word in words])
    source = batchify(ids.type(torch.int64), args.batch_size)
    model = TransformerModel(
        len(dictionary), args.emsize, args.nhead, args.nhid, args.nlayers, args.dropout
    )
    criterion = nn.NLLLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr)
    print(f"{len(words)} words, {len(dictionary)} different")
    for epoch in range(1, args.epochs + 1):
        train_epoch(model, source, criterion, optimizer, args, epoch)
        loss = evaluate(model, source, criterion, args)
        print(f"epoch {epoch} loss {loss:.6f} perplexity {math.exp(loss):.4f}")
    print("generated:", generate(model, dictionary, words=12, temperature=1.0))


if __name__ == "__main__":
    main()
