#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "apps/chart/charts.h"

namespace octet::chart {
namespace {

constexpr double kLeft = 58, kRight = 14, kTitle = 34, kBottom = 46, kLegend = 18, kLetter = 6.1;

struct Bounds {
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();
  void take(double value) { low = std::min(low, value), high = std::max(high, value); }
  /// Never empty.
  Bounds widened(double share) const {
    if (!(high >= low)) return {0, 1};
    const double room = high > low ? (high - low) * share : std::max(std::fabs(high) * 0.1, 1e-9);
    return {low - room, high + room};
  }
};

bool finite(const Point& p) { return std::isfinite(p.x) && std::isfinite(p.y); }

double spread_at(const Series& series, std::size_t i) { return i < series.spread.size() ? series.spread[i] : 0; }

/// Where the names of the series stand.
std::vector<Point> legend_places(const LineChart& chart) {
  std::vector<Point> places;
  Point next{kLeft, kTitle};
  for (const Series& series : chart.series) {
    const double width = 32 + kLetter * static_cast<double>(series.name.size());
    if (next.x > kLeft && next.x + width > chart.width) next = {kLeft, next.y + kLegend};
    places.push_back(next);
    next.x += width;
  }
  return places;
}

/// The picture of one chart while it is drawn.
class Plot {
 public:
  explicit Plot(const LineChart& chart)
      : chart_(chart),
        svg_(chart.width, chart.height, chart.title),
        top_(chart.series.size() > 1 ? legend_places(chart).back().y + kLegend : kTitle),
        bottom_(chart.height - kBottom) {
    Bounds x, y;
    for (const Series& series : chart.series)
      for (std::size_t i = 0; i < series.points.size(); ++i)
        for (const double end : {-spread_at(series, i), spread_at(series, i)})
          if (const Point p = on_axes({series.points[i].x, series.points[i].y + end}); finite(p))
            x.take(p.x), y.take(p.y);
    x_ = x.widened(0);
    y_ = chart.low < chart.high && !chart.logarithmic ? Bounds{chart.low, chart.high} : y.widened(0.06);
  }
  Svg drawn() {
    svg_.text({kLeft, 20}, chart_.title, Anchor::start, 14, kInk, "font-weight=\"bold\"");
    axes();
    for (std::size_t i = 0; i < chart_.series.size(); ++i) curve(i);
    if (chart_.series.size() > 1) legend();
    return svg_;
  }

 private:
  Point on_axes(const Point& p) const { return chart_.logarithmic ? Point{std::log2(p.x), std::log2(p.y)} : p; }
  /// Of a point on the axes, in pixels.
  Point at(const Point& p) const {
    return {kLeft + (p.x - x_.low) / (x_.high - x_.low) * (chart_.width - kLeft - kRight),
            bottom_ - (std::clamp(p.y, y_.low, y_.high) - y_.low) / (y_.high - y_.low) * (bottom_ - top_)};
  }
  std::string number(double value) const {
    return chart_.percent ? fmt::format("{:.6g} %", value * 100) : fmt::format("{:.6g}", value);
  }
  std::vector<double> ticks_of(const Bounds& axis, int count) const {
    return chart_.logarithmic ? logarithmic_ticks(std::exp2(axis.low), std::exp2(axis.high))
                              : ticks(axis.low, axis.high, count);
  }
  void axes() {
    for (const double y : ticks_of(y_, 5)) {
      const Point p = at({x_.low, on_axes({1, y}).y});
      svg_.line(p, {chart_.width - kRight, p.y}, kInk, 1, "stroke-opacity=\"0.15\"");
      svg_.text({kLeft - 6, p.y + 4}, number(y), Anchor::end, 11);
    }
    for (const double x : ticks_of(x_, 7)) {
      const Point p = at({on_axes({x, 1}).x, y_.low});
      svg_.line(p, {p.x, p.y + 4}, kInk, 1);
      svg_.text({p.x, bottom_ + 16}, fmt::format("{:.6g}", x), Anchor::middle, 11);
    }
    svg_.line({kLeft, bottom_}, {chart_.width - kRight, bottom_}, kInk, 1);
    svg_.text({(kLeft + chart_.width - kRight) / 2, chart_.height - 10}, chart_.x_name, Anchor::middle, 12);
    const double middle = (top_ + bottom_) / 2;
    svg_.text({13, middle}, chart_.y_name, Anchor::middle, 12, kInk,
              fmt::format("transform=\"rotate(-90 13 {:.1f})\"", middle));
  }
  void curve(std::size_t index) {
    const Series& series = chart_.series[index];
    std::vector<Point> line;
    for (std::size_t i = 0; i < series.points.size(); ++i) {
      const Point& p = series.points[i];
      if (!finite(on_axes(p))) continue;
      const Point to = at(on_axes(p));
      if (series.stairs && !line.empty()) line.push_back({to.x, line.back().y});
      line.push_back(to);
      if (const double spread = spread_at(series, i); spread > 0) bar(p, spread, colour(index));
      if (series.dots || series.marked)
        svg_.circle(to, series.dots ? 3.5 : 3, filled(colour(index)),
                    fmt::format("{}: {:.6g}, {}", series.name, p.x, number(p.y)));
    }
    if (!series.dots && line.size() > 1) svg_.polyline(line, colour(index), 1.8, dashes(index));
  }
  void bar(const Point& p, double spread, const char* colour) {
    const Point high = on_axes({p.x, p.y + spread}), low = on_axes({p.x, p.y - spread});
    if (!finite(high) || !finite(low)) return;
    svg_.line(at(high), at(low), colour, 1.2);
    for (const Point& end : {at(high), at(low)}) svg_.line({end.x - 3, end.y}, {end.x + 3, end.y}, colour, 1.2);
  }
  /// Below the title, in lines where the names need more than one.
  void legend() {
    const std::vector<Point> places = legend_places(chart_);
    for (std::size_t i = 0; i < places.size(); ++i) {
      if (dashes(i).empty())
        svg_.rect(places[i], 12, 4, filled(colour(i)));
      else
        svg_.line({places[i].x, places[i].y + 2}, {places[i].x + 12, places[i].y + 2}, colour(i), 3, dashes(i));
      svg_.text({places[i].x + 17, places[i].y + 6}, chart_.series[i].name, Anchor::start, 11);
    }
  }

  const LineChart& chart_;
  Svg svg_;
  double top_, bottom_;
  Bounds x_, y_;
};

}  // namespace

Svg draw(const LineChart& chart) { return Plot(chart).drawn(); }

}  // namespace octet::chart
