"""What a reader needs to know of speed, from the rows of the benchmark: one rate, one limit, and a country on paper."""

from __future__ import annotations

import re

MEGAPIXELS = {"Germany, 10 m, ten bands": 3580, "Berlin, 0.5 m, three bands": 3560}
GIGABYTES = {"Germany, 10 m, ten bands": 72, "Berlin, 0.5 m, three bands": 11}
SENT = 70  # GB of results to the driver, either place: 8 classes, windows of 256, overlap 32


def row(parts: dict[str, dict], part: str, name: str) -> dict:
    """A row of the benchmark; ValueError when it is not there."""
    for entry in parts[part]["rows"]:
        if entry["name"] == name:
            return entry
    raise ValueError(f"performance.json has no row '{name}' in its part '{part}'; measure it with bench.py --keep.")


def rate(parts: dict[str, dict]) -> float:
    """Megapixels per second that one core maps with the embedded backbone."""
    text = row(parts, "workers", "two workers, embedded backbone")["explanation"]
    speed = re.search(r"([\d.]+) megapixels/s with one worker", text)
    if not speed:
        raise ValueError("performance.json does not say how fast one worker maps; measure the part 'workers' again.")
    return float(speed[1])


def driver(parts: dict[str, dict]) -> float:
    """Megapixels per second that one driver can put together."""
    return row(parts, "workers", "what one driver can put together")["value"]


def three_numbers(parts: dict[str, dict], times: dict) -> str:
    """How fast, how much memory, how long."""
    memory = row(parts, "memory_embedded", "memory, embedded backbone, 16384 pixels")["value"] * 1024**2 / 1e9  # of MiB
    minutes = [seconds / 60 for seconds in times["seconds"].values()]
    return (
        f"- **A chapter runs in {min(minutes):.1f} to {max(minutes):.1f} minutes** on {times['cores']} cores with its "
        f"default settings; all of them together in {sum(minutes):.0f}.\n"
        f"- **One core maps {rate(parts):.2f} megapixels a second** with the embedded backbone and a head: a square "
        f"kilometer at half a meter in {4 / rate(parts):.0f} seconds.\n"
        f"- **A map needs {memory:.1f} GB of memory**, however large the scene is."
    )


def rates(parts: dict[str, dict]) -> str:
    """What maps how fast, and how many workers one driver can serve."""
    trivial = row(parts, "mapping", "mapping against copying, overlap 64")["explanation"]
    alone = re.search(r"([\d.]+) megapixels/s", trivial)[1]
    per_core, most = rate(parts), driver(parts)
    return (
        "| what | megapixels per second |\n|---|---:|\n"
        f"| embedded ViT and STEGO head, windows of 256, overlap 32, one core | {per_core:.2f} |\n"
        f"| reading, blending and writing alone (a trivial model), one process | {alone} |\n"
        f"| what one driver can put together of the answers of its workers | {most:.2f} |\n\n"
        f"More than about {most / per_core:.0f} workers of {per_core:.2f} megapixels a second would wait for the "
        "driver: then cut the area into pieces, one map and one driver each."
    )


def countries(parts: dict[str, dict]) -> str:
    """Two large areas on paper: hours of one core, minutes of as many workers as a driver can serve."""
    per_core, most = rate(parts), driver(parts)
    workers, names = int(most / per_core), list(MEGAPIXELS)
    minutes = [n / (workers * per_core) / 60 for n in MEGAPIXELS.values()]
    table = {
        "pixels": [f"{n} million" for n in MEGAPIXELS.values()],
        "scene, uncompressed": [f"{n} GB" for n in GIGABYTES.values()],
        "embedded ViT (three bands), one core": [f"{n / per_core / 3600:.1f} hours" for n in MEGAPIXELS.values()],
        f"embedded ViT, {workers} workers": [f"{n:.0f} minutes" for n in minutes],
        "results sent to the driver (8 classes, windows of 256, overlap 32)": [f"{SENT} GB"] * 2,
        "disk for the unfinished map": [f"{n / 1000:.1f} GB" for n in MEGAPIXELS.values()],
    }
    rows = [f"| | {' | '.join(names)} |", "|---|---|---|"]
    rows += [f"| {what} | {' | '.join(cells)} |" for what, cells in table.items()]
    read, sent = (1000 * n / (60 * minutes[0]) for n in (GIGABYTES[names[0]], SENT))
    return "\n".join(rows) + (
        f"\n\nThe table leaves out two things: reading {GIGABYTES[names[0]]} GB in {minutes[0]:.0f} minutes takes "
        f"{read:.0f} MB/s, whatever the number of workers; and the results arrive at {sent:.0f} MB/s."
    )
