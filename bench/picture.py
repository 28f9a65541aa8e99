"""The picture of a durability run: how long single sets take, without a checkpoint and during one, as SVG.

Both axes are logarithmic.  To the right go rarer sets: one in 2, one in 10, ... one in 100,000; upwards how long it
takes at least.  It stands on its own: no font, script or style from elsewhere, and colours for light and dark.
"""

import math
from xml.sax.saxutils import escape

from .durability import one_in

WIDTH, HEIGHT = 880, 470
LEFT, RIGHT, TOP, BOTTOM = 88, 166, 78, 86  # margins, in which labels stand
POINTS_PER_DECADE = 12
GOAL_S = 0.005
_UNITS = (("s", 1.0), ("ms", 1e-3), ("us", 1e-6))

_STYLE = """
  .paper { fill: #ffffff } .text { fill: #1f2328 } .faint { fill: #59636e } .grid { stroke: #d9dee3 }
  .still { stroke: #1f5fa8 } .still-text { fill: #1f5fa8 } .busy { stroke: #b3431e } .busy-text { fill: #b3431e }
  .goal { stroke: #59636e }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #12171d } .text { fill: #e6edf3 } .faint { fill: #9aa5b1 } .grid { stroke: #2d353e }
    .still { stroke: #79b8ff } .still-text { fill: #79b8ff } .busy { stroke: #ff9e64 } .busy-text { fill: #ff9e64 }
    .goal { stroke: #9aa5b1 }
  }
"""


def curve(ordered):
    """[(one in how many, seconds)] of samples in ascending order, rising in both; the last is the longest.

    >>> curve([1.0, 2.0, 3.0, 4.0])[0], curve([1.0, 2.0, 3.0, 4.0])[-1]
    ((2.0, 2.0), (4.0, 4.0))
    """
    count, points, step = len(ordered), [], 0
    while True:
        rarity = 2.0 * 10 ** (step / float(POINTS_PER_DECADE))
        if rarity >= count:
            break
        points.append((rarity, one_in(ordered, rarity)))
        step += 1
    return points + [(float(max(count, 2)), ordered[-1])]


class Scale:
    """From a value to a place between two ends, logarithmically."""

    def __init__(self, low, high, begin, end):
        self._low = math.log10(low)
        self._factor = (end - begin) / (math.log10(high) - self._low)
        self._begin = begin

    def __call__(self, value):
        return self._begin + (math.log10(value) - self._low) * self._factor


def label_of(seconds):
    """A power of ten in the unit that a person would choose.

    >>> [label_of(seconds) for seconds in (1e-6, 1e-5, 0.001, 0.1, 1.0)]
    ['1 us', '10 us', '1 ms', '100 ms', '1 s']
    """
    for unit, size in _UNITS:
        if seconds >= 0.999 * size:
            return "%.0f %s" % (seconds / size, unit)
    return "%g s" % seconds


def _decades(low, high):
    """The powers of ten from the one at or below `low` to the one at or above `high`."""
    return [10.0 ** power for power in range(int(math.floor(math.log10(low) + 1e-9)),
                                             int(math.ceil(math.log10(high) - 1e-9)) + 1)]


def draw(still, busy, data):
    """The SVG of two lists of seconds in ascending order: sets without a checkpoint, and during one; `data` names them.
    """
    curves = [(curve(still), "still", "no checkpoint", ""), (curve(busy), "busy", "during a checkpoint", "7 3")]
    decades = _decades(min(points[0][1] for points, _, _, _ in curves),
                       max(GOAL_S, max(points[-1][1] for points, _, _, _ in curves)))
    rarest = max(points[-1][0] for points, _, _, _ in curves)
    x = Scale(2.0, max(rarest, 10.0), LEFT, WIDTH - RIGHT)
    y = Scale(decades[0], decades[-1], HEIGHT - BOTTOM, TOP)
    title = "How long a set takes: %s" % data
    lines = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" '
             'font-family="DejaVu Sans, Helvetica, Arial, sans-serif" font-size="14">' % (WIDTH, HEIGHT, WIDTH, HEIGHT),
             "  <title>%s</title>" % escape(title), "  <desc>%s</desc>" % escape(_in_words(still, busy)),
             "  <style>%s  </style>" % _STYLE, '  <rect class="paper" width="%d" height="%d"/>' % (WIDTH, HEIGHT),
             _text(24, 32, title, "text", 'font-size="18" font-weight="bold"'),
             _text(24, 54, "one writer, one key at a time, as fast as it can; each set timed by itself", "faint")]
    lines += _axes(x, y, decades, rarest)
    lines += _goal(y)
    lines += _curves(x, y, curves)
    return "\n".join(lines + ["</svg>"]) + "\n"


def _in_words(still, busy):
    parts = []
    for samples, what in ((still, "without a checkpoint"), (busy, "during one")):
        parts.append("%s half of %s sets took at most %s, the longest %s" % (
            what, "{:,}".format(len(samples)), precise(one_in(samples, 2)), precise(samples[-1])))
    return "; ".join(parts)


def precise(seconds):
    """Seconds with two digits, in the unit that a person would choose.

    >>> [precise(value) for value in (5.04e-6, 0.000123, 0.0046, 1.5)]
    ['5.0 us', '120 us', '4.6 ms', '1.5 s']
    """
    unit, size = next(((unit, size) for unit, size in _UNITS if seconds >= size), _UNITS[-1])
    value = seconds / size
    return "%s %s" % ("%.1f" % value if value < 9.95 else "%.0f" % float("%.2g" % value), unit)


def _text(x, y, text, style, more=""):
    return '  <text x="%.1f" y="%.1f" class="%s"%s>%s</text>' % (x, y, style, " " + more if more else "", escape(text))


def _axes(x, y, decades, rarest):
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    lines = []
    for seconds in decades:
        lines.append('  <line x1="%d" y1="%.1f" x2="%d" y2="%.1f" class="grid"/>'
                     % (LEFT, y(seconds), right, y(seconds)))
        lines.append(_text(LEFT - 10, y(seconds) + 5, label_of(seconds), "faint", 'text-anchor="end"'))
    for rarity in [2.0] + [10.0 ** power for power in range(1, 10)]:
        if rarity > rarest:
            break
        lines.append('  <line x1="%.1f" y1="%d" x2="%.1f" y2="%d" class="grid"/>' % (x(rarity), TOP, x(rarity), bottom))
        lines.append(_text(x(rarity), bottom + 22, "{:,.0f}".format(rarity), "faint", 'text-anchor="middle"'))
    middle = (LEFT + right) / 2.0
    return lines + [_text(middle, bottom + 46, "one set in so many takes this long or longer", "text",
                          'text-anchor="middle"'),
                    _text(middle, bottom + 68, "both axes are logarithmic; each line ends at the longest set", "faint",
                          'text-anchor="middle" font-size="12"')]


def _goal(y):
    at = y(GOAL_S)
    return ['  <line x1="%d" y1="%.1f" x2="%d" y2="%.1f" class="goal" stroke-dasharray="2 4"/>'
            % (LEFT, at, WIDTH - RIGHT, at),
            _text(LEFT + 8, at - 6, "goal: the longest under %s" % precise(GOAL_S).replace(".0", ""), "faint",
                  'font-size="12"')]


def _curves(x, y, curves):
    ends = [y(points[-1][1]) for points, _, _, _ in curves]
    if abs(ends[0] - ends[1]) < 36:  # the labels would lie on each other
        middle, sign = sum(ends) / 2, -1 if ends[0] < ends[1] else 1
        ends = [middle + sign * 18, middle - sign * 18]
    lines = []
    for (points, style, name, dashes), at in zip(curves, ends):
        path = " ".join("%s%.1f %.1f" % ("L" if index else "M", x(rarity), y(seconds))
                        for index, (rarity, seconds) in enumerate(points))
        lines.append('  <path d="%s" fill="none" class="%s" stroke-width="2.5" stroke-linejoin="round"%s/>'
                     % (path, style, ' stroke-dasharray="%s"' % dashes if dashes else ""))
        lines.append('  <circle cx="%.1f" cy="%.1f" r="2.5" fill="none" class="%s" stroke-width="2.5"/>'
                     % (x(points[-1][0]), y(points[-1][1]), style))
        left = max(x(points[-1][0]), WIDTH - RIGHT) + 10
        lines.append(_text(left, at - 2, name, style + "-text", 'font-weight="bold" font-size="12"'))
        lines.append(_text(left, at + 14, "longest %s" % precise(points[-1][1]), style + "-text", 'font-size="12"'))
    return lines
