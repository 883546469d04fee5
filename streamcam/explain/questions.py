"""What is asked of a network that has been run on a batch, and the answers for each frame."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch

from streamcam.explain.batch import Assembler, BatchResult, BatchRun, MapMaker
from streamcam.explain.targets import Objective, ObjectsFound, Target
from streamcam.explanations import Explanation
from streamcam.frames import Frame, Region


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Question:
    """Which maps to make of one run of a network."""

    map_maker: MapMaker
    """Makes them, of layers that the run has kept."""
    targets: tuple[Target, ...]
    """What they explain."""
    assembler: Assembler
    """Puts them together with predictions."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class RankedBatch:
    """N frames that the network has been run on, with its predictions ranked."""

    frames: Sequence[Frame]
    run: BatchRun
    region: Region
    """The part of the frames that the network saw."""
    probabilities: torch.Tensor
    """float32 (N, classes), on the processor."""
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
            self.objectives[target] = target.objectives(self.ranking, self.found)
        return self.objectives[target]
