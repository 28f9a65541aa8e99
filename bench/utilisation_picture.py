"""The picture of a utilisation run: write throughput against how much of the heap lives, as SVG.

Values of mixed sizes, keys overwritten at random; one curve for each size of heap.  It stands on its own, as the other
picture does: no font, script or style from elsewhere, and colours for light and dark.
"""

from xml.sax.saxutils import escape

from .utilisation import GOAL, MIXED, UNIFORM

WIDTH, HEIGHT = 880, 440
LEFT, RIGHT, TOP, BOTTOM = 88, 150, 78, 74  # margins, in which labels stand
SHARES = (0.5, 1.0)  # ends of the axis to the right

_STYLE = """
  .paper { fill: #ffffff } .text { fill: #1f2328 } .faint { fill: #59636e } .grid { stroke: #d9dee3 }
  .c0 { stroke: #1f5fa8 } .c0-text { fill: #1f5fa8 } .c1 { stroke: #b3431e } .c1-text { fill: #b3431e }
  .c2 { stroke: #3c7d3c } .c2-text { fill: #3c7d3c } .goal { stroke: #59636e }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #12171d } .text { fill: #e6edf3 } .faint { fill: #9aa5b1 } .grid { stroke: #2d353e }
    .c0 { stroke: #79b8ff } .c0-text { fill: #79b8ff } .c1 { stroke: #ff9e64 } .c1-text { fill: #ff9e64 }
    .c2 { stroke: #8fd18f } .c2-text { fill: #8fd18f } .goal { stroke: #9aa5b1 }
  }
"""


def curves(found):
    """[(MiB of the heap, [(utilisation, throughput over that at the first)])] of the mixed, uniform cases."""
    by_memory = {}
    for case, outcome in found:
        if (case.values, case.order) == (MIXED, UNIFORM):
            rate = outcome.written_bytes / outcome.seconds
            by_memory.setdefault(case.memory_mib, []).append((case.utilisation, rate))
    return [(memory, [(share, rate / points[0][1]) for share, rate in points])
            for memory, points in sorted(by_memory.items(), reverse=True)]


def draw(found):
    """The SVG as text."""
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def x(share):
        return LEFT + (share - SHARES[0]) / (SHARES[1] - SHARES[0]) * (right - LEFT)

    def y(part):
        return bottom - part * (bottom - TOP)

    title = "What a full heap costs"
    lines = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="%s" '
             'font-family="system-ui, sans-serif" font-size="13">' % (WIDTH, HEIGHT, escape(title)),
             "  <style>%s  </style>" % _STYLE, '  <rect class="paper" width="%d" height="%d"/>' % (WIDTH, HEIGHT),
             _text(24, 32, title, "text", 'font-size="18" font-weight="bold"'),
             _text(24, 54, "values of 10 B to 100 KB, keys overwritten at random, the engine alone", "faint")]
    for part in (0.0, 0.25, 0.5, 0.75, 1.0):
        lines.append(_line(LEFT, y(part), right, y(part), "grid"))
        lines.append(_text(LEFT - 10, y(part) + 5, "%.0f %%" % (100 * part), "faint", 'text-anchor="end"'))
    for percent in range(50, 101, 10):
        lines.append(_line(x(percent / 100.0), TOP, x(percent / 100.0), bottom, "grid"))
        lines.append(_text(x(percent / 100.0), bottom + 22, "%d %%" % percent, "faint", 'text-anchor="middle"'))
    lines.append(_text((LEFT + right) / 2.0, bottom + 46, "of the heap is live; upwards: write throughput, "
                       "that at 50 % being 100 %", "text", 'text-anchor="middle"'))
    lines += [_line(x(0.85) - 30, y(GOAL), x(0.85) + 30, y(GOAL), "goal"),
              _text(x(0.85) + 36, y(GOAL) + 4, "goal", "faint", 'font-size="12"')]
    for number, (memory, points) in enumerate(curves(found)):
        path = " ".join("%s%.1f %.1f" % ("L" if index else "M", x(share), y(part))
                        for index, (share, part) in enumerate(points))
        lines.append('  <path d="%s" fill="none" class="c%d" stroke-width="2.5" stroke-linejoin="round"/>'
                     % (path, number))
        lines.append(_text(right + 12, TOP + 20 + 22 * number, "%d MiB heap" % memory, "c%d-text" % number,
                           'font-weight="bold" font-size="12"'))
    return "\n".join(lines + ["</svg>"]) + "\n"


def _text(x, y, text, style, more=""):
    return '  <text x="%.1f" y="%.1f" class="%s"%s>%s</text>' % (x, y, style, " " + more if more else "", escape(text))


def _line(x1, y1, x2, y2, style):
    return '  <line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s"/>' % (x1, y1, x2, y2, style)
