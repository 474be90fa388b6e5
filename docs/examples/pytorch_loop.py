"""A plain PyTorch training loop that resumes where it was interrupted: ``python pytorch_loop.py STORE CHECKPOINT``."""

import sys
from pathlib import Path

import torch

import calostream as cs
from calostream.torch import Loader

store, checkpoint = sys.argv[1], Path(sys.argv[2])
device = "cuda" if torch.cuda.is_available() else "cpu"
training = Loader(cs.BatchStream(store, split="train", batch_size=64, seed=1))
validation = Loader(cs.BatchStream(store, split="validation", batch_size=256, shuffle="none"))
model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
model = model.to(device)
model(torch.zeros(1, *training.stream.image_shape, device=device))  # the first layer learns the size of its input
optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
parts = {"model": model, "optimiser": optimiser, "training": training}
if checkpoint.exists():
    for name, state in torch.load(checkpoint).items():
        parts[name].load_state_dict(state)

for epoch in range(training.state_dict()["epoch"], 3):
    model.train()
    for image, label in training:  # each epoch has another order
        logit = model(image.to(device, non_blocking=True))[:, 0]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logit, label.to(device).float())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    torch.save({name: part.state_dict() for name, part in parts.items()}, checkpoint)  # within an epoch, too
    model.eval()
    with torch.inference_mode():
        outputs = [(label, model(image.to(device))[:, 0].sigmoid().cpu()) for image, label in validation]
    label, score = (torch.cat(column).numpy() for column in zip(*outputs, strict=True))
    print(f"epoch {epoch + 1}: validation AUC {cs.auc(label, score).value:.4f}")
