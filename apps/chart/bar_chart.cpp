#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "apps/chart/charts.h"

namespace octet::chart {
namespace {

constexpr double kTop = 34, kLine = 19, kBar = 13, kBottom = 34, kLetter = 5.9;

std::string note_of(const BarChart::Bar& bar) { return bar.note.empty() ? fmt::format("{:.4g}", bar.value) : bar.note; }

/// Room for the longest of the texts that `text_of` gives for a bar.
template <class TextOf>
double room_for(const BarChart& chart, TextOf text_of) {
  std::size_t longest = 0;
  for (const BarChart::Bar& bar : chart.bars) longest = std::max(longest, text_of(bar).size());
  return 12 + kLetter * static_cast<double>(longest);
}

void legend(const BarChart& chart, Svg& svg, double y) {
  double x = 8;
  for (std::size_t i = 0; i < chart.groups.size(); ++i) {
    svg.rect({x, y - 9}, 10, 10, filled(colour(i)));
    svg.text({x + 15, y}, chart.groups[i], Anchor::start, 11);
    x += 30 + kLetter * static_cast<double>(chart.groups[i].size());
  }
}

}  // namespace

Svg draw(const BarChart& chart) {
  const double legend_height = chart.groups.empty() ? 0 : 20;
  const double bottom = kTop + legend_height + kLine * static_cast<double>(chart.bars.size());
  Svg svg(chart.width, bottom + kBottom, chart.title);
  svg.text({8, 20}, chart.title, Anchor::start, 14, kInk, "font-weight=\"bold\"");
  if (!chart.groups.empty()) legend(chart, svg, kTop + 8);
  double low = 0, high = 0;
  for (const BarChart::Bar& bar : chart.bars)
    if (std::isfinite(bar.value)) low = std::min(low, bar.value), high = std::max(high, bar.value);
  if (high <= low) high = low + 1;
  const double notes = room_for(chart, note_of),
               labels = room_for(chart, [](const BarChart::Bar&bar) { return bar.label; });
  const double left = std::min(labels, chart.width / 2) + (low < 0 ? notes : 8), right = chart.width - notes;
  const auto x_of = [&](double value) { return left + (value - low) / (high - low) * (right - left); };
  for (const double tick : ticks(low, high, 5)) {
    svg.line({x_of(tick), kTop + legend_height - 4}, {x_of(tick), bottom}, kInk, 1, "stroke-opacity=\"0.15\"");
    svg.text({x_of(tick), bottom + 13}, fmt::format("{:.6g}", tick), Anchor::middle, 10);
  }
  double y = kTop + legend_height;
  for (const BarChart::Bar& bar : chart.bars) {
    svg.text({8, y + kBar - 2.5}, bar.label, Anchor::start, 11);
    if (std::isfinite(bar.value)) {
      const double from = x_of(std::min(bar.value, 0.0)), to = x_of(std::max(bar.value, 0.0));
      svg.rect({from, y}, std::max(to - from, 1.0), kBar, filled(colour(bar.group)),
               fmt::format("{}: {:.6g}", bar.label, bar.value));
      bar.value < 0 ? svg.text({from - 5, y + kBar - 2.5}, note_of(bar), Anchor::end, 11)
                    : svg.text({to + 5, y + kBar - 2.5}, note_of(bar), Anchor::start, 11);
    }
    y += kLine;
  }
  svg.line({x_of(0), kTop + legend_height - 4}, {x_of(0), bottom}, kInk, 1);
  svg.text({(left + right) / 2, bottom + 28}, chart.value_name, Anchor::middle, 12);
  return svg;
}

}  // namespace octet::chart
