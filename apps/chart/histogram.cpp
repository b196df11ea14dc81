#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "apps/chart/charts.h"

namespace octet::chart {

Svg draw(const Histogram& chart) {
  constexpr double kLeft = 10, kRight = 10, kTop = 26, kBottom = 34;
  const double bottom = chart.height - kBottom, width = chart.width - kLeft - kRight;
  const double span = chart.high > chart.low ? chart.high - chart.low : 1;
  Svg svg(chart.width, chart.height, chart.title);
  svg.text({kLeft, 16}, chart.title, Anchor::start, 12, kInk, "font-weight=\"bold\"");
  const auto x_of = [&](double value) { return kLeft + (value - chart.low) / span * width; };
  const auto height_of = [&](double count) { return chart.log_counts ? std::log1p(count) : count; };
  const auto inside = [&](double value) { return value >= chart.low && value <= chart.high; };
  for (const double value : chart.grid)
    if (inside(value)) svg.line({x_of(value), kTop}, {x_of(value), bottom}, kInk, 0.5, "stroke-opacity=\"0.22\"");
  double most = 0;
  for (const double count : chart.counts) most = std::max(most, height_of(count));
  const double bin = width / static_cast<double>(std::max<std::size_t>(chart.counts.size(), 1));
  std::vector<Point> outline{{kLeft, bottom}};
  for (std::size_t i = 0; i < chart.counts.size() && most > 0; ++i) {
    const double top = bottom - height_of(chart.counts[i]) / most * (bottom - kTop),
                 left = kLeft + bin * static_cast<double>(i);
    outline.push_back({left, top}), outline.push_back({left + bin, top});
  }
  outline.push_back({outline.back().x, bottom});
  svg.polygon(outline, filled(colour(0), 0.75));
  for (const double value : chart.limits)
    if (inside(value))
      svg.line({x_of(value), kTop - 6}, {x_of(value), bottom}, colour(1), 1.4, "stroke-dasharray=\"4 3\"");
  svg.line({kLeft, bottom}, {kLeft + width, bottom}, kInk, 1);
  for (const double tick : ticks(chart.low, chart.low + span, 6))
    svg.text({x_of(tick), bottom + 13}, fmt::format("{:.4g}", tick), Anchor::middle, 10);
  svg.text({kLeft + width / 2, chart.height - 6}, chart.x_name, Anchor::middle, 11);
  return svg;
}

}  // namespace octet::chart
