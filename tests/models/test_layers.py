"""Which layers a network has, which one is explained, and that its cells are where they should be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import swin_transformer as swin

from streamcam.errors import InvalidArgumentError, ModelError, UnknownNameError
from streamcam.models import (
    Classifier,
    InputSpec,
    Layer,
    choose_target_layers,
    probe_layers,
    probe_model,
)
from streamcam.models.labels import numbered_labels

SPEC = InputSpec(32, 32)


def classifier(module: nn.Module, **settings: Any) -> Classifier:
    torch.manual_seed(0)
    return Classifier(
        "toy", module.eval(), numbered_labels(5), settings.pop("spec", SPEC), "none", **settings
    )


def layers_of(module: nn.Module, height: int = 32, width: int = 64, **settings: Any) -> list[Layer]:
    return probe_layers(classifier(module, **settings), torch.zeros(1, 3, height, width))


def auto(module: nn.Module, height: int = 32, width: int = 64) -> str:
    return choose_target_layers(layers_of(module, height, width))[0].name


class Conventional(nn.Module):
    """Convolutions in stages, a pooling layer inside the last one, dropout, and a linear classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stage1 = nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.ReLU())
        self.stage2 = nn.Sequential(nn.Conv2d(8, 16, 2, 2), nn.ReLU(inplace=True))
        self.stage3 = nn.Sequential(nn.Conv2d(16, 16, 1), nn.ReLU(), nn.MaxPool2d(2))
        self.dropout = nn.Dropout()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(16, 5)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        features = self.dropout(self.stage3(self.stage2(self.stage1(batch))))
        logits: torch.Tensor = self.fc(self.pool(features).flatten(1))
        return logits


def test_layers_are_told_in_the_order_in_which_they_finish() -> None:
    layers = {layer.name: layer for layer in layers_of(Conventional())}
    assert list(layers)[:4] == ["stage1.0", "stage1.1", "stage1", "stage2.0"]
    first, last = layers["stage1"], layers["fc"]
    assert (first.kind, first.shape, first.grid, first.channels) == ("Sequential", (1, 8, 8, 16), (8, 16), 8)
    assert (last.kind, last.shape, last.grid, last.explains) == ("Linear", (1, 5), None, False)


def test_auto_takes_the_last_grid_before_it_is_pooled() -> None:
    assert auto(Conventional()) == "stage3.1"


def test_of_one_output_in_several_names_the_outermost_counts() -> None:
    module = Conventional()
    module.stage3 = nn.Sequential(nn.Conv2d(16, 16, 1), nn.ReLU())
    assert auto(module) == "stage3"


def test_stages_are_the_last_layers_of_the_coarsest_grids_finest_first() -> None:
    module = Conventional()
    module.stage3 = nn.Sequential(nn.Conv2d(16, 16, 1), nn.ReLU(), nn.Conv2d(16, 16, 2, 2))
    chosen = choose_target_layers(layers_of(module, 64, 64), stages=True)
    assert [(layer.name, layer.grid) for layer in chosen] == [
        ("stage1", (16, 16)),
        ("stage2", (8, 8)),
        ("stage3", (4, 4)),
    ]


def test_scores_in_planes_are_not_what_makes_them() -> None:
    """As in SqueezeNet: the last convolution's output is the scores of each place."""
    module = nn.Sequential(
        nn.Conv2d(3, 8, 4, 4), nn.ReLU(), nn.Conv2d(8, 5, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    assert auto(module) == "1"
    assert auto(nn.Sequential(module, nn.Softmax(dim=1))) == "0.1"


def test_scores_in_planes_are_taken_where_nothing_else_lies_on_the_image() -> None:
    scores = nn.Sequential(nn.Conv2d(3, 5, 4, 4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert auto(scores) == "0"
    assert auto(nn.Sequential(scores, nn.Sigmoid())) == "0.0"


def test_features_with_as_many_channels_as_classes_are_no_scores() -> None:
    """A linear layer mixes them: each score depends on all channels."""
    convolutions = (nn.Conv2d(3, 5, 4, 4), nn.ReLU(), nn.Conv2d(5, 5, 1))
    module = nn.Sequential(*convolutions, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 5))
    assert auto(module) == "2"
    assert auto(nn.Sequential(module, nn.Softmax(dim=1))) == "0.2"


class Shared(nn.Module):
    """One activation module in two places."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 8, 4, 4), nn.Conv2d(8, 8, 1)
        self.act, self.fc = nn.ReLU(), nn.Linear(8, 5)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        features = self.act(self.conv2(self.act(self.conv1(batch))))
        logits: torch.Tensor = self.fc(features.mean((2, 3)))
        return logits


def test_an_activation_in_two_places_is_taken_only_if_named() -> None:
    layers = layers_of(Shared())
    assert choose_target_layers(layers)[0].name == "conv2"
    assert choose_target_layers(layers, "act")[0].name == "act@2"
    assert choose_target_layers(layers, "act@1")[0].name == "act@1"


class Views(nn.Module):
    """Runs one convolution on several views of an image."""

    def __init__(self, *views: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.views = views
        self.conv, self.fc = nn.Conv2d(3, 8, 8, 8), nn.Linear(8, 5)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        features = [self.conv(view(batch)).relu().mean((2, 3)) for view in self.views]
        logits: torch.Tensor = self.fc(torch.stack(features).prod(0))
        return logits


def itself(batch: torch.Tensor) -> torch.Tensor:
    return batch


def another(batch: torch.Tensor) -> torch.Tensor:
    return torch.ones_like(batch)


def mirrored(batch: torch.Tensor) -> torch.Tensor:
    return batch.flip(-1)


@pytest.mark.parametrize(
    ("views", "chosen"),
    [
        ((itself, another), "conv@1"),
        ((another, itself), "conv@2"),
        ((itself, mirrored), "conv@1"),
        ((mirrored, itself, another), "conv@2"),
        ((itself, itself), "conv@2"),
    ],
)
def test_the_call_that_sees_the_image_as_it_is_is_taken(views: tuple[Any, ...], chosen: str) -> None:
    layers = layers_of(Views(*views))
    assert choose_target_layers(layers)[0].name == chosen
    assert choose_target_layers(layers, "conv")[0].name == chosen


def test_a_layer_none_of_whose_calls_sees_the_image_is_refused() -> None:
    class Elsewhere(Views):
        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            return super().forward(torch.ones_like(batch)) + batch.mean()

    with pytest.raises(InvalidArgumentError, match="'conv' runs 2 times for one image, and never on that"):
        choose_target_layers(layers_of(Elsewhere(itself, mirrored)), "conv")


class ChannelsLast(nn.Module):
    """Like Swin: channels last, with a table of relative positions that is the same for every image."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 8, 4, 4)
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, 5)
        self.positions = nn.Linear(2, 8)
        self.table: torch.Tensor
        self.register_buffer("table", torch.randn(1, 8, 16, 2))

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        pixels = self.norm(self.embed(batch).permute(0, 2, 3, 1))
        logits: torch.Tensor = self.head((pixels + self.positions(self.table)).mean((1, 2)))
        return logits


def test_a_table_that_is_the_same_for_every_image_is_no_layer_of_it() -> None:
    layers = {layer.name: layer for layer in layers_of(ChannelsLast())}
    norm = layers["norm"]
    assert (norm.layout and norm.layout.kind, norm.grid, norm.channels) == ("nhwc", (8, 16), 8)
    assert layers["positions"].layout is None
    assert auto(ChannelsLast()) == "norm"


class Block(nn.Module):
    """Attention, then a perceptron, each on normalized tokens and added to them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.GELU())

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        query, key, value = self.qkv(self.norm1(tokens)).chunk(3, dim=-1)
        tokens = tokens + self.proj(F.scaled_dot_product_attention(query, key, value))
        return tokens + self.mlp(self.norm2(tokens))


class Transformer(nn.Module):
    """A vision transformer with any number of tokens before the patches and behind them."""

    def __init__(self, prefix: int, *, suffix: int = 0, read: str = "class", patch: int = 8) -> None:
        super().__init__()
        width = 16
        self.embed = nn.Conv2d(3, width, patch, patch)
        self.prefix = nn.Parameter(torch.randn(1, prefix, width))
        self.suffix = nn.Parameter(torch.randn(1, suffix, width))
        self.blocks = nn.ModuleList(Block(width) for _ in range(2))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 5)
        self.read = read
        nn.init.zeros_(self.head.weight)  # as torchvision leaves it before training

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        patches = self.embed(batch).flatten(2).transpose(1, 2)
        prefix, suffix = (some.expand(len(batch), -1, -1) for some in (self.prefix, self.suffix))
        tokens = torch.cat([prefix, patches, suffix], dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        count = self.prefix.shape[1]
        places = slice(count, count + patches.shape[1])
        if self.read == "mean before the norm":
            summary = self.norm(tokens[:, places].mean(dim=1))
        else:
            tokens = self.norm(tokens)
            summary = tokens[:, 0] if self.read == "class" else tokens[:, places].mean(dim=1)
        logits: torch.Tensor = self.head(summary)
        return logits


def test_of_a_class_token_s_network_the_last_norm_is_taken_whose_patches_are_read() -> None:
    """After the last attention only the class token is read: a map made there would be empty."""
    assert auto(Transformer(1)) == "blocks.1.norm1"


def test_of_an_averaging_network_the_very_last_norm_is_taken() -> None:
    assert auto(Transformer(0, read="mean")) == "norm"
    assert auto(Transformer(4, read="mean")) == "norm"


def test_of_a_network_that_averages_before_its_last_norm_the_last_block_is_taken() -> None:
    """As in BEiT and EVA: what the block puts out is what is averaged."""
    assert auto(Transformer(0, read="mean before the norm")) == "blocks.1"
    assert auto(Transformer(4, read="mean before the norm")) == "blocks.1"


@pytest.mark.parametrize(
    ("block", "merging", "chosen"),
    [
        (swin.SwinTransformerBlock, swin.PatchMerging, "features.3.1.norm1"),
        (swin.SwinTransformerBlockV2, swin.PatchMergingV2, "permute"),  # its norms follow the attention
    ],
)
def test_of_windows_the_norm_before_the_last_attention_is_taken(
    block: Any, merging: Any, chosen: str
) -> None:
    module = swin.SwinTransformer(
        [4, 4], 20, [2, 2], [1, 1], [2, 2], num_classes=5, block=block, downsample_layer=merging
    )
    assert auto(module) == chosen


def test_tokens_that_are_never_normalised_are_explained_as_they_are() -> None:
    module = nn.Sequential(
        nn.Conv2d(3, 8, 4, 4), nn.Flatten(2), Swap(), nn.Linear(8, 8), Mean(), nn.Linear(8, 5)
    )
    assert auto(module) == "3"


class Swap(nn.Module):
    """(N, C, T) → (N, T, C)."""

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        return planes.transpose(1, 2)


class Mean(nn.Module):
    """(N, T, C) → (N, C)."""

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return tokens.mean(dim=1)


@pytest.mark.parametrize(
    ("prefix", "suffix"), [(0, 0), (1, 0), (2, 0), (5, 0), (0, 1), (0, 4), (1, 1), (1, 4), (1, 50)]
)
@pytest.mark.parametrize(("rows", "columns"), [(4, 4), (4, 7), (7, 4)])
def test_a_bright_patch_lights_its_own_cell(prefix: int, suffix: int, rows: int, columns: int) -> None:
    torch.manual_seed(prefix)
    module = Transformer(prefix, suffix=suffix, read="class" if prefix else "mean").eval()
    toy = classifier(module)
    (layer,) = choose_target_layers(probe_layers(toy, torch.zeros(1, 3, 8 * rows, 8 * columns)))
    assert layer.layout is not None
    assert (layer.grid, layer.layout.prefix_tokens) == ((rows, columns), prefix)
    assert layer.layout.suffix_tokens == suffix
    outputs: list[torch.Tensor] = []
    handle = module.get_submodule(layer.name).register_forward_hook(lambda *call: outputs.append(call[2]))
    for row, column in [(0, 0), (1, 2), (rows - 1, 0), (rows - 1, columns - 1)]:
        image = torch.zeros(1, 3, 8 * rows, 8 * columns)
        with torch.no_grad():
            module(image)
            image[:, :, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = 9
            module(image)
        dark, bright = (layer.layout.fold(output, (8 * rows, 8 * columns)) for output in outputs[-2:])
        cell = int((bright - dark).square().sum(dim=1).argmax())
        assert divmod(cell, columns) == (row, column)
    handle.remove()


def test_a_network_is_left_as_it_was() -> None:
    module = Transformer(1)
    module.embed.weight.requires_grad_(False)
    toy = classifier(module)
    before = {name: parameter.requires_grad for name, parameter in module.named_parameters()}
    probe_layers(toy, torch.zeros(1, 3, 32, 32))
    assert {name: parameter.requires_grad for name, parameter in module.named_parameters()} == before
    assert all(parameter.grad is None for parameter in module.parameters())
    assert not any(part._forward_hooks for part in module.modules())


def test_a_network_that_raises_is_left_as_it_was() -> None:
    module = Conventional()
    with pytest.raises(RuntimeError, match="channels"):
        probe_layers(classifier(module), torch.zeros(1, 7, 32, 32))
    assert not any(part._forward_hooks for part in module.modules())


def test_probing_works_under_inference_mode() -> None:
    toy = classifier(Transformer(1))
    with torch.inference_mode():
        (layer,) = choose_target_layers(probe_layers(toy, torch.zeros(1, 3, 32, 32)))
    assert layer.name == "blocks.1.norm1"


def test_layers_are_named_by_the_user() -> None:
    layers = layers_of(Conventional())
    assert [layer.name for layer in choose_target_layers(layers, "stage2")] == ["stage2"]
    assert [layer.name for layer in choose_target_layers(layers, "stage2 + stage1.1")] == [
        "stage2",
        "stage1.1",
    ]
    # Even what auto never takes, if it has a grid.
    assert choose_target_layers(layers, "stage3.2")[0].grid == (2, 4)


BAD_LAYERS = [
    ("stage4", UnknownNameError, "unknown layer 'stage4'; .* stage3.*all of them: streamcam layers MODEL"),
    ("", UnknownNameError, "unknown layer ''"),
    ("stage2+stage9", UnknownNameError, "unknown layer 'stage9'"),
    ("fc", ModelError, r"layer 'fc' puts out \(1, 5\), which has no spatial grid"),
    ("pool", ModelError, r"layer 'pool' puts out \(1, 16, 1, 1\), which has no spatial grid"),
]


@pytest.mark.parametrize(("wanted", "error", "says"), BAD_LAYERS)
def test_layers_that_cannot_be_explained_are_refused(wanted: str, error: type[Exception], says: str) -> None:
    layers = layers_of(Conventional())
    with pytest.raises(error, match=says):
        choose_target_layers(layers, wanted)


def test_a_network_without_grids_says_so() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 64, 5))
    with pytest.raises(ModelError, match="no layer of this network has a spatial grid"):
        choose_target_layers(layers_of(module))


class Fixed(nn.Module):
    """Takes images of one size only."""

    def __init__(self, *, resizes: bool = False) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 8, 8), nn.Linear(64, 5)
        self.resizes = resizes

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        if self.resizes:
            batch = F.interpolate(batch, (32, 32))
        logits: torch.Tensor = self.fc(self.conv(batch).flatten(1))
        return logits


def test_frames_keep_their_shape_where_the_network_takes_any() -> None:
    probe = probe_model(classifier(Conventional()))
    assert (probe.fit, probe.note) == ("full", None)


def test_frames_are_stretched_to_what_a_network_takes() -> None:
    probe = probe_model(classifier(Fixed()))
    assert (probe.fit, probe.note) == (
        "stretch",
        "toy takes only 32x32 images: frames are stretched to that",
    )
    assert choose_target_layers(probe.layers)[0].grid == (4, 4)


def test_frames_are_stretched_for_a_network_that_would_do_so_itself() -> None:
    probe = probe_model(classifier(Fixed(resizes=True)))
    assert (probe.fit, choose_target_layers(probe.layers)[0].grid) == ("stretch", (4, 4))
    assert probe.note == "toy resizes images itself: frames are stretched to what it takes"


def test_a_shape_that_a_network_does_not_take_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="only 32x32 images; use `fit='stretch'`, crop or pad"):
        probe_model(classifier(Fixed()), "full")


def test_a_network_that_takes_another_size_says_which() -> None:
    with pytest.raises(ModelError, match="toy takes images of 32x32 pixels; set `input_size` to 32"):
        probe_model(classifier(Fixed(), spec=InputSpec(48, 48)))


def test_a_network_without_logits_says_so() -> None:
    with pytest.raises(ModelError, match=r"returns planes \(2, 4, 4, 8\), as segmenters do"):
        probe_model(classifier(nn.Conv2d(3, 4, 8, 8)))
