#include "benchmarks/roofline.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "apps/chart/svg.h"
#include "benchmarks/label_layout.h"
#include "benchmarks/sheet.h"
#include "core/file.h"

namespace octet::bench {
namespace {

constexpr double kWidth = 1280, kHeight = 800, kLeft = 76, kRight = 220, kTop = 58, kBottom = 62;
constexpr double kStrip = 96;  // of cases without operations, at the left
constexpr double kLetter = 6.2, kLine = 11;
constexpr const char* kColours[] = {"#1f6fb4", "#d9541e", "#2c9145", "#8a4fb0", "#b8860b", "#c2337a",
                                    "#148f9a", "#6b5b3e", "#5a6b7b", "#a02c2c", "#3f51b5", "#557a1f"};

using chart::escaped;

/// Logarithmic.
struct Axis {
  double low = 1, high = 10;
  double from = 0, to = 1;  // in pixels
  double at(double value) const { return from + (to - from) * std::log(value / low) / std::log(high / low); }
  struct Tick {
    double value;
    bool decade, named;
  };
  /// 1 to 9 of every decade; 2 and 5 have names too where few decades leave room.
  std::vector<Tick> ticks() const {
    std::vector<Tick> ticks;
    const bool roomy = high / low < 2000;
    for (double decade = std::pow(10, std::floor(std::log10(low))); decade <= high; decade *= 10)
      for (int i = 1; i < 10; ++i)
        if (const double value = decade * i; value >= low * 0.999 && value <= high * 1.001)
          ticks.push_back({value, i == 1, i == 1 || (roomy && (i == 2 || i == 5))});
    return ticks;
  }
};

class Plot {
 public:
  Plot(std::vector<RooflinePoint> points, const Peaks& peaks) : points_(std::move(points)), peaks_(peaks) {
    for (const RooflinePoint& point : points_) {
      rooms_.insert(point.room);
      has_strip_ = has_strip_ || point.flop_per_byte <= 0;
    }
    fit_axes();
  }

  std::string draw() {
    out_ = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" "
        "font-family=\"Helvetica, Arial, sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" "
        "fill=\"#ffffff\"/>\n",
        kWidth, kHeight);
    text(kLeft, 24, "Roofline of what octet_bench measured", "start", 17, "#222");
    text(kLeft, 42, peaks_text(peaks_), "start", 11, "#666");
    draw_grid();
    LabelLayout layout({kLeft, kTop, kWidth - kRight - kLeft, kHeight - kBottom - kTop});
    draw_roofs(layout);
    draw_points(layout);
    draw_legend();
    return out_ + "</svg>\n";
  }

 private:
  /// Round the points and the ridges. Cases without operations may lie below: they are drawn at the edge.
  void fit_axes() {
    const double top = std::max(peaks_.fma_gflops, peaks_.int8_gops);
    double least_x = 0.5, most_x = 1.5 * top / peaks_.memory_gbytes, least_y = peaks_.fma_gflops / 20, most_y = top;
    for (const RooflinePoint& point : points_) {
      if (point.flop_per_byte <= 0) continue;
      least_x = std::min(least_x, point.flop_per_byte), most_x = std::max(most_x, point.flop_per_byte);
      least_y = std::min(least_y, point.gops), most_y = std::max(most_y, point.gops);
    }
    x_ = {least_x / 1.4, most_x * 1.8, kLeft + (has_strip_ ? kStrip : 0), kWidth - kRight};
    if (has_strip_) least_y = std::min(least_y, peaks_.memory_gbytes * x_.low / 4);
    for (const RooflinePoint& point : points_)  // the strip hangs from the memory roof at the axis' left end
      if (point.flop_per_byte <= 0) most_y = std::max(most_y, point.gops * x_.low);
    y_ = {least_y / 1.5, most_y * 1.6, kHeight - kBottom, kTop};
  }

  void text(double x, double y, const std::string& words, const char* anchor, double size, const char* colour,
            const std::string& more = "") {
    out_ += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" font-size=\"{}\" fill=\"{}\"{}>{}</text>\n",
                        x, y, anchor, size, colour, more, escaped(words));
  }
  void line(double x1, double y1, double x2, double y2, const char* colour, double width, const char* more = "") {
    out_ += fmt::format(
        "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\" stroke-width=\"{}\"{}/>\n", x1, y1,
        x2, y2, colour, width, more);
  }

  void draw_grid() {
    for (const Axis::Tick& tick : x_.ticks()) {
      line(x_.at(tick.value), y_.from, x_.at(tick.value), y_.to, tick.decade ? "#dcdcdc" : "#f2f2f2", 1);
      if (tick.named) text(x_.at(tick.value), y_.from + 18, fmt::format("{:g}", tick.value), "middle", 12, "#444");
    }
    for (const Axis::Tick& tick : y_.ticks()) {
      line(x_.from, y_.at(tick.value), x_.to, y_.at(tick.value), tick.decade ? "#dcdcdc" : "#f2f2f2", 1);
      if (tick.named) text(kLeft - 8, y_.at(tick.value) + 4, fmt::format("{:g}", tick.value), "end", 12, "#444");
    }
    line(x_.from, y_.from, x_.to, y_.from, "#888", 1);
    line(kLeft, y_.from, kLeft, y_.to, "#888", 1);
    text((x_.from + x_.to) / 2, kHeight - 22, "operations per byte", "middle", 13, "#333");
    const double middle = (y_.from + y_.to) / 2;
    text(22, middle, "GOP/s", "middle", 13, "#333", fmt::format(" transform=\"rotate(-90 22 {:.1f})\"", middle));
    if (!has_strip_) return;
    line(x_.from, y_.from, x_.from, y_.to, "#bbb", 1, " stroke-dasharray=\"3 3\"");
    text(kLeft + 4, y_.from + 34, "bytes only", "start", 12, "#444");
  }

  /// A flat roof from where the memory's slope meets it.
  void draw_flat(double gops, const std::string& name, const char* colour, LabelLayout& layout) {
    const double ridge = std::clamp(gops / peaks_.memory_gbytes, x_.low, x_.high);
    line(x_.at(ridge), y_.at(gops), x_.to, y_.at(gops), colour, 2);
    const std::string words = fmt::format("{}: {:.0f} GOP/s", name, gops);
    const double width = kLetter * 1.1 * static_cast<double>(words.size());
    text(x_.to - 6, y_.at(gops) - 5, words, "end", 12, colour);
    layout.take({x_.to - 6 - width, y_.at(gops) - 18, width, 20});
    layout.take({x_.at(ridge), y_.at(gops) - 2, x_.to - x_.at(ridge), 4});
  }

  void draw_roofs(LabelLayout& layout) {
    const double top = std::max(peaks_.fma_gflops, peaks_.int8_gops);
    const double end = std::min(x_.high, top / peaks_.memory_gbytes),
                 begin = std::max(x_.low, y_.low / peaks_.memory_gbytes);
    line(x_.at(begin), y_.at(begin * peaks_.memory_gbytes), x_.at(end), y_.at(end * peaks_.memory_gbytes), "#333", 2);
    if (has_strip_ && begin == x_.low)
      line(kLeft, y_.at(begin * peaks_.memory_gbytes), x_.from, y_.at(begin * peaks_.memory_gbytes), "#333", 2);
    // Labels keep off the slope: small boxes along it.
    const double steps = 60;
    for (double i = 0; i <= steps; ++i) {
      const double x = begin * std::pow(end / begin, i / steps);
      layout.take({x_.at(x) - 3, y_.at(x * peaks_.memory_gbytes) - 3, 6, 6});
    }
    draw_slope_name(begin, end, layout);
    draw_flat(peaks_.int8_gops, "int8", "#333", layout);
    draw_flat(peaks_.fma_gflops, "fp32 FMA", "#333", layout);
  }

  struct Spot {
    double x, y;
  };
  /// Of a few places on the memory roof, the one farthest from any point.
  Spot emptiest_place(double begin, double end) const {
    const std::vector<Spot> points = spots();
    Spot best{};
    double farthest = -1;
    for (const double part : {0.5, 0.35, 0.65, 0.2, 0.8}) {
      const double at = begin * std::pow(end / begin, part);
      const Spot place{x_.at(at), y_.at(at * peaks_.memory_gbytes)};
      double nearest = 200;  // beyond that all are alike, and the first is best
      for (const Spot& p : points) nearest = std::min(nearest, std::hypot(p.x - place.x, p.y - place.y));
      if (nearest > farthest) farthest = nearest, best = place;
    }
    return best;
  }

  void draw_slope_name(double begin, double end, LabelLayout& layout) {
    const std::string words = fmt::format("memory: {:.1f} GB/s", peaks_.memory_gbytes);
    const Spot spot = emptiest_place(begin, end);
    const double x = spot.x, y = spot.y;
    const double angle = std::atan2(y_.at(2 * y_.low) - y_.at(y_.low), x_.at(2 * x_.low) - x_.at(x_.low)) * 180 / M_PI;
    text(x, y - 7, words, "middle", 12, "#333",
         fmt::format(" transform=\"rotate({:.1f} {:.1f} {:.1f})\"", angle, x, y));
    const double half = kLetter * static_cast<double>(words.size()) / 2, slope = std::tan(angle * M_PI / 180);
    for (double dx = -half; dx < half; dx += 8) layout.take({x + dx - 12, y + dx * slope - 20, 16, 18});
  }

  std::string colour_of(const std::string& room) const {
    const auto place = static_cast<std::size_t>(std::distance(rooms_.begin(), rooms_.find(room)));
    return kColours[place % std::size(kColours)];
  }

  /// Cases without operations share the strip, spread over its width.
  std::vector<Spot> spots() const {
    std::vector<Spot> spots;
    std::size_t in_strip = 0;
    for (const RooflinePoint& point : points_) {
      if (point.flop_per_byte > 0) {
        spots.push_back({x_.at(point.flop_per_byte), y_.at(point.gops)});
      } else {
        const double place = 0.08 + 0.24 * static_cast<double>(in_strip++ % 3);
        spots.push_back({kLeft + kStrip * place, std::min(y_.at(point.gops * x_.low), y_.from - 6)});
      }
    }
    return spots;
  }

  void mark(const Spot& spot, const RooflinePoint& point) {
    const std::string colour = colour_of(point.room);
    const std::string paint = point.chosen ? fmt::format("fill=\"{}\" stroke=\"#ffffff\" stroke-width=\"0.7\"", colour)
                                           : fmt::format("fill=\"#ffffff\" stroke=\"{}\" stroke-width=\"1.2\"", colour);
    const std::string title = fmt::format("<title>{}</title>", escaped(point.details));
    if (point.dtypes == "f32")
      out_ +=
          fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4.2\" {}>{}</circle>\n", spot.x, spot.y, paint, title);
    else
      out_ += fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"7.6\" height=\"7.6\" {}>{}</rect>\n", spot.x - 3.8,
                          spot.y - 3.8, paint, title);
  }

  void draw_points(LabelLayout& layout) {
    const std::vector<Spot> at = spots();
    for (const Spot& spot : at) layout.take({spot.x - 4.5, spot.y - 4.5, 9, 9});
    for (std::size_t i = 0; i < points_.size(); ++i) {
      const double width = kLetter * static_cast<double>(points_[i].label.size());
      const std::optional<Box> box = layout.place(at[i].x, at[i].y, width, kLine);
      if (!box) {
        ++unlabelled_;
        continue;
      }
      const double to_x = std::clamp(at[i].x, box->x, box->x + width),
                   to_y = std::clamp(at[i].y, box->y, box->y + kLine);
      const std::string colour = colour_of(points_[i].room);
      if (std::hypot(to_x - at[i].x, to_y - at[i].y) > 9)
        line(at[i].x, at[i].y, to_x, to_y, colour.c_str(), 0.5, " stroke-opacity=\"0.6\"");
      text(box->x, box->y + kLine - 2, points_[i].label, "start", 10, colour.c_str());
    }
    for (std::size_t i = 0; i < points_.size(); ++i) mark(at[i], points_[i]);  // over the lines
  }

  void draw_legend() {
    const double x = kWidth - kRight + 24;
    double y = kTop + 10;
    text(x, y, "Room", "start", 13, "#222");
    for (const std::string& room : rooms_) {
      y += 19;
      out_ +=
          fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4.5\" fill=\"{}\"/>\n", x + 6, y - 4, colour_of(room));
      text(x + 18, y, room, "start", 12, "#333");
    }
    y += 34;
    const auto any = [&](auto&& fits) { return std::any_of(points_.begin(), points_.end(), fits); };
    const auto row = [&](const char* words, const std::string& shape) {
      y += 19;
      out_ += shape + "\n";
      text(x + 18, y, words, "start", 12, "#333");
    };
    text(x, y, "Operands", "start", 13, "#222");
    if (any([](const RooflinePoint& p) { return p.dtypes == "f32"; }))
      row("fp32", fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4.5\" fill=\"#777\"/>", x + 6, y + 15));
    if (any([](const RooflinePoint& p) { return p.dtypes != "f32"; }))
      row("codes of 8 bits",
          fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"8\" height=\"8\" fill=\"#777\"/>", x + 2, y + 11));
    if (any([](const RooflinePoint& p) { return !p.chosen; }))
      row("hollow: not chosen here",
          fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4.2\" fill=\"#fff\" stroke=\"#777\"/>", x + 6, y + 15));
    y += 30;
    if (has_strip_)
      for (const char* words : {"bytes only: as far below the", "roof as slower than memory"})
        text(x, y, words, "start", 11, "#666"), y += 15;
    if (unlabelled_ > 0) text(x, y, fmt::format("{} labels had no room (hover)", unlabelled_), "start", 11, "#666");
  }

  std::vector<RooflinePoint> points_;
  const Peaks& peaks_;
  std::set<std::string> rooms_;
  Axis x_, y_;
  bool has_strip_ = false;
  std::size_t unlabelled_ = 0;
  std::string out_;
};

/// "pw1 bwd_data", and the row where several of one case are shown.
std::string label_of(const Entry& entry, bool several_rows) {
  const GroupParts parts = parts_of(entry.group);
  std::string pass = parts.pass;
  if (pass.starts_with(entry.room + "_")) pass = pass.substr(entry.room.size() + 1);
  std::string label = parts.shape + (pass == "fwd" ? "" : " " + pass);
  if (several_rows) label += " " + entry.impl;
  return label;
}

}  // namespace

std::vector<RooflinePoint> roofline_points(const std::vector<Result>& results) {
  std::vector<RooflinePoint> points;
  for (const Result& result : results) {
    if (!result.error.empty() || result.seconds <= 0) continue;
    const Entry& entry = *result.entry;
    const auto same = std::count_if(results.begin(), results.end(), [&](const Result& other) {
      return other.entry->room == entry.room && other.entry->group == entry.group &&
             other.entry->dtypes == entry.dtypes;
    });
    RooflinePoint point;
    point.label = label_of(entry, same > 1);
    point.details = fmt::format("{}: {}, {:.1f} % of the roof", entry.name, time_text(result.seconds), result.percent);
    point.room = entry.room, point.dtypes = entry.dtypes, point.chosen = entry.chosen;
    point.flop_per_byte = entry.work.ops / entry.work.bytes;
    point.gops = entry.work.ops > 0 ? result.gops() : result.gbytes();
    points.push_back(std::move(point));
  }
  return points;
}

std::string roofline_svg(const std::vector<RooflinePoint>& points, const Peaks& peaks) {
  return Plot(points, peaks).draw();
}

void write_roofline(const std::vector<Result>& results, const Peaks& peaks, const std::string& file) {
  write_file_atomically(file, roofline_svg(roofline_points(results), peaks));
}

}  // namespace octet::bench
