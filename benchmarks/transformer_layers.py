"""Compare layers of small transformers by how well Grad-CAM finds what they were trained to recognize.

BEiT, EVA and Swin, timm's, of three or four blocks, learn in a minute or a few to tell four shapes that lie
anywhere on noise. What counts is in one place of each image: pointing is the share of images whose hottest
pixel lies on the shape (by chance 6 %), energy the share of heat that does (likewise 6 %).

    python benchmarks/transformer_layers.py [--steps 500] [--seeds 2]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

SIDE, SHAPE, CLASSES, BATCH = 32, 8, 4, 48


def shapes(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Make images (N, 3, 32, 32) of noise with one shape each, their classes, and where the shapes lie."""
    chance = torch.Generator().manual_seed(seed)
    axis = torch.arange(SHAPE) - (SHAPE - 1) / 2
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    kinds = (
        rows**2 + columns**2 < 14,  # a disc
        torch.maximum(rows.abs(), columns.abs()) > 2,  # a frame
        torch.minimum(rows.abs(), columns.abs()) < 1,  # a cross
        (torch.arange(SHAPE) // 2 % 2 == 0)[:, None].expand(SHAPE, SHAPE),  # stripes
    )
    images = torch.randn(count, 3, SIDE, SIDE, generator=chance) * 0.3
    classes = torch.randint(0, CLASSES, (count,), generator=chance)
    places = torch.zeros(count, SIDE, SIDE, dtype=torch.bool)
    for image, kind, place in zip(images, classes.tolist(), places, strict=True):
        top, left = torch.randint(0, SIDE - SHAPE + 1, (2,), generator=chance).tolist()
        color = torch.rand(3, 1, generator=chance) + 0.8
        image[:, top : top + SHAPE, left : left + SHAPE][:, kinds[kind]] = color
        place[top : top + SHAPE, left : left + SHAPE] = True
    return images, classes, places


def beit() -> nn.Module:
    """BEiT with 8x8 patches."""
    from timm.models.beit import Beit

    return Beit(
        img_size=SIDE,
        patch_size=4,
        embed_dim=48,
        depth=3,
        num_heads=3,
        num_classes=CLASSES,
        use_abs_pos_emb=False,
        use_rel_pos_bias=True,
        init_values=0.1,
    )


def eva() -> nn.Module:
    """EVA-02 with 8x8 patches."""
    from timm.models.eva import Eva

    return Eva(
        img_size=SIDE,
        patch_size=4,
        embed_dim=48,
        depth=3,
        num_heads=3,
        num_classes=CLASSES,
        use_rot_pos_emb=True,
        swiglu_mlp=True,
        mlp_ratio=8 / 3,
    )


def swin() -> nn.Module:
    """Swin of two stages, which ends in 8x8 places."""
    from timm.models.swin_transformer import SwinTransformer

    return SwinTransformer(
        img_size=SIDE,
        patch_size=2,
        window_size=4,
        embed_dim=32,
        depths=(2, 2),
        num_heads=(2, 4),
        num_classes=CLASSES,
    )


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[str, ...]]] = {
    "beit": (beit, ("blocks.2.norm1", "blocks.2.norm2")),
    "eva": (eva, ("blocks.2.norm1", "blocks.2.norm2")),
    "swin": (swin, ("layers.1.blocks.1.norm1", "layers.1.blocks.1.norm2", "norm")),
}
"""How to build each, and the layers compared: the last is what auto takes."""


def train(network: nn.Module, steps: int, seed: int) -> None:
    """Train a network on 4,096 images."""
    images, classes, _ = shapes(4096, seed=1)
    chance = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for _ in range(steps):
        chosen = torch.randint(0, len(images), (BATCH,), generator=chance)
        loss = F.cross_entropy(network(images[chosen]), classes[chosen])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    network.eval()


def grad_cam(network: nn.Module, layer: str, images: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Compute Grad-CAM of tokens or of pixels with channels last, enlarged to the image."""
    outputs: list[torch.Tensor] = []
    handle = network.get_submodule(layer).register_forward_hook(lambda *call: outputs.append(call[2]))
    scores = network(images).gather(1, classes[:, None]).sum()
    handle.remove()
    (gradients,) = torch.autograd.grad(scores, outputs[0])
    planes = []
    for values in (outputs[0].detach(), gradients):
        tokens = values.flatten(1, -2)
        side = int(tokens.shape[1] ** 0.5)
        planes.append(tokens[:, -side * side :].transpose(1, 2).unflatten(2, (side, side)))
    activations, slopes = planes
    maps = (activations * slopes.mean((2, 3), keepdim=True)).sum(1, keepdim=True).relu()
    return F.interpolate(maps, (SIDE, SIDE), mode="bilinear")[:, 0]


def main() -> None:
    """Train, measure, and print a row for each layer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    images, classes, places = shapes(256, seed=99)
    print("network  seed  accuracy  layer                    pointing  energy")
    for seed in range(options.seeds):
        for name, (build, layers) in NETWORKS.items():
            torch.manual_seed(seed)
            network = build()
            train(network, options.steps, seed)
            accuracy = (network(images).argmax(1) == classes).float().mean()
            for layer in layers:
                maps = grad_cam(network, layer, images, classes).flatten(1)
                inside = places.flatten(1)
                hits = inside.gather(1, maps.argmax(1, keepdim=True))[:, 0] & (maps.amax(1) > 0)
                energy = ((maps * inside).sum(1) / maps.sum(1).clamp(min=1e-9)).mean()
                hit = hits.float().mean()
                print(
                    f"{name:7}  {seed:4}  {accuracy:8.3f}  {layer:23}  {hit:8.2f}  {energy:6.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
