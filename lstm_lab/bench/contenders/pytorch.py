"""`torch.nn.RNN`, `LSTM` and `GRU`, in PyTorch's own training loop."""

from typing import Any

import numpy as np

from lstm_lab.bench.contenders.base import LEARNING_RATE, Arrays, Contender
from lstm_lab.bench.workload import Workload, valid


class PyTorch(Contender):
    """PyTorch, on its accelerator where it sees one; rows with lengths go in as packed sequences."""

    name = "PyTorch"
    layout = "pytorch"
    package = "torch"

    def __init__(self, workload: Workload, data: Arrays, weights: Arrays) -> None:
        import torch

        self.torch = torch
        # On a GPU it would round the inputs of a layer's products.
        torch.backends.cudnn.allow_tf32 = False
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        kind = {"Elman": torch.nn.RNN, "LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU}[workload.cell]
        self.layer = kind(
            workload.inputs,
            workload.hidden,
            num_layers=workload.layers,
            bidirectional=workload.bidirectional,
            batch_first=True,
        ).to(self.device)
        self.parameters = {name: getattr(self.layer, _torch_name(name)) for name in weights}
        with torch.no_grad():
            for name, value in weights.items():
                self.parameters[name].copy_(torch.from_numpy(value))
        self.x = torch.from_numpy(data["x"]).to(self.device)
        self.target = torch.from_numpy(data["target"]).to(self.device)
        self.lengths = torch.from_numpy(data["lengths"]) if workload.lengths else None
        self.counts = torch.from_numpy(valid(dict(data))).to(self.device)
        self.optimizer = torch.optim.SGD(self.layer.parameters(), lr=LEARNING_RATE)

    def forward(self) -> np.ndarray:
        with self.torch.no_grad():
            y = self._read(self.x)
        self._wait()
        return y.cpu().numpy()

    def gradient(self) -> dict[str, np.ndarray]:
        x = self.x.detach().requires_grad_(True)
        leaves = [*self.parameters.values(), x]
        gradients = self.torch.autograd.grad(self._loss(x), leaves)
        self._wait()
        named = zip([*self.parameters, "x"], gradients, strict=True)
        return {name: gradient.cpu().numpy() for name, gradient in named}

    def train(self, steps: int) -> None:
        for _ in range(steps):
            self.optimizer.zero_grad()
            self._loss(self.x).backward()
            self.optimizer.step()
        self._wait()

    def _read(self, x: Any) -> Any:
        if self.lengths is None:
            return self.layer(x)[0]
        rnn = self.torch.nn.utils.rnn
        packed = rnn.pack_padded_sequence(x, self.lengths, batch_first=True)
        y, _ = rnn.pad_packed_sequence(
            self.layer(packed)[0], batch_first=True, total_length=x.shape[1]
        )
        return y

    def _loss(self, x: Any) -> Any:
        error = self._read(x) - self.target
        if self.lengths is not None:
            error = error * self.counts
        return (error * error).mean()

    def _wait(self) -> None:
        if self.device.type == "cuda":
            self.torch.cuda.synchronize()


def _torch_name(name: str) -> str:
    layer, direction, leaf = name.split("/")
    return f"{leaf}_l{layer}" + ("_reverse" if direction == "1" else "")
