"""Draws a simulated history: what each key did when, and where a person had to act."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Final

from signerd.simulation.history import Event
from signerd.simulation.resolver import Failure
from signerd.simulation.simulator import Period, Run

_LABELS: Final = {"dnskey": "DNSKEY", "data": "signatures", "ds": "DS"}
_ORDER: Final = tuple(_LABELS)
_COLOURS: Final = {
    "rumoured": ("#9cc9a3", "coming: in some caches"),
    "omnipresent": ("#2f8f46", "in all caches"),
    "unretentive": ("#e2b45a", "going: in some caches"),
}
_LEFT: Final = 190
_RIGHT: Final = 20
_TOP: Final = 64
_ROW: Final = 20
_MOST_TICKS: Final = 10
_STEPS: Final = (3600, 6 * 3600, 86400, 2 * 86400, 7 * 86400, 30 * 86400, 91 * 86400, 365 * 86400)


def draw_timeline(
    run: Run,
    failures: Sequence[Failure] = (),
    *,
    title: str,
    width: int = 1000,
    start: int | None = None,
    end: int | None = None,
) -> str:
    """Draw a run as an SVG document.

    Args:
        run: Of the simulator.
        failures: Moments at which some resolver could not validate; drawn in red.
        title: Above the picture.
        width: Pixels.
        start: First moment drawn; None: that of the run.
        end: Last moment drawn; None: that of the run.
    """
    start = run.history.start if start is None else start
    end = run.history.end if end is None else end
    periods = [period for period in run.periods if period.end > start and period.start < end]
    rows = _find_rows(periods)
    height = _TOP + _ROW * (len(rows) + 1) + 40
    scale = (width - _LEFT - _RIGHT) / max(1, end - start)

    def place(moment: int) -> float:
        return _LEFT + (min(max(moment, start), end) - start) * scale

    bottom = _TOP + _ROW * (len(rows) + 1)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="10" y="20" font-size="15">{escape(title)}</text>',
        *_draw_legend(),
    ]
    for moment in _find_ticks(start, end):
        x = place(moment)
        form = "%Y-%m-%d" if end - start > 3 * 86400 else "%m-%d %H:%M"
        text = datetime.fromtimestamp(moment, UTC).strftime(form)
        lines.append(f'<line x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{bottom}" stroke="#dddddd"/>')
        lines.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{text}</text>')
    for number, (key, what) in enumerate(rows):
        y = _TOP + _ROW * number
        lines.append(f'<text x="10" y="{y + 14}">{escape(key)} {_LABELS[what]}</text>')
        for period in periods:
            if (period.key, period.what) == (key, what):
                lines.append(_draw_period(period, place(period.start), place(period.end), y))
    lines += _draw_people(
        [event for event in run.history.events if event.is_for_person and start <= event.at <= end],
        _TOP + _ROW * len(rows),
        [place(event.at) for event in run.history.events if event.is_for_person and start <= event.at <= end],
    )
    for failure in failures:
        x = place(failure.start)
        wide = max(1.0, place(failure.end) - x)
        lines.append(
            f'<rect x="{x:.1f}" y="{_TOP}" width="{wide:.1f}" height="{bottom - _TOP}" fill="#d02020" '
            f'opacity="0.4"><title>{escape(failure.reason)}</title></rect>'
        )
    return "\n".join([*lines, "</svg>", ""])


def _find_rows(periods: Sequence[Period]) -> list[tuple[str, str]]:
    first: dict[str, int] = {}
    for period in periods:
        first[period.key] = min(period.start, first.get(period.key, period.start))
    rows = {(period.key, period.what) for period in periods}
    return sorted(rows, key=lambda row: (first[row[0]], row[0], _ORDER.index(row[1])))


def _find_ticks(start: int, end: int) -> Iterator[int]:
    step = next((step for step in _STEPS if (end - start) / step <= _MOST_TICKS), _STEPS[-1])
    moment = start + -start % min(step, 86400)
    while moment <= end:
        yield moment
        moment += step


def _draw_legend() -> Iterator[str]:
    x = 10
    for colour, text in (*_COLOURS.values(), ("#c04040", "a person must act")):
        yield f'<rect x="{x}" y="34" width="14" height="12" fill="{colour}"/>'
        yield f'<text x="{x + 20}" y="45">{text}</text>'
        x += 40 + 7 * len(text)


def _draw_period(period: Period, x: float, end: float, y: int) -> str:
    colour, meaning = _COLOURS[period.presence]
    return (
        f'<rect x="{x:.1f}" y="{y + 3}" width="{max(0.5, end - x):.1f}" height="{_ROW - 6}" fill="{colour}">'
        f"<title>{escape(period.key)} {_LABELS[period.what]}: {meaning}</title></rect>"
    )


def _draw_people(events: Sequence[Event], y: int, places: Sequence[float]) -> Iterator[str]:
    if events:
        yield f'<text x="10" y="{y + 14}">people</text>'
    for event, x in zip(events, places, strict=True):
        yield (
            f'<circle cx="{x:.1f}" cy="{y + 10}" r="5" fill="#c04040">'
            f"<title>{escape(event.text)}</title></circle>"
        )
