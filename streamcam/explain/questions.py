"""Questions to a network that has been run on a batch, and their answers for each frame."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from streamcam.explain.assembly import Assembler, BatchResult
from streamcam.explain.batch import BatchRun, MapMaker
from streamcam.explain.compatibility import check_explains_classes, check_method, check_settings
from streamcam.explain.concepts import Concepts
from streamcam.explain.hooks import HookedNetwork
from streamcam.explain.methods import METHODS, parse_method
from streamcam.explain.objectives import Objective, objectives_of
from streamcam.explain.ranking import find_objects, rank_over_time
from streamcam.explain.targets import ObjectsFound, Target, check_targets
from streamcam.explanations import Explanation
from streamcam.frames import FloatArray, Frame, Region
from streamcam.models import Model

if TYPE_CHECKING:
    from streamcam.temporal import Tracker


@dataclasses.dataclass(frozen=True, slots=True)
class MapRequest:
    """One of several maps of a frame."""

    method: str
    """A name in `METHODS`, with options."""
    layers: tuple[str, ...]
    """Dotted names of layers."""
    targets: tuple[Target, ...]
    """Its classes or objects."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Question:
    """Which maps to make of one run of a network."""

    map_maker: MapMaker | None
    """Makes them, of layers that the run has kept; None for the method and layers of the run itself."""
    targets: tuple[Target, ...]
    """Classes or objects that they explain."""
    assembler: Assembler
    """Puts them together with predictions."""

    def about(self, targets: tuple[Target, ...]) -> Question:
        """Return the same question about other targets; concepts are there whatever class is explained."""
        if self.assembler.concepts is not None:
            return self
        return Question(self.map_maker, targets, dataclasses.replace(self.assembler, targets=targets))

    def about_concepts(self, concepts: Concepts, run: MapMaker) -> Question:
        """Return the question what there is of each concept of a video.

        Args:
            concepts: Those of the video.
            run: Runs the network.
        """
        targets = tuple(Target(concept=place) for place in range(concepts.count))
        return Question(
            dataclasses.replace(run, concepts=concepts),
            targets,
            dataclasses.replace(self.assembler, targets=targets, concepts=concepts),
        )

    def put_to(self, network: HookedNetwork) -> Question:
        """Return the same question to a network with the same layers and other classes."""
        maker, model = self.map_maker, network.model
        return Question(
            None if maker is None else dataclasses.replace(maker, network=network),
            self.targets,
            dataclasses.replace(self.assembler, labels=model.labels, are_values=model.answers_values),
        )


def ask(request: MapRequest, model: Model, run: MapMaker, assembler: Assembler) -> Question:
    """Check a map that is asked for beside others, and prepare to make it.

    Args:
        request: The map.
        model: The model that is explained.
        run: Runs the network, and keeps the map's layers.
        assembler: Assembles the explanations of the run's own method.

    Raises:
        InvalidArgumentError: if the method does not go with the model or the targets.
    """
    name, options = parse_method(request.method)
    check_settings(name, signed=assembler.signed, fit=None, top_k=0, batch_size=1)
    check_targets(request.targets, assembler.signed)
    check_method(name, model, request.targets)
    check_explains_classes(name, "a comparison of classes")
    kept = [layer.name for layer in run.network.layers]
    indices = tuple(kept.index(layer) for layer in request.layers)
    layer = "+".join(request.layers)
    return Question(
        dataclasses.replace(run, method=METHODS[name], options=options, layers=indices),
        request.targets,
        dataclasses.replace(
            assembler,
            targets=request.targets,
            method=name,
            target_layer=layer,
            knows_opposites=METHODS[name].signed,
        ),
    )


def rank_batch(
    frames: Sequence[Frame],
    run: BatchRun,
    region: Region,
    model: Model,
    targets: Sequence[Target],
    top_k: int,
    tracker: Tracker | None,
) -> RankedBatch:
    """Rank the classes and number the objects of frames that the network has been run on.

    Args:
        frames: N frames in order.
        run: The run.
        region: The part of the frames that the network saw.
        model: The model.
        targets: What is explained.
        top_k: Number of predictions that are listed.
        tracker: Knows the frames before; None to rank each frame by itself.
    """
    # From here on the CPU does all but gradients and maps: looking up a few probabilities on a GPU would wait
    # for it again and again.
    known = run.probabilities
    probabilities = (model.probabilities(run.scores) if known is None else known).cpu()
    values = run.scores.detach().cpu().numpy() if model.shows_scores else None
    ranking = ranked = probabilities.argsort(dim=1, descending=True, stable=True)
    if tracker is not None:
        followed = rank_over_time(frames, probabilities.numpy(), values, model, targets, top_k, tracker)
        ranked = torch.from_numpy(followed)
    return RankedBatch(
        frames=frames,
        run=run,
        region=region,
        probabilities=probabilities,
        values=values,
        best=ranking[:, :top_k],
        ranking=ranked,
        found=find_objects(frames, run.instances, model, region, tracker),
    )


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class RankedBatch:
    """N frames that the network has been run on, with its predictions ranked."""

    frames: Sequence[Frame]
    run: BatchRun
    region: Region
    """The part of the frames that the network saw."""
    probabilities: torch.Tensor
    """float32 (N, classes), on the processor."""
    values: FloatArray | None
    """As in `BatchResult`."""
    best: torch.Tensor
    """The most probable classes of each frame alone, best first, int64 (N, those that are listed)."""
    ranking: torch.Tensor
    """Classes of each frame as they are explained, best first, int64 (N, as many as any question needs)."""
    found: ObjectsFound | None
    """The objects of each frame; None if the network finds none."""
    objectives: dict[Target, list[Objective]] = dataclasses.field(default_factory=dict)
    """Those that questions have asked for so far: what is asked twice is differentiated once."""

    def answer(self, question: Question) -> list[Explanation]:
        """Return one explanation for each frame, in order."""
        aims = [(target, objective) for target in question.targets for objective in self._objectives(target)]
        objectives = [objective for _, objective in aims]
        result = BatchResult(
            maps=self.run.maps(objectives, question.map_maker),
            targets=[target for target, _ in aims],
            objectives=objectives,
            best=self.best.tolist(),
            probabilities=self.probabilities.numpy(),
            values=self.values,
            found=self.found,
        )
        return question.assembler.assemble(self.frames, result, self.region)

    def answer_all(self, questions: Sequence[Question]) -> list[Explanation]:
        """Return the answers to the first question for each frame, those to the others beside them."""
        first, *others = [self.answer(question) for question in questions]
        if not others:
            return first
        return [
            dataclasses.replace(explanation, others=tuple(rest))
            for explanation, *rest in zip(first, *others, strict=True)
        ]

    def _objectives(self, target: Target) -> list[Objective]:
        if target not in self.objectives:
            self.objectives[target] = objectives_of(target, self.ranking, self.found)
        return self.objectives[target]
