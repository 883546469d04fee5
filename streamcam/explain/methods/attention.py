"""Methods that look into the attention of vision transformers."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

from streamcam.errors import ModelError
from streamcam.explain.hooks import HookedNetwork, with_float_scores
from streamcam.explain.objectives import Objective
from streamcam.models import Model, Output
from streamcam.models.families.hugging_face.prompts import ImageTower
from streamcam.models.layouts import MAX_PREFIX_TOKENS

_SOFTMAXES = frozenset({F.softmax, torch.softmax, torch.Tensor.softmax})


def legrad(
    inputs: torch.Tensor,
    network: HookedNetwork,
    objective: Objective,
    activations: torch.Tensor,
    *,
    blocks: int = 0,
) -> torch.Tensor:
    r"""LeGrad: how more attention to a place would raise the score, in every block of a transformer.

    Bousselham et al. 2024, "LeGrad: An Explainability Method for Vision Transformers via Feature Formation
    Sensitivity", https://arxiv.org/abs/2404.03214: with :math:`A^l` the attention probabilities of block l,
    (heads, queries, places), and :math:`s^l` the objective of what the classifier makes of the mean of the
    block's output tokens,

    .. math:: M = \frac{1}{L} \sum_l \frac{1}{H Q} \sum_{hq} ReLU(\frac{\partial s^l}{\partial A^l_{hq}})

    where class tokens and registers are left out among the places. The target layer only tells the grid.

    Args:
        inputs: float32 (N, C, H, W).
        network: A transformer in which every token attends to every other, such as torchvision's vit_* and
            timm's vit, deit, eva and beit, and the CLIP and SigLIP of open_clip and transformers.
        objective: What to explain.
        activations: Of any layer with the grid (h, w) of the patches.
        blocks: How many of the last blocks to look at; 0 for all.

    Returns:
        float32 (N, h, w).

    Raises:
        ModelError: if the network is not such a transformer.
    """
    transformer = _find_transformer(network.model)
    rows, columns = activations.shape[2:]
    watch = _BlockWatch(transformer, objective)
    with watch, _watched(transformer.blocks[-blocks:], watch), torch.no_grad():
        network.forward(inputs)
    if not watch.relevances:
        raise _no_transformer(network.model)
    relevance = torch.stack(watch.relevances).mean(dim=0)
    prefix = relevance.shape[1] - rows * columns
    if not 0 <= prefix <= MAX_PREFIX_TOKENS:
        raise ModelError(
            f"method 'legrad' cannot lay {relevance.shape[1]} tokens on the target layer's grid of "
            f"{rows}x{columns}; leave `target_layer` at auto"
        )
    return relevance[:, prefix:].reshape(-1, rows, columns)


@dataclasses.dataclass(frozen=True, slots=True)
class _Transformer:
    """The parts of a vision transformer that LeGrad uses."""

    model: Model
    blocks: tuple[nn.Module, ...]
    head: Callable[[torch.Tensor], torch.Tensor]
    """Maps the tokens of the last block, (N, tokens, D), to the network's answer."""

    def classify(self, tokens: torch.Tensor) -> Output:
        """Classify a block's output, (N, tokens, D), by the mean of its tokens."""
        mean = tokens.mean(dim=1, keepdim=True).expand_as(tokens)
        output = with_float_scores(self.model.read(self.head(mean)))
        if output.scores.shape[1] != len(self.model.labels):
            raise ModelError(
                f"method 'legrad' needs the head of {self.model.name} to be that of its transformer, "
                f"which gives {output.scores.shape[1]} scores for "
                f"{len(self.model.labels)} classes; use gradcam"
            )
        return output


def _find_transformer(model: Model) -> _Transformer:
    """Find the transformer in a network: it may be wrapped.

    Raises:
        ModelError: if there is none.
    """
    for part in model.module.modules():
        encoder: Any = getattr(part, "encoder", None)
        if hasattr(part, "heads") and hasattr(encoder, "layers") and hasattr(encoder, "ln"):  # torchvision
            return _Transformer(model, tuple(encoder.layers), _torchvision_head(part))
        blocks: Any = getattr(part, "blocks", None)
        is_list = isinstance(blocks, nn.Sequential | nn.ModuleList)
        if is_list and hasattr(part, "norm") and hasattr(part, "forward_head"):  # timm
            return _Transformer(model, tuple(blocks), _timm_head(part))
        blocks = getattr(getattr(part, "transformer", None), "resblocks", None)
        if blocks is not None and hasattr(part, "ln_post"):  # open_clip
            return _Transformer(model, tuple(blocks), _open_clip_head(part))
        blocks = getattr(encoder, "layers", None)
        if blocks is not None and isinstance(model.module, ImageTower):  # transformers' CLIP and SigLIP
            return _Transformer(model, tuple(blocks), _transformers_head(part, model.module))
    raise _no_transformer(model)


def _torchvision_head(part: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda tokens: part.heads(part.encoder.ln(tokens[:, 0]))


def _open_clip_head(part: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    def head(tokens: torch.Tensor) -> torch.Tensor:
        pooled, _ = part._pool(tokens)
        features: torch.Tensor = pooled if part.proj is None else pooled @ part.proj
        return features

    return head


def _transformers_head(part: Any, tower: ImageTower) -> Callable[[torch.Tensor], torch.Tensor]:
    def head(tokens: torch.Tensor) -> torch.Tensor:
        # SigLIP pools all tokens, CLIP has a class token.
        pools_all = hasattr(part, "head")
        normalized = part.post_layernorm(tokens if pools_all else tokens[:, 0])
        return tower.project(part.head(normalized) if pools_all else normalized)

    return head


def _timm_head(part: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda tokens: part.forward_head(part.norm(tokens))


def _no_transformer(model: Model) -> ModelError:
    return ModelError(
        "method 'legrad' needs a vision transformer in which every token attends to every other, as "
        f"torchvision's vit_* and timm's vit, deit, eva and beit do, and {model.name} is not one; "
        "use gradcam or layercam"
    )


class _BlockWatch(TorchFunctionMode):
    """Computes attention inside of blocks so that it can be differentiated by, while it is entered.

    All that is needed of a block is the gradient of its own score, which starts at the block's attention:
    it is taken when the block ends, and the graph is let go, so that there is never more than one block's.

    Attributes:
        relevances: One for each block that ended, float32 (N, tokens).
    """

    def __init__(self, transformer: _Transformer, objective: Objective) -> None:
        """Watch a transformer.

        Args:
            transformer: Its parts.
            objective: What is explained.
        """
        super().__init__()
        self.relevances: list[torch.Tensor] = []
        self._transformer = transformer
        self._objective = objective
        self._inside = False
        self._probabilities: list[torch.Tensor] = []

    def begin_block(self) -> None:
        """Note that a block starts."""
        self._inside = True

    def end_block(self, tokens: torch.Tensor) -> torch.Tensor:
        """Take the gradient of a block's score by its attention.

        Args:
            tokens: What the block put out, (N, tokens, D).

        Returns:
            The same, without a graph.
        """
        self._inside = False
        attended, self._probabilities = self._probabilities, []
        if not isinstance(tokens, torch.Tensor) or tokens.ndim != 3 or not attended:
            raise _no_transformer(self._transformer.model)
        count = tokens.shape[1]
        if any(
            probabilities.shape[:1] + probabilities.shape[2:] != (len(tokens), count, count)
            for probabilities in attended
        ):
            raise _no_transformer(self._transformer.model)
        score = self._objective(self._transformer.classify(tokens)).sum()
        gradients = torch.autograd.grad(score, attended, allow_unused=True, materialize_grads=True)
        torch.set_grad_enabled(False)
        self.relevances.append(
            torch.stack([g.float().relu().mean(dim=(1, 2)) for g in gradients]).mean(dim=0)
        )
        return tokens.detach()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if self._inside:
            if func is F.scaled_dot_product_attention:
                return self._scaled_dot_product(*args, **kwargs)
            if func is F.multi_head_attention_forward:
                return self._multi_head(*args, **kwargs)
            if func in _SOFTMAXES:
                output = func(*args, **kwargs)
                is_attention = output.ndim == 4 and output.shape[2] == output.shape[3]
                return self._keep(output) if is_attention else output
        return func(*args, **kwargs)

    def _scaled_dot_product(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attn_mask: torch.Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> torch.Tensor:
        """Attend with the softmax in sight; signature and result as in torch's function of this name."""
        if dropout_p or is_causal or enable_gqa:  # none of them in classifiers of images
            return F.scaled_dot_product_attention(
                query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
            )
        scores = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)
        if attn_mask is not None:
            is_kept = attn_mask.dtype == torch.bool
            scores = scores.masked_fill(~attn_mask, -torch.inf) if is_kept else scores + attn_mask
        return self._keep(scores.softmax(dim=-1)) @ value

    def _multi_head(self, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Attend as `torch.nn.MultiheadAttention` does where it is used plainly, else by its own code."""
        bound = _MULTI_HEAD.bind(*args, **kwargs)
        bound.apply_defaults()
        call = bound.arguments
        tokens, weight = call["query"], call["in_proj_weight"]
        unusual = ("bias_k", "bias_v", "key_padding_mask", "attn_mask", "static_k", "static_v")
        is_plain = (
            tokens is call["key"]
            and tokens is call["value"]
            and tokens.ndim == 3
            and weight is not None
            and not (call["need_weights"] or call["training"] or call["add_zero_attn"])
            and all(call[name] is None for name in unusual)
        )
        if not is_plain:
            output: tuple[torch.Tensor, torch.Tensor | None] = F.multi_head_attention_forward(*args, **kwargs)
            return output
        count, batch, width = tokens.shape  # tokens come first here, whatever the module's batch_first
        query, key, value = (
            projected.reshape(count, batch, call["num_heads"], -1).permute(1, 2, 0, 3)
            for projected in F.linear(tokens, weight, call["in_proj_bias"]).chunk(3, dim=-1)
        )
        mixed = self._scaled_dot_product(query, key, value).permute(2, 0, 1, 3).reshape(count, batch, width)
        return F.linear(mixed, call["out_proj_weight"], call["out_proj_bias"]), None

    def _keep(self, probabilities: torch.Tensor) -> torch.Tensor:
        """Note what the gradient is to be taken by, and start a graph there."""
        self._probabilities.append(probabilities.requires_grad_())
        torch.set_grad_enabled(True)  # until the block ends
        return probabilities


_MULTI_HEAD = inspect.signature(F.multi_head_attention_forward)


@contextlib.contextmanager
def _watched(blocks: Sequence[nn.Module], watch: _BlockWatch) -> Iterator[None]:
    """Notify a watch when blocks begin and end."""
    handles = [block.register_forward_pre_hook(lambda *_: watch.begin_block()) for block in blocks]
    handles += [
        block.register_forward_hook(lambda *arguments: watch.end_block(arguments[2])) for block in blocks
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
