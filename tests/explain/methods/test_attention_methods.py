"""LeGrad: values worked out by hand, then parity with torch-cam and with timm's own attention."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from peers import require_peer
from torch import nn
from torchvision.models import SwinTransformer, VisionTransformer, resnet18

from streamcam.errors import ModelError
from streamcam.explain import Explainer
from streamcam.explain.hooks import HookedNetwork
from streamcam.explain.methods.attention import legrad
from streamcam.explain.objectives import Objective
from streamcam.models import Classifier, InputSpec
from streamcam.models.labels import numbered_labels


def _network(module: nn.Module, classes: int, **settings: Any) -> HookedNetwork:
    labels = numbered_labels(classes)
    return HookedNetwork(Classifier("test", module.eval(), labels, InputSpec(32, 32), "none", **settings), [])


def _objective(*classes: int) -> Objective:
    return Objective(torch.tensor(classes))


def _grid(rows: int, columns: int) -> torch.Tensor:
    return torch.empty(1, 1, rows, columns)


# --- By hand -----------------------------------------------------------------------------------------

Attention = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def _fused(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    return F.scaled_dot_product_attention(query, key, value)


def _masked(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    everything = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=everything)


def _biased(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    return F.scaled_dot_product_attention(query, key, value, torch.zeros(query.shape[2], key.shape[2]))


def _spelt_out(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    return (query @ key.transpose(2, 3)).softmax(dim=-1) @ value


def _spelt_out_in_functions(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    return torch.matmul(F.softmax(torch.matmul(query, key.transpose(2, 3)), dim=-1), value)


class _EqualAttention(nn.Module):
    """A block whose tokens attend to all tokens alike, and hand on what they see."""

    def __init__(self, attend: Attention) -> None:
        super().__init__()
        self.attend = attend

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        value = tokens.unsqueeze(1)
        nothing = torch.zeros_like(value)
        return self.attend(nothing, nothing, value).squeeze(1)


def _tokens(batch: torch.Tensor) -> torch.Tensor:
    """A first token (9, 9), and (x, -x) for every pixel x."""
    pixels = batch.flatten(1).unsqueeze(2)
    return torch.cat([torch.full((len(batch), 1, 2), 9.0), torch.cat([pixels, -pixels], dim=2)], dim=1)


class _AsTorchvision(nn.Module):
    """Two blocks, and the first token's two features for logits, under torchvision's names."""

    def __init__(self, attend: Attention = _fused) -> None:
        super().__init__()
        self.encoder = nn.Module()
        self.encoder.layers = nn.Sequential(_EqualAttention(attend), _EqualAttention(attend))
        self.encoder.ln = nn.Identity()
        self.heads = nn.Identity()

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.heads(self.encoder.ln(self.encoder.layers(_tokens(batch)))[:, 0])
        return logits


class _AsTimm(nn.Module):
    """The same under timm's names."""

    def __init__(self, attend: Attention = _fused) -> None:
        super().__init__()
        self.blocks = nn.Sequential(_EqualAttention(attend), _EqualAttention(attend))
        self.norm = nn.Identity()

    def forward_head(self, tokens: torch.Tensor) -> torch.Tensor:
        return tokens[:, 0]

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.forward_head(self.norm(self.blocks(_tokens(batch))))


class _Wrapped(nn.Module):
    def __init__(self, module: nn.Module, head: nn.Module | None = None) -> None:
        super().__init__()
        self.inner = module
        self.head = head

    def forward(self, batch: torch.Tensor) -> dict[str, torch.Tensor]:
        logits = self.inner(batch)
        return {"scores": logits if self.head is None else self.head(logits)}


@pytest.mark.parametrize("attend", [_fused, _masked, _biased, _spelt_out, _spelt_out_in_functions])
@pytest.mark.parametrize("build", [_AsTorchvision, _AsTimm])
def test_legrad_averages_positive_gradients_of_every_block(
    build: Callable[[Attention], nn.Module], attend: Attention
) -> None:
    network = _network(build(attend), 2)
    inputs = torch.tensor([[[[6.0, -3.0]]]])
    # A block's score is the mean over 3 queries q of sum_k A_qk v_k: its gradient by A_qk is v_k / 3.
    # Block 1, class 0: v = (9, 6, -3), so 3, 2 and -1 before the ReLU. Block 2: every token is the mean of
    # these, 4, so 4/3 everywhere. For class 1: v = (9, -6, 3), then 2 everywhere.
    for target, first, second in ((0, [2.0, 0.0], 4 / 3), (1, [0.0, 1.0], 2 / 3)):
        every = legrad(inputs, network, _objective(target), _grid(1, 2))
        expected = [[[(place + second) / 2 for place in first]]]
        np.testing.assert_allclose(every.numpy(), expected, rtol=1e-6)
        last = legrad(inputs, network, _objective(target), _grid(1, 2), blocks=1)
        np.testing.assert_allclose(last.numpy(), [[[second, second]]], rtol=1e-6)


def test_each_image_is_explained_for_its_own_class() -> None:
    inputs = torch.tensor([[[[6.0, -3.0]]], [[[6.0, -3.0]]]])
    found = legrad(inputs, _network(_AsTimm(), 2), _objective(0, 1), _grid(1, 2))
    expected = [[[(2 + 4 / 3) / 2, 2 / 3]], [[1 / 3, (1 + 2 / 3) / 2]]]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)


def test_a_wrapped_transformer_is_found() -> None:
    network = _network(_Wrapped(_AsTorchvision()), 2, logits_key="scores")
    inputs = torch.tensor([[[[6.0, -3.0]]]])
    expected = legrad(inputs, _network(_AsTorchvision(), 2), _objective(0), _grid(1, 2))
    assert torch.equal(legrad(inputs, network, _objective(0), _grid(1, 2)), expected)


def test_a_head_around_the_transformer_is_refused() -> None:
    network = _network(_Wrapped(_AsTorchvision(), nn.Linear(2, 5)), 5, logits_key="scores")
    with pytest.raises(ModelError, match=r"gives 2 scores for 5 classes; use gradcam"):
        legrad(torch.ones(1, 1, 1, 2), network, _objective(0), _grid(1, 2))


def test_a_grid_that_is_not_the_tokens_is_refused() -> None:
    with pytest.raises(ModelError, match=r"3 tokens on the target layer's grid of 2x2; leave `target_layer`"):
        legrad(torch.ones(1, 1, 1, 2), _network(_AsTimm(), 2), _objective(0), _grid(2, 2))


class _NoAttention(_AsTimm):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(nn.Linear(2, 2))


def _attend_to_neighbours(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    halves = [part.unflatten(2, (2, 2)).transpose(1, 2).flatten(0, 1) for part in (query, key, value)]
    return F.scaled_dot_product_attention(*halves).unflatten(0, (-1, 2)).transpose(1, 2).flatten(2, 3)


NOT_TRANSFORMERS: dict[str, Callable[[], nn.Module]] = {
    "convolutions": lambda: resnet18(weights=None, num_classes=2),
    "shifted windows": lambda: SwinTransformer([4, 4], 8, [1, 1], [1, 1], [4, 4], num_classes=2),
    "no attention": _NoAttention,
    "windows": lambda: _AsTimm(_attend_to_neighbours),
}


@pytest.mark.parametrize("build", NOT_TRANSFORMERS.values(), ids=NOT_TRANSFORMERS.keys())
def test_other_networks_are_refused(build: Callable[[], nn.Module]) -> None:
    network = _network(build(), 2)
    with pytest.raises(ModelError, match=r"'legrad' needs a vision transformer .* test is not one; use"):
        legrad(torch.ones(1, 3, 1, 1), network, _objective(0), _grid(1, 3))
    assert torch.is_grad_enabled()


# --- Parity ------------------------------------------------------------------------------------------


def _transformer() -> VisionTransformer:
    torch.manual_seed(0)
    module = VisionTransformer(
        image_size=32, patch_size=8, num_layers=3, num_heads=4, hidden_dim=64, mlp_dim=128, num_classes=10
    )
    nn.init.normal_(module.heads.head.weight)  # a fresh head is all zeros
    return module.eval()


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def _scaled(maps: torch.Tensor) -> torch.Tensor:
    low, high = maps.amin(dim=(1, 2), keepdim=True), maps.amax(dim=(1, 2), keepdim=True)
    return (maps - low) / (high - low)


@pytest.mark.parametrize("blocks", [0, 1, 2])
def test_values_equal_those_of_torch_cam(blocks: int, images: torch.Tensor) -> None:
    peer = require_peer("torchcam.methods")
    module = _transformer()
    network = _network(module, 10)
    for target in (1, 7):
        own = legrad(images, network, _objective(target, target), _grid(4, 4), blocks=blocks)
        with peer.LeGrad(module, list(module.encoder.layers)[-blocks:]) as theirs:
            expected = theirs(target, module(images))[0]
        np.testing.assert_allclose(_scaled(own).numpy(), expected.numpy(), atol=1e-4)


@pytest.mark.parametrize(
    ("name", "tokens_before"),
    [("vit_tiny_patch16_224", 1), ("vit_small_patch14_reg4_dinov2", 5), ("vit_wee_patch16_reg1_gap_256", 1)],
)
def test_values_on_timm_equal_gradients_taken_through_its_own_attention(
    name: str, tokens_before: int, images: torch.Tensor
) -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    patch = 14 if "patch14" in name else 16
    size = 4 * patch
    module = timm.create_model(name, num_classes=10, img_size=size, depth=2).eval()
    nn.init.normal_(module.head.weight)
    inputs = F.interpolate(images, (size, size))
    own = legrad(inputs, _network(module, 10), _objective(1, 7), _grid(4, 4))
    expected = _through_timms_attention(module, inputs, [1, 7])[:, tokens_before:].view(2, 4, 4)
    np.testing.assert_allclose(own.numpy(), expected.numpy(), atol=1e-4 * float(expected.max()))


def _through_timms_attention(module: Any, inputs: torch.Tensor, targets: list[int]) -> torch.Tensor:
    """Compute LeGrad with timm's unfused attention, whose dropout sees the probabilities: (N, tokens)."""
    probabilities: list[torch.Tensor] = []
    outputs: list[torch.Tensor] = []
    for block in module.blocks:
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_hook(lambda *given: probabilities.append(given[2]))
        block.register_forward_hook(lambda *given: outputs.append(given[2]))
    module(inputs)
    maps = []
    for output, attended in zip(outputs, probabilities, strict=True):
        logits = module.head(module.fc_norm(module.norm(output.mean(dim=1))))
        score = logits[range(len(targets)), targets].sum()
        (gradient,) = torch.autograd.grad(score, attended, retain_graph=True)
        maps.append(gradient.relu().mean(dim=(1, 2)))
    return torch.stack(maps).mean(dim=0)


# --- What every run keeps ----------------------------------------------------------------------------


def _images(count: int) -> list[NDArray[np.uint8]]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (32, 32, 3), dtype=np.uint8) for _ in range(count)]


def _explainer(module: nn.Module, target: Any, method: str = "legrad", **settings: Any) -> Explainer:
    classifier = Classifier("test", module, numbered_labels(10), InputSpec(32, 32), "none")
    return Explainer(classifier, method=method, classes=target, fit="stretch", device="cpu", **settings)


def test_a_batch_equals_single_runs() -> None:
    explainer = _explainer(_transformer(), 3, batch_size=3)
    together = [explanation.heatmaps[3] for explanation in explainer.explain(_images(3))]
    for image, found in zip(_images(3), together, strict=True):
        alone = explainer.explain([image])[0].heatmaps[3]
        assert alone.shape == (4, 4)
        assert alone.dtype == np.float32
        np.testing.assert_allclose(found, alone, atol=1e-5 * alone.max())


def test_blocks_are_an_option() -> None:
    every, last = (
        _explainer(_transformer(), 3, method).explain(_images(1))[0].heatmaps[3]
        for method in ("legrad", "legrad:blocks=1")
    )
    assert not np.allclose(every, last)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_callers_may_have_gradients_off(mode: Callable[[], Any]) -> None:
    explainer = _explainer(_transformer(), 3)
    expected = explainer.explain(_images(1))[0].heatmaps[3]
    assert expected.any()
    with mode():
        found = explainer.explain(_images(1))[0].heatmaps[3]
    np.testing.assert_allclose(found, expected, atol=1e-5 * expected.max())


def test_networks_may_compute_in_half_precision() -> None:
    maps = [
        _explainer(_transformer(), 3, precision=precision).explain(_images(1))[0].heatmaps[3]
        for precision in ("fp32", "bf16")
    ]
    assert maps[1].dtype == np.float32
    np.testing.assert_allclose(maps[0], maps[1], atol=0.05 * maps[0].max())


def _raise(_output: object) -> torch.Tensor:
    raise ArithmeticError("no such number")


def _state(module: nn.Module) -> tuple[Any, ...]:
    """Everything that a run must leave as it was."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return (
        [(part.training, [list(getattr(part, name)) for name in hooks]) for part in module.modules()],
        [(id(one), one.requires_grad, one._version) for one in module.parameters()],
    )


@pytest.mark.parametrize("frozen", [False, True], ids=["trainable", "frozen"])
def test_a_network_is_left_as_it_was(frozen: bool) -> None:
    module = _transformer().train().requires_grad_(not frozen)
    module.encoder.eval()  # parts may stand otherwise than the rest
    weight = module.heads.head.weight
    weight.grad = kept = torch.ones_like(weight)
    module.encoder.layers[1].register_forward_hook(lambda *_: None)
    before = _state(module)
    for target in (3, _raise):
        explainer = _explainer(module, target)
        if callable(target):
            with pytest.raises(ArithmeticError, match="no such number"):
                explainer.explain(_images(1))
        else:
            explainer.explain(_images(1))
        assert _state(module) == before
        gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
        assert len(gradients) == 1
        assert gradients[0] is kept
        assert kept.eq(1).all()
        assert torch.is_grad_enabled()
