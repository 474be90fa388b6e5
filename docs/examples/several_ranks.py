"""PyTorch on several ranks: ``torchrun --nproc-per-node 2 several_ranks.py STORE``."""

import sys

import torch
from torch.distributed import all_reduce, destroy_process_group, get_rank, init_process_group

import calostream as cs
from calostream.torch import Loader

init_process_group("nccl" if torch.cuda.is_available() else "gloo")
device = torch.device("cuda", get_rank() % torch.cuda.device_count()) if torch.cuda.is_available() else "cpu"
# Once the process group exists, a loader takes its rank's part of every batch: no DistributedSampler is needed.
training = Loader(cs.BatchStream(sys.argv[1], split="train", batch_size=32, seed=1))
torch.manual_seed(0)
layers = torch.nn.Flatten(), torch.nn.Linear(32 * 32 * 2, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1)
model = torch.nn.parallel.DistributedDataParallel(torch.nn.Sequential(*layers).to(device))
optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)

for epoch in range(2):
    total = torch.zeros(2, device=device)  # sum of the losses, number of samples
    for image, label in training:
        logit, label = model(image.to(device))[:, 0], label.to(device).float()
        losses = torch.nn.functional.binary_cross_entropy_with_logits(logit, label, reduction="none")
        optimiser.zero_grad()
        losses.mean().backward()
        optimiser.step()
        total += torch.stack([losses.detach().sum(), torch.tensor(float(len(label)), device=device)])
    all_reduce(total)
    if get_rank() == 0:
        print(f"epoch {epoch + 1}: loss {total[0] / total[1]:.4f} over {int(total[1])} samples")
destroy_process_group()
