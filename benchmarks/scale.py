"""Simulate renders of much video on many workers: how long they take, what they cost, and what limits them.

The scheduler is that of ``streamcam render --ray``: a worker renders whole files, and takes the next in order
when it is free; the file of a lost worker is rendered again by another one, three times at most. Only the
rate is to be measured (benchmarks/throughput.py); all else is an assumption, and an option. One seed gives
the same figures.

    python benchmarks/scale.py --fps 122.7 [--hours 1 100 100000] [--workers 1 10 1000] [--price 0.1]
"""

from __future__ import annotations

import argparse
import dataclasses
import heapq
import math
import random

ATTEMPTS = 3


@dataclasses.dataclass(frozen=True)
class Outcome:
    """One simulated render."""

    files: int
    wall_h: float
    worker_h: float
    """Hours that workers are held, from their start to the end of the whole render."""
    busy_h: float
    """Hours of these in which a file was rendered that came to its end."""
    longest_h: float
    """How long the longest file takes by itself."""
    lost: int
    """How many workers were lost."""
    given_up: int
    """How many files were given up."""


def simulate(lengths_h: list[float], workers: int, speed: float, start_h: float, loss_h: float) -> Outcome:
    """Render files on workers.

    Args:
        lengths_h: The length of every file, in order.
        workers: How many there are.
        speed: Hours of video that a worker renders in an hour.
        start_h: How long a worker takes to start and to load the network.
        loss_h: Mean time until a worker is lost; infinite for never.
    """
    chance = random.Random(1)
    free = [(start_h, number) for number in range(workers)]
    end_h = busy_h = 0.0
    lost = given_up = 0
    for length_h in lengths_h:
        taken_h = length_h / speed
        now_h, worker = heapq.heappop(free)
        for _ in range(ATTEMPTS):
            until_loss_h = chance.expovariate(1 / loss_h) if math.isfinite(loss_h) else math.inf
            if until_loss_h >= taken_h:
                now_h += taken_h
                busy_h += taken_h
                break
            now_h += until_loss_h + start_h
            lost += 1
        else:
            given_up += 1
        end_h = max(end_h, now_h)
        heapq.heappush(free, (now_h, worker))
    return Outcome(len(lengths_h), end_h, workers * end_h, busy_h, max(lengths_h) / speed, lost, given_up)


def make_lengths(hours: float, median_min: float, sigma: float) -> list[float]:
    """Draw the lengths of files, log-normal, that add up to a number of hours."""
    chance = random.Random(0)
    lengths_h: list[float] = []
    while (left_h := hours - sum(lengths_h)) > 1e-9:
        batch = [chance.lognormvariate(math.log(median_min / 60), sigma) for _ in range(1000)]
        for length_h in batch:
            lengths_h.append(min(length_h, left_h))
            left_h -= lengths_h[-1]
            if left_h <= 1e-9:
                break
    return lengths_h


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--fps", type=float, required=True, help="frames that a worker renders in a second")
    parser.add_argument("--hours", type=float, nargs="+", default=[1, 100, 100_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 10, 1000])
    parser.add_argument("--video-fps", type=float, default=25, help="frames in a second of video")
    parser.add_argument("--minutes", type=float, default=10, help="median length of a file")
    parser.add_argument("--sigma", type=float, default=1, help="spread of the lengths' logarithm")
    parser.add_argument("--start", type=float, default=30, help="seconds until a worker has its network")
    parser.add_argument("--loss", type=float, default=1000, help="mean hours until a worker is lost")
    parser.add_argument("--mbit", type=float, default=8, help="megabits a second of video, read and written")
    parser.add_argument("--price", type=float, help="price of a worker's hour")
    given = parser.parse_args()
    speed = given.fps / given.video_fps
    columns = ["hours of video", "workers", "files", "takes, h", "worker hours", "in use", "longest file, h"]
    columns += ["workers lost", "given up", "disk, MB/s"] + (["cost"] if given.price is not None else [])
    print(f"| {' | '.join(columns)} |")
    print(f"|{' ---: |' * len(columns)}")
    for hours in given.hours:
        lengths_h = make_lengths(hours, given.minutes, given.sigma)
        for workers in given.workers:
            outcome = simulate(lengths_h, workers, speed, given.start / 3600, given.loss)
            disk = hours / outcome.wall_h * 2 * given.mbit / 8
            cells = [f"{hours:g}", f"{workers}", f"{outcome.files}", f"{outcome.wall_h:.2f}"]
            cells += [f"{outcome.worker_h:.1f}", f"{outcome.busy_h / outcome.worker_h:.0%}"]
            cells += [f"{outcome.longest_h:.2f}", f"{outcome.lost}", f"{outcome.given_up}", f"{disk:.0f}"]
            if given.price is not None:
                cells.append(f"{outcome.worker_h * given.price:.2f}")
            print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
