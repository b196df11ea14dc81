// The "shapes" pictures: drawn, not photographed, so that everything runs without a download. Only portable arithmetic, so
// that a seed gives the same bytes on every machine.
#include <algorithm>
#include <array>
#include <cmath>

#include "core/parallel.h"
#include "core/portable_math.h"
#include "core/random.h"
#include "data/dataset.h"

namespace octet::data {
namespace {

constexpr double kPi = 3.14159265358979323846;
const std::vector<std::string> kNames{"disc", "ring",     "square", "triangle", "cross",
                                      "star", "crescent", "arrow",  "bars",     "hourglass"};

struct Point {
  double x, y;
};
using Polygon = std::vector<Point>;
using Colour = std::array<double, 3>;

Polygon star() {
  Polygon p;
  for (int i = 0; i < 10; ++i) {
    const double radius = i % 2 == 0 ? 1.0 : 0.42, angle = kPi * i / 5;
    p.push_back({radius * portable::sin(angle), -radius * portable::cos(angle)});
  }
  return p;
}
const Polygon kTriangle{{0, -0.95}, {0.87, 0.6}, {-0.87, 0.6}};
const Polygon kStar = star();
const Polygon kArrow{{0, -1}, {0.75, -0.1}, {0.28, -0.1}, {0.28, 0.95}, {-0.28, 0.95}, {-0.28, -0.1}, {-0.75, -0.1}};
const Polygon kHourglass{{-0.75, -0.9}, {0.75, -0.9}, {0.08, 0}, {0.75, 0.9}, {-0.75, 0.9}, {-0.08, 0}};

// Even-odd rule.
bool inside(const Polygon& p, double x, double y) {
  bool in = false;
  for (std::size_t i = 0, j = p.size() - 1; i < p.size(); j = i++)
    if ((p[i].y > y) != (p[j].y > y) && x < (p[j].x - p[i].x) * (y - p[i].y) / (p[j].y - p[i].y) + p[i].x) in = !in;
  return in;
}

// Is (x, y), in the figure's own frame of about [-1, 1]², part of figure `kind`?
bool covers(int kind, double x, double y) {
  const double r2 = x * x + y * y, ax = std::fabs(x), ay = std::fabs(y);
  switch (kind) {
    case 0:
      return r2 < 0.85 * 0.85;
    case 1:
      return r2 < 0.95 * 0.95 && r2 > 0.55 * 0.55;
    case 2:
      return std::max(ax, ay) < 0.75;
    case 3:
      return inside(kTriangle, x, y);
    case 4:
      return std::min(ax, ay) < 0.28 && std::max(ax, ay) < 0.95;
    case 5:
      return inside(kStar, x, y);
    case 6:
      return r2 < 0.95 * 0.95 && (x - 0.45) * (x - 0.45) + y * y > 0.72 * 0.72;
    case 7:
      return inside(kArrow, x, y);
    case 8:
      return ay < 0.85 && (ax < 0.16 || (ax > 0.5 && ax < 0.82));
    default:
      return inside(kHourglass, x, y);
  }
}

struct Figure {
  int kind;
  double x, y, cos, sin, scale_x, scale_y;  // centre, rotation, half extents in pixels
  Colour colour;
};

Colour random_colour(Random& random) {
  return {random.uniform(20, 235), random.uniform(20, 235), random.uniform(20, 235)};
}

double distance(const Colour& a, const Colour& b) {
  return std::fabs(a[0] - b[0]) + std::fabs(a[1] - b[1]) + std::fabs(a[2] - b[2]);
}

Figure random_figure(Random& random, int kind, double size_lo, double size_hi, double centre_range,
                     const Colour& colour) {
  Figure f;
  f.kind = kind;
  f.x = kSide / 2.0 + random.uniform(-centre_range, centre_range);
  f.y = kSide / 2.0 + random.uniform(-centre_range, centre_range);
  const double angle = random.uniform(-0.4, 0.4), size = random.uniform(size_lo, size_hi);
  f.cos = portable::cos(angle);
  f.sin = portable::sin(angle);
  f.scale_x = size * random.uniform(0.85, 1.15);
  f.scale_y = size * random.uniform(0.85, 1.15);
  f.colour = colour;
  return f;
}

using Canvas = std::array<double, kPictureBytes>;

// Four samples a pixel. Every figure lies within [-1, 1]² of its own frame, so the rest of the canvas need not be asked.
void draw(const Figure& f, Canvas& canvas) {
  const double reach = 1.5 * std::max(f.scale_x, f.scale_y) + 1;
  const auto first = [&](double centre) {
    return std::clamp<std::int64_t>(static_cast<std::int64_t>(std::floor(centre - reach)), 0, kSide);
  };
  const auto last = [&](double centre) {
    return std::clamp<std::int64_t>(static_cast<std::int64_t>(std::ceil(centre + reach)), 0, kSide);
  };
  for (std::int64_t row = first(f.y); row < last(f.y); ++row)
    for (std::int64_t col = first(f.x); col < last(f.x); ++col) {
      int hits = 0;
      for (int sample = 0; sample < 4; ++sample) {
        const double dx = static_cast<double>(col) + 0.25 + 0.5 * (sample % 2) - f.x;
        const double dy = static_cast<double>(row) + 0.25 + 0.5 * (sample / 2) - f.y;
        hits += covers(f.kind, (dx * f.cos + dy * f.sin) / f.scale_x, (dy * f.cos - dx * f.sin) / f.scale_y);
      }
      double* pixel = &canvas[static_cast<std::size_t>((row * kSide + col) * kChannels)];
      for (std::size_t c = 0; c < 3; ++c) pixel[c] += (f.colour[c] - pixel[c]) * hits / 4;
    }
}

// A small figure of any kind. One random number a statement: compilers order the arguments of a call differently.
void draw_clutter(Random& random, double most_size, double centre_range, Canvas& canvas) {
  const Colour colour = random_colour(random);
  const int kind = static_cast<int>(random.below(kNames.size()));
  draw(random_figure(random, kind, 1.5, most_size, centre_range, colour), canvas);
}

void gradient(const Colour& from, const Colour& to, double angle, Canvas& canvas) {
  const double along_x = portable::cos(angle) / kSide, along_y = portable::sin(angle) / kSide;
  for (std::int64_t i = 0; i < kSide * kSide; ++i) {
    const double t =
        0.5 + (static_cast<double>(i % kSide) - 15.5) * along_x + (static_cast<double>(i / kSide) - 15.5) * along_y;
    for (std::size_t c = 0; c < 3; ++c)
      canvas[static_cast<std::size_t>(i * kChannels) + c] = from[c] + (to[c] - from[c]) * std::clamp(t, 0.0, 1.0);
  }
}

// Picture `index` of stream `split`: background, clutter of small figures, the figure, perhaps something over its edge, noise.
int paint(std::uint64_t seed, std::uint64_t split, std::int64_t index, std::uint8_t* pixels) {
  Random random(seed, Purpose::synthetic, split, static_cast<std::uint64_t>(index));
  const int label = static_cast<int>(random.below(kNames.size()));
  Canvas canvas;
  const Colour from = random_colour(random), to = random_colour(random);
  gradient(from, to, random.uniform(0, 2 * kPi), canvas);
  for (std::uint64_t i = 0, n = 1 + random.below(4); i < n; ++i) draw_clutter(random, 3.5, 16, canvas);
  Colour colour = random_colour(random);
  while (distance(colour, from) < 160 || distance(colour, to) < 160) colour = random_colour(random);
  draw(random_figure(random, label, 9, 13, 3, colour), canvas);
  for (std::uint64_t i = 0, n = random.below(3); i < n; ++i) draw_clutter(random, 3, 14, canvas);
  const double noise = random.uniform(2, 14);
  for (std::size_t i = 0; i < canvas.size(); ++i)
    pixels[i] = static_cast<std::uint8_t>(std::clamp(canvas[i] + noise * random.normal() + 0.5, 0.0, 255.0));
  return label;
}

Dataset paint_all(std::uint64_t seed, std::uint64_t split, std::int64_t count) {
  OCTET_CHECK(count >= 0 && count <= 1000000, "synthetic", "{} pictures are not in [0, 1000000]", count);
  Dataset set{"synthetic", Tensor({count, kSide, kSide, kChannels}, DType::u8), Tensor({count}, DType::s32), kNames};
  std::uint8_t* pixels = set.pictures.data<std::uint8_t>();
  std::int32_t* labels = set.labels.data<std::int32_t>();
  parallel_for(count, [&](std::int64_t i) { labels[i] = paint(seed, split, i, pixels + i * kPictureBytes); });
  return set;
}

}  // namespace

Split synthetic_shapes(std::uint64_t seed, std::int64_t train_pictures, std::int64_t test_pictures) {
  return {paint_all(seed, 0, train_pictures), paint_all(seed, 1, test_pictures)};
}

}  // namespace octet::data
