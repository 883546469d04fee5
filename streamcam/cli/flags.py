"""Command-line flags for the parameters that errors and notes name.

The library speaks of parameters, in backticks: `` `start_s` ``, `` `backend="auto"` ``. On the
command line they are shown as flags: ``--start``, ``--backend auto``.
"""

from __future__ import annotations

import re

FLAGS: dict[str, str] = {
    "activation": "--activation",
    "against": "--against",
    "alpha": "--alpha",
    "annotations": "--annotations",
    "alpha_channel": "--alpha-channel",
    "at": "--at",
    "backend": "--backend",
    "batch_size": "--batch",
    "boxes": "--boxes",
    "channel": "--channel",
    "channels": "--channel",
    "calibration": "--calibrate",
    "chroma": "--chroma",
    "class": "--class",
    "classes": "--classes",
    "clip_fps": "--clip-fps",
    "clip_stride": "--clip-stride",
    "cluster": "--ray",
    "codec": "--codec",
    "components": "--box-components",
    "confidence": "--confidence",
    "container": "--container",
    "crf": "--crf",
    "depth": "--depth",
    "device": "--device",
    "display": "--display",
    "duration_s": "--duration",
    "end_s": "--end",
    "every": "--every",
    "audit": "--audit",
    "evaluation": "--evaluation",
    "evidence": "--evidence",
    "fail_under": "--fail-under",
    "fit": "--fit",
    "format": "--format",
    "frames": "--frames",
    "scores": "--scores",
    "give_up_s": "--give-up",
    "hwaccel": "--hwaccel",
    "host": "--host",
    "ice_servers": "--ice-server",
    "idle_s": "--idle",
    "input_size": "--input-size",
    "iou": "--iou",
    "keep_interlaced": "--keep-interlaced",
    "jobs": "--jobs",
    "key": "--key",
    "label_hold_s": "--label-hold",
    "label_size": "--label-size",
    "layers": "--layers",
    "labels": "--labels",
    "logits_key": "--logits-key",
    "loop": "--loop",
    "masks": "--masks",
    "max_detections": "--max-detections",
    "mean": "--mean",
    "method": "--method",
    "methods": "--methods",
    "metrics": "--metrics",
    "metrics_port": "--metrics-port",
    "mirror": "--mirror",
    "mode": "--smoothing-mode",
    "modes": "--smoothing-modes",
    "model": "--model",
    "models": "--models",
    "num_classes": "--num-classes",
    "overwrite": "--overwrite",
    "pictures": "--pictures",
    "plot": "--plot",
    "points": "--points",
    "port": "--port",
    "part_s": "--part-seconds",
    "precision": "--precision",
    "preset": "--preset",
    "prompts": "--prompt",
    "publish": "--publish",
    "range": "--range",
    "rate": "--fps",
    "record": "--record",
    "reference": "--reference",
    "resume": "--resume",
    "roi": "--roi",
    "seed": "--seed",
    "shapes": "--shape",
    "signed": "--signed",
    "size": "--size",
    "steps": "--steps",
    "slide_s": "--slide-seconds",
    "smoothing_s": "--smoothing",
    "start_s": "--start",
    "statistics": "--stats",
    "streams": "--streams",
    "std": "--std",
    "target_layer": "--target-layer",
    "trust_pickle": "--trust-pickle",
    "threshold": "--box-threshold",
    "tls": "--tls",
    "tls_cert": "--tls-cert",
    "tls_key": "--tls-key",
    "transport": "--transport",
    "top_k": "--top-k",
    "video_stream": "--video-stream",
    "virtual_camera": "--virtual-camera",
    "templates": "--template",
    "weights": "--weights",
    "weights_key": "--weights-key",
}
"""Parameter → flag."""

_PARAMETER = re.compile(r"`(\w+)(?:=([^`]*))?`")


def name_flags(message: str) -> str:
    """Replace every parameter that a message names in backticks by its flag.

    A parameter that has no flag keeps its name, without the backticks.
    """
    return _PARAMETER.sub(_flag, message)


def _flag(match: re.Match[str]) -> str:
    flag, value = FLAGS.get(match[1], match[1]), match[2]
    if value is None or value == "True":
        return flag
    return f"{flag} {value.strip(chr(34) + chr(39))}"
