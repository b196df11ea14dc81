// The few kinds of charts that reports and lessons draw.
#pragma once
#include <string>
#include <vector>

#include "apps/chart/svg.h"

namespace octet::chart {

/// Values of an axis that are easy to read, about `count` of them, from the first at or above `low` to the last at or
/// below `high`: 1, 2 or 5 times a power of ten apart.
std::vector<double> ticks(double low, double high, int count);
/// For a logarithmic axis, 0 < low <= high: powers of two, of four, … that lie between, at most nine.
std::vector<double> logarithmic_ticks(double low, double high);

/// A line through points, or the points alone. Points that are not finite are left out.
struct Series {
  std::string name;
  std::vector<Point> points{};
  bool dots = false;             ///< points alone
  bool stairs = false;           ///< each y holds up to the next x
  bool marked = false;           ///< points on the line
  std::vector<double> spread{};  ///< a bar from y − spread to y + spread at each point; empty: none
};

struct LineChart {
  std::string title{}, x_name{}, y_name{};
  std::vector<Series> series{};
  double width = 640, height = 320;
  /// Bounds of y; where low >= high they follow from the points.
  double low = 0, high = 0;
  bool percent = false;      ///< y is a share, written in per cent
  bool logarithmic = false;  ///< both axes; what is not positive is left out. low and high are not read
};
Svg draw(const LineChart& chart);

/// Horizontal bars, one below the other, in the order given.
struct BarChart {
  struct Bar {
    std::string label;
    double value = 0;
    std::string note{};     ///< behind the bar; empty: the value
    std::size_t group = 0;  ///< its colour
  };
  std::string title{}, value_name{};
  std::vector<Bar> bars{};
  std::vector<std::string> groups{};  ///< names of the colours, for a legend; may be empty
  double width = 640;
};
Svg draw(const BarChart& chart);

/// Counts of equal bins over [low, high], and lines at chosen values: the grid of a quantizer.
struct Histogram {
  std::string title{}, x_name{};
  double low = 0, high = 1;
  std::vector<double> counts{};
  std::vector<double> grid{};    ///< thin lines from the axis up
  std::vector<double> limits{};  ///< dashed lines: where values are clipped
  bool log_counts = false;
  double width = 420, height = 180;
};
Svg draw(const Histogram& chart);

}  // namespace octet::chart
