"""The picture of a hit-ratio run as SVG: a small chart for each trace, hit ratio against how many keys fit.

It stands on its own: no font, script or style from elsewhere, and colours for light and dark.
"""

from xml.sax.saxutils import escape

from .hit_ratio import ARC, LFU, LRU, OPT

COLUMNS = 5
CELL_WIDTH, CELL_HEIGHT = 200, 190
CHART_LEFT, CHART_TOP, CHART_WIDTH, CHART_HEIGHT = 40, 30, 144, 112
MARGIN, HEAD, FOOT = 16, 100, 34

# Policy, class, dashes, what the legend says.
LINES = ((OPT, "optimum", "2 4", "Belady's optimum, which knows the future"), (ARC, "arc", "7 3", "ARC"),
         (LRU, "lru", "4 2 1 2", "lru"), (LFU, "lfu", "", "lfu (W-TinyLFU)"))

_STYLE = """
  .paper { fill: #ffffff } .text { fill: #1f2328 } .faint { fill: #59636e } .grid { stroke: #d9dee3 }
  .optimum { stroke: #59636e } .arc { stroke: #8250a8 } .lru { stroke: #b3431e } .lfu { stroke: #1f5fa8 }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #12171d } .text { fill: #e6edf3 } .faint { fill: #9aa5b1 } .grid { stroke: #2d353e }
    .optimum { stroke: #9aa5b1 } .arc { stroke: #c79bee } .lru { stroke: #ff9e64 } .lfu { stroke: #79b8ff }
  }
"""


def draw(result):
    """The SVG of a Result of hit_ratio."""
    rows = -(-len(result.traces) // COLUMNS)
    width, height = 2 * MARGIN + COLUMNS * CELL_WIDTH, HEAD + rows * CELL_HEIGHT + FOOT
    lines = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" '
             'font-family="DejaVu Sans, Helvetica, Arial, sans-serif" font-size="12">' % (width, height, width, height),
             "  <title>Which share of requests a full cache answers</title>",
             "  <desc>%s</desc>" % escape(_in_words(result)), "  <style>%s  </style>" % _STYLE,
             '  <rect class="paper" width="%d" height="%d"/>' % (width, height),
             _text(MARGIN + 8, 32, "Which share of requests a full cache answers", "text",
                   'font-size="18" font-weight="bold"'),
             _text(MARGIN + 8, 54, "hit ratio in percent against how many keys fit; a chart for each trace, "
                   "the axis below is even in steps, not in keys", "faint")]
    lines += _legend()
    for index, trace in enumerate(result.traces):
        left = MARGIN + index % COLUMNS * CELL_WIDTH
        lines += _chart(left, HEAD + index // COLUMNS * CELL_HEIGHT, trace, result.ratios)
    foot = "synthetic: zipf-*, cycle, shifting"
    if len(result.traces) > 5:
        foot += "; the others are block traces published with LIRS (Jiang and Zhang, 2002)"
    return "\n".join(lines + [_text(MARGIN + 8, height - 16, foot, "faint"), "</svg>"]) + "\n"


def _in_words(result):
    parts = []
    for trace in result.traces:
        capacity = trace.capacities[len(trace.capacities) // 2]
        ratios = result.ratios[trace.name, capacity]
        parts.append("%s with room for %d keys: %s" % (trace.name, capacity, ", ".join(
            "%s %.1f %%" % (name, ratios[name]) for name, _, _, _ in reversed(LINES))))
    return "; ".join(parts)


def _text(x, y, text, style, more=""):
    return '  <text x="%.1f" y="%.1f" class="%s"%s>%s</text>' % (x, y, style, " " + more if more else "", escape(text))


def _line(points, style, dashes, width=2.2):
    return '  <polyline points="%s" fill="none" class="%s" stroke-width="%s" stroke-linejoin="round"%s/>' % (
        " ".join("%.1f,%.1f" % point for point in points), style, width,
        ' stroke-dasharray="%s"' % dashes if dashes else "")


def _legend():
    lines, left = [], MARGIN + 8
    for _, style, dashes, text in reversed(LINES):
        lines.append(_line([(left, 76), (left + 34, 76)], style, dashes))
        lines.append(_text(left + 42, 80, text, "text"))
        left += 42 + 7.2 * len(text) + 28
    return lines


def _chart(left, top, trace, ratios):
    left, bottom = left + CHART_LEFT, top + CHART_TOP + CHART_HEIGHT
    cases = [ratios[trace.name, capacity] for capacity in trace.capacities]
    highest = max(case[name] for case in cases for name, _, _, _ in LINES)
    full = next(limit for limit in (10, 20, 40, 60, 80, 100) if highest <= limit)
    step = CHART_WIDTH / float(max(1, len(cases) - 1))
    lines = [_text(left, top + 18, trace.name, "text", 'font-weight="bold"')]
    for part in (0, 1, 2):
        y = bottom - CHART_HEIGHT * part / 2.0
        lines.append('  <line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="grid"/>'
                     % (left, y, left + CHART_WIDTH, y))
        lines.append(_text(left - 6, y + 4, "%g" % (full * part / 2.0), "faint", 'text-anchor="end" font-size="11"'))
    for index, capacity in enumerate(trace.capacities):
        lines.append(_text(left + index * step, bottom + 17, "%d" % capacity, "faint",
                           'text-anchor="middle" font-size="11"'))
    for name, style, dashes, _ in LINES:
        points = [(left + index * step, bottom - CHART_HEIGHT * case[name] / full) for index, case in enumerate(cases)]
        lines.append(_line(points, style, dashes))
    return lines
