"""Measure the table and the picture at the top of docs/benchmarks.md: how fast renders are, against peers.

    python benchmarks/summary.py ../shared/media/car-detection.mp4        # measures, then writes all of it
    python benchmarks/summary.py --draw                                   # writes it from the history again
    python benchmarks/summary.py VIDEO --frames 12 --repeats 1 --out DIR  # a short trial, beside docs/

For each network every candidate of benchmarks/throughput.py renders the video in turn, several times: a round
is repeated as long as another one fits into --minutes. --every auto is measured on VIDEO, where much changes,
and on the guide's sample, where little does; the peers take the same time for any frame. The figures go into
docs/benchmarks-history.json, from which table and picture are drawn.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from candidates import PEERS, STREAMCAM, scaled_video
from compare import HISTORY, keep, read_history
from figures import ROOT, Figure, Measurement, commit, machine, write_figures
from throughput import STAGES, cores, measure

CALM = ROOT / "media" / "sample.mp4"
CALM_FRAMES = 240
HEIGHT = 432
PAGE = ROOT / "docs" / "benchmarks.md"
PICTURE = "benchmarks.svg"
BEGIN, END = "<!-- written by benchmarks/summary.py -->", "<!-- end of what benchmarks/summary.py writes -->"


@dataclasses.dataclass(frozen=True, slots=True)
class Network:
    """A network that is measured."""

    name: str
    title: str
    frames: int
    """How many frames streamcam renders: some seconds' worth."""
    peer_frames: int
    """How many frames the peers' loops explain, which are one like the other."""
    quantized: bool
    """Whether int8 is measured: it is for large networks."""


NETWORKS = (
    Network("efficientnet_lite0", "EfficientNet-Lite0", 240, 60, False),
    Network("resnet50", "ResNet-50", 120, 30, True),
    Network("vgg16", "VGG-16", 40, 10, True),
    Network("vit_b_16", "ViT-B/16", 40, 10, True),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One way to render."""

    candidate: str
    """As in benchmarks/candidates.py."""
    calm: bool
    title: str
    color: str

    @property
    def key(self) -> str:
        """Its name in figures."""
        return f"{self.candidate}{' calm' if self.calm else ''}"

    @property
    def stages(self) -> str:
        """The name of its stages in figures."""
        return "stages" if self.candidate == "streamcam" else f"stages {self.key}"


ROWS = (
    Row("pytorch-grad-cam", False, "loop with pytorch-grad-cam", "#9e9e9e"),
    Row("torch-cam", False, "loop with torch-cam", "#616161"),
    Row("streamcam", False, "streamcam, every frame", "#ff7043"),
    Row("int8", False, "streamcam, every frame, int8", "#d84315"),
    Row("every-auto", False, "streamcam --every auto, much changes", "#64b5f6"),
    Row("every-auto", True, "streamcam --every auto, little changes", "#1976d2"),
    Row("int8-every-auto", True, "streamcam --every auto, little changes, int8", "#0d47a1"),
)

BOUNDED = (ROWS[2], ROWS[3])
"""The rows whose stages are measured alone: every frame, at first as usual, then in int8."""


# --- Measuring ---------------------------------------------------------------------------------------------


def measure_all(settings: argparse.Namespace) -> dict[str, list[float]]:
    """Return the figures of all networks, each a list of its rounds."""
    figures: dict[str, list[float]] = {}
    failed: set[str] = set()
    with tempfile.TemporaryDirectory() as folder:
        most = max(network.frames for network in NETWORKS)
        busy = scaled_video(settings.video, HEIGHT, most, Path(folder))
        calm = scaled_video(CALM, HEIGHT, CALM_FRAMES, Path(folder))
        began_s = longest_s = 0.0
        for count in range(settings.repeats):
            round_s = time.monotonic()
            began_s = began_s or round_s
            if count and round_s - began_s + longest_s > 60 * settings.minutes:
                print(f"no time for another round after {count}", flush=True)
                break
            for network in NETWORKS:
                if settings.model and network.name not in settings.model:
                    continue
                if not count:
                    for row in BOUNDED[: 1 + network.quantized]:
                        add(figures, f"{network.name} {row.stages}", stages_of(network, busy, row, settings))
                for row in ROWS:
                    name = f"{network.name} {row.key}"
                    if name in failed or (row.candidate.startswith("int8") and not network.quantized):
                        continue
                    given = argparse.Namespace(
                        **{**vars(settings), "frames": frames_of(network, row, settings)}
                    )
                    try:
                        taken = measure(row.candidate, calm if row.calm else busy, network.name, given)
                    except SystemExit as error:  # int8 that is refused is left out; the others go on
                        if not row.candidate.startswith("int8"):
                            raise
                        failed.add(name)
                        print(f"left out: {error}", flush=True)
                        continue
                    add(figures, name, taken)
                    print(f"{count + 1}: {name}: {taken['fps']:.1f} fps", flush=True)
            given = argparse.Namespace(**{**vars(settings), "frames": settings.frames or most})
            add(figures, "transcode", measure("transcode", busy, NETWORKS[0].name, given))
            longest_s = max(longest_s, time.monotonic() - round_s)
    figures.update(ratios_of(figures))
    return figures


def frames_of(network: Network, row: Row, settings: argparse.Namespace) -> int:
    """Return how many frames a candidate renders."""
    if settings.frames:
        return int(settings.frames)
    if row.calm:
        return CALM_FRAMES
    return network.peer_frames if row.candidate in PEERS else network.frames


def stages_of(network: Network, video: Path, row: Row, settings: argparse.Namespace) -> dict[str, float]:
    """Measure the stages alone, and the roofline beside them."""
    given = argparse.Namespace(**{**vars(settings), "frames": 0})
    given.precision = STREAMCAM[row.candidate].get("precision", settings.precision)
    taken = measure("stages", video, network.name, given)
    taken["fps"] = 1000 * cores() / sum(taken[stage] for stage in STAGES)
    return taken


def add(figures: dict[str, list[float]], name: str, taken: dict[str, float]) -> None:
    """Add what one run took."""
    for key, value in taken.items():
        figures.setdefault(f"{name} {key}", []).append(value)


def ratios_of(figures: dict[str, list[float]]) -> dict[str, list[float]]:
    """Return how many times as fast as each peer a candidate was, of each round."""
    ratios = {}
    for name, values in figures.items():
        network, _, rest = name.partition(" ")
        if not rest.endswith(" fps") or rest.startswith(("stages", *PEERS[:1])) or network == "transcode":
            continue
        for peer in PEERS:
            others = figures.get(f"{network} {peer} fps", [])
            if rest != f"{peer} fps" and len(others) == len(values):
                pairs = zip(values, others, strict=True)
                ratios[f"{network} {rest.removesuffix(' fps')} by {peer}"] = [a / b for a, b in pairs]
    return ratios


# --- Writing -----------------------------------------------------------------------------------------------


WAYS = """\
![How many times as fast as the usual loop]({picture})

Whole renders of {height} lines against the usual loop (OpenCV reads, a library explains every frame,
OpenCV writes), in turn on the same machine: median (least to most) of {rounds} rounds. {machine}, commit
{commit}:

    {command}

| network | | frames a second | times pytorch-grad-cam | times torch-cam |
| --- | --- | --- | --- | --- |
{ways}

A plain transcode of the same video: {transcode} frames a second. `--every auto` is measured on the same
video, in which much changes, and on the guide's sample, in which little does; the peers take the same
time for any frame. They run in float32 on all cores, with channels last where that is faster. All
networks but EfficientNet-Lite0 are untrained; int8, which is for large networks, is taken unchecked for
those, for its time alone.

What bounds it: all cores divided by what the stages take alone, and beside it the roofline, the speed of
the fastest of some matrix products and 3x3 convolutions in the same precision, and of copying memory. The
share is that of the network's forward pass, counted by torch, in the time that explaining takes.

| network | frames a second | bound | share of the bound | explaining, CPU ms a frame | GFLOP a frame \
| GFLOP/s of the roofline | GB/s of memory | share of the roofline |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
{bounds}"""


def tables_of(measured: Measurement) -> str:
    """Return the part of the page that is written: what was measured, and how."""
    figures = measured.figures
    ways, bounds = [], []
    for network in NETWORKS:
        for row in ROWS:
            speed = figures.get(f"{network.name} {row.key} fps")
            if speed is not None:
                times = [figures.get(f"{network.name} {row.key} by {peer}", "") for peer in PEERS]
                ways.append(f"| {network.title} | {row.title} | {speed} | {times[0]} | {times[1]} |")
        for row in BOUNDED:
            speed, bound = (figures.get(f"{network.name} {key} fps") for key in (row.key, row.stages))
            if speed is not None and bound is not None:
                explain, gflop, peak, memory, share = (
                    figures[f"{network.name} {row.stages} {key}"].median
                    for key in ("explain", "gflop", "peak", "memory", "share")
                )
                title = network.title if row.stages == "stages" else f"{network.title}, {row.candidate}"
                bounds.append(
                    f"| {title} | {speed.median:.1f} | {bound.median:.1f} "
                    f"| {speed.median / bound.median:.2f} | {explain:.1f} | {gflop:.2f} | {peak:.0f} "
                    f"| {memory:.1f} | {share:.0f} % |"
                )
    return WAYS.format(
        picture=PICTURE,
        height=HEIGHT,
        rounds=max(each.runs for each in figures.values()),
        machine=measured.machine,
        commit=measured.commit,
        command=measured.command,
        transcode=figures["transcode fps"],
        ways="\n".join(ways),
        bounds="\n".join(bounds),
    )


def draw(measured: Measurement, path: Path) -> None:
    """Draw how many times as fast as the loop with pytorch-grad-cam everything is."""
    import matplotlib as mpl
    from matplotlib.figure import Figure as Drawing

    bars = list(bars_of(measured))
    mpl.rcParams["svg.hashsalt"] = "benchmarks"  # so that equal figures make equal files
    drawing = Drawing(figsize=(8.5, 1.2 + 0.24 * len(bars)), layout="constrained")
    axes = drawing.subplots()
    place, ticks, seen = 0.0, [], set()
    for network in NETWORKS:
        own = [(row, figure) for each, row, figure in bars if each is network]
        if not own:
            continue
        ticks.append((place + (len(own) - 1) / 2, network.title))
        for row, figure in own:
            reach = [[figure.median - figure.least], [figure.most - figure.median]]
            label = row.title if row not in seen else None
            axes.barh(place, figure.median, 0.9, xerr=reach, color=row.color, label=label, ecolor="#424242")
            axes.text(figure.most, place, f"  {figure.median:.1f}", va="center", fontsize=8)
            seen.add(row)
            place += 1
        place += 0.8
    axes.set_yticks([at for at, _ in ticks], [title for _, title in ticks])
    axes.invert_yaxis()
    axes.margins(x=0.1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("times as fast as the loop with pytorch-grad-cam")
    handles, labels = axes.get_legend_handles_labels()
    ordered = sorted(
        zip(handles, labels, strict=True), key=lambda pair: [row.title for row in ROWS].index(pair[1])
    )
    axes.legend(
        *zip(*ordered, strict=True), loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=2, frameon=False
    )
    drawing.savefig(path, metadata={"Date": None})


def bars_of(measured: Measurement) -> Iterator[tuple[Network, Row, Figure]]:
    """Yield the bars of the picture."""
    for network in NETWORKS:
        for row in ROWS:
            figure = measured.figures.get(f"{network.name} {row.key} by {PEERS[0]}")
            if figure is not None:
                yield network, row, figure


def write(measured: Measurement, page: Path) -> None:
    """Write the part of the page, and the picture beside it."""
    text = page.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"{page} lacks {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n\n{tables_of(measured)}\n\n{END}{after}", "utf-8")
    draw(measured, page.with_name(PICTURE))


def latest(history: Path) -> Measurement:
    """Return the last summary in the history.

    Raises:
        SystemExit: if there is none.
    """
    own = [each for each in read_history(history) if each.command.startswith("python benchmarks/summary.py")]
    if not own:
        raise SystemExit(f"{history} has no figures of benchmarks/summary.py")
    return own[-1]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("video", type=Path, nargs="?", help="a video in which much changes")
    parser.add_argument("--model", action="append", choices=[network.name for network in NETWORKS])
    parser.add_argument("--repeats", type=int, default=3, help="rounds at most")
    parser.add_argument("--minutes", type=float, default=12, help="no round begins that would last longer")
    parser.add_argument("--frames", type=int, help="frames for every candidate, for trials")
    parser.add_argument("--draw", action="store_true", help="measure nothing, write what the history has")
    parser.add_argument("--out", type=Path, help="write figures, page and picture into this folder instead")
    # What the candidates take besides, as in benchmarks/throughput.py.
    parser.set_defaults(device="cpu", backend="auto", precision="auto", hwaccel="none", codec=None)
    settings = parser.parse_args(arguments)
    if settings.draw:
        write(latest(HISTORY), PAGE)
        return
    if settings.video is None:
        parser.error("name a VIDEO, or --draw")
    if settings.out is None and commit().endswith("+"):
        parser.error(
            "files differ from the commit that would be measured: commit first, or give --out FOLDER"
        )
    print(f"Machine: {machine()}", flush=True)
    figures = measure_all(settings)
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "summary.json"
        write_figures(written, figures)
        if settings.out is None:
            keep(written, HISTORY)
            write(latest(HISTORY), PAGE)
            return
        settings.out.mkdir(parents=True, exist_ok=True)
        page = settings.out / "benchmarks.md"
        page.write_text(PAGE.read_text("utf-8"), "utf-8")
        write(Measurement.from_json(json.loads(written.read_text("utf-8"))), page)


if __name__ == "__main__":
    main()
