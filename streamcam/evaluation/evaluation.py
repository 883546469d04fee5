"""The evaluation of methods: how faithful each is to what a network does on a video."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from streamcam.errors import InvalidArgumentError
from streamcam.evaluation.advice import advise, note_equal
from streamcam.evaluation.jury import EvaluationProgress, Jury, Subject
from streamcam.evaluation.metrics import METRICS, asks_again
from streamcam.evaluation.results import EvaluationResult
from streamcam.evaluation.settings import EvaluationSettings, check_source
from streamcam.explain import METHODS, Explainer
from streamcam.explain.changed_inputs import ChangedInputs
from streamcam.explain.finite_answers import check_finite_answers
from streamcam.explanations import StabilizedFrame
from streamcam.localization.grid import grid_shape
from streamcam.localization.regions import RegionOfInterest, read_region
from streamcam.models.kinds import check_takes_images
from streamcam.sources import Location, Source, open_source
from streamcam.temporal.sampling import SampledFrame, sample_frames


def evaluate(
    source: Location | Source,
    explainer: Explainer,
    settings: EvaluationSettings | None = None,
    *,
    on_progress: Callable[[EvaluationProgress], None] = lambda _progress: None,
) -> EvaluationResult:
    """Find out how faithful methods are to what a network does on a video.

    Frames are taken evenly from the shots of the video. Each method explains the class of each frame, and the
    network is asked about images that were changed by the map; see `METRICS`.

    Args:
        source: The video or image.
        explainer: Its network has probabilities and takes single images; what it explains, on which layer, in
            which precision, holds for every method.
        settings: Methods, metrics, and how many frames are looked at; the defaults if None.
        on_progress: Called after every step.

    Raises:
        StreamcamError: one of its children, if the input cannot be read, a metric or method does not exist or
            cannot be had here, or the network answers NaN.
    """
    settings = settings or EvaluationSettings()
    settings.check()
    check_network(explainer)
    if not isinstance(source, Source):
        source = open_source(source, settings.source)
    with source:
        check_source(source, settings)
        region = None if settings.roi is None else read_region(settings.roi, source.info)
        samples, shots = sample_frames(source, settings.frames, seed=settings.seed, keeps_previous=True)
    name = source.info.name
    network = ChangedInputs(explainer, settings.methods)
    metrics, left_out, notes = _choose_metrics(settings, network, samples)
    subjects = _subjects(samples, explainer, region, settings, name)
    jury = Jury(network, metrics, left_out, settings.seed, on_progress)
    judged = jury.judge(subjects)
    methods = tuple(jury.conclude(method, judged) for method in network.methods)
    agreement = jury.agreement()
    notes += note_equal([method.name for method in methods], agreement)
    best, advice = advise(methods, judged, metrics, settings.seed)
    return EvaluationResult(
        input=name,
        model=explainer.model.name,
        weights=explainer.model.weights,
        precision=explainer.precision,
        metrics=metrics,
        methods=methods,
        agreement=agreement,
        frames=len({subject.sample.frame.index for subject in subjects}),
        shots=len(shots),
        seed=settings.seed,
        roi=settings.roi,
        judged=tuple(judged),
        notes=tuple(notes),
        best=best,
        advice=advice,
    )


def check_network(explainer: Explainer) -> None:
    """Refuse networks without probabilities of classes in single images, and targets that are no classes.

    Raises:
        InvalidArgumentError: if it is one of these.
    """
    model = explainer.model
    check_takes_images(model.kind, model.name, "an evaluation")
    if model.answers_values or model.images_at_once > 1:
        kind = "numbers" if model.answers_values else "several images at once"
        raise InvalidArgumentError(
            f"{model.name} works on {kind}; an evaluation compares probabilities of single images"
        )
    if any(target.objects or target.function or target.against is not None for target in explainer.targets):
        raise InvalidArgumentError(
            "an evaluation follows the probability of a class; leave out `against`, objects and functions"
        )


def _choose_metrics(
    settings: EvaluationSettings, network: ChangedInputs, samples: Sequence[SampledFrame]
) -> tuple[tuple[str, ...], Mapping[str, frozenset[str]], list[str]]:
    """Choose the metrics, and those that are left out for single methods; with notes why.

    Raises:
        InvalidArgumentError: if one was asked for that this network cannot have.
    """
    notes: list[str] = []
    asked = frozenset(settings.metrics)
    chosen = []
    has_motion = any(sample.previous is not None for sample in samples)
    for name, row in METRICS.items():
        if asked and name not in asked:
            continue
        if row.needs_weights and not network.can_randomize:
            reason = f"{network.model.name} has no weights that can be replaced"
            if asked:
                raise InvalidArgumentError(f"metric {name!r} cannot be had: {reason}")
            notes.append(f"{name} is left out: {reason}")
        elif (row.needs_region and settings.roi is None) or (row.needs_motion and not has_motion):
            continue
        else:
            chosen.append(name)
    again = frozenset(name for name in chosen if asks_again(name)) if not asked else frozenset()
    left_out = {
        method.name: again if METHODS[method.row].passes == "many" else frozenset()
        for method in network.methods
    }
    slow = [name for name, metrics in left_out.items() if metrics]
    if slow:
        names = ", ".join(name for name in METRICS if name in again)
        notes.append(
            f"{names} need further maps and are left out for methods of many passes ({', '.join(slow)}); "
            "name them in `metrics` to have them"
        )
    return tuple(chosen), left_out, notes


def _subjects(
    samples: Sequence[SampledFrame],
    explainer: Explainer,
    region: RegionOfInterest | None,
    settings: EvaluationSettings,
    name: str,
) -> list[Subject]:
    """Find the classes of every frame, and the region.

    Raises:
        ModelError: if the network answers NaN.
        InvalidArgumentError: if no frame has a class, or none has the region.
    """
    subjects = []
    has_region = False
    for sample in samples:
        (explanation,) = explainer.explain_frames([sample.frame])
        check_finite_answers(explanation, explainer.model.name)
        mask: NDArray[np.bool_] | None = None
        if region is not None:
            stabilized = StabilizedFrame(
                sample.frame,
                explanation.heatmaps,
                explanation.targets,
                (),
                explanation,
                explanation.instances,
            )
            mask = region.mask(stabilized, grid_shape((sample.frame.image.width, sample.frame.image.height)))
            has_region = has_region or mask is not None
        for target in explanation.targets:
            subjects.append(Subject(sample, target, mask))
    if not subjects:
        raise InvalidArgumentError(f"no frame of {name!r} has a class to explain")
    if region is not None and not has_region:
        raise InvalidArgumentError(f"no frame that was chosen of {name!r} has the region {settings.roi}")
    return subjects
