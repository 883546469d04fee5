"""Evidence as a pandas DataFrame and as an xarray Dataset, where these are installed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from streamcam.errors import InvalidArgumentError

if TYPE_CHECKING:
    import pandas
    import xarray

    from streamcam.evidence.reader import Evidence


def as_data_frame(evidence: Evidence) -> pandas.DataFrame:
    """Return a table with a row for each frame; see `Evidence.to_pandas`."""
    frame_type: Any = _imported("pandas").DataFrame
    explanations = list(evidence.explanations())
    first = [next(iter(one.targets), None) for one in explanations]
    best = [next(iter(one.smoothed_predictions or one.predictions), None) for one in explanations]
    heatmaps = evidence.heatmaps
    columns = {
        "time_s": evidence.times_s,
        "is_explained": evidence.is_explained,
        "starts_shot": evidence.starts_shot,
        "label": [None if one is None else one.label for one in best],
        "probability": [math.nan if one is None else one.probability for one in best],
        "target": [None if one is None else one.label for one in first],
        "peak": heatmaps.max(axis=(1, 2), initial=-math.inf, where=~np.isnan(heatmaps)),
        "roi_inside": evidence.roi_shares[:, 0],
        "roi_area": evidence.roi_shares[:, 1],
    }
    return frame_type(columns, index=[one.frame_index for one in explanations])


def as_dataset(evidence: Evidence) -> xarray.Dataset:
    """Return heatmaps and probabilities with their coordinates; see `Evidence.to_xarray`."""
    dataset_type: Any = _imported("xarray").Dataset
    dataset: xarray.Dataset = dataset_type(
        {
            "heatmaps": (("time", "y", "x"), evidence.heatmaps),
            "probabilities": (("time", "class"), evidence.probabilities),
        },
        {"time": evidence.times_s, "class": list(evidence.labels)},
        {"input": str(evidence.header.get("input", {}).get("name")), "streamcam": evidence.version},
    )
    return dataset


def _imported(module: str) -> Any:
    try:
        return __import__(module)
    except ImportError as error:
        raise InvalidArgumentError(f"{module} is not installed; pip install {module}") from error
