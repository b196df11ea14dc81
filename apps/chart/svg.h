// A drawing in SVG, written shape by shape.
#pragma once
#include <string>
#include <utility>
#include <vector>

namespace octet::chart {

/// As XML text or attribute: markup escaped, control characters left out.
std::string escaped(const std::string& text);

/// Colour of text and axes: the page's own, so that a drawing suits light and dark pages. Others read well on both.
inline constexpr const char* kInk = "currentColor";
/// The colour of the i-th of several things; repeats after eight.
const char* colour(std::size_t i);
/// Attributes of the i-th of several lines: whole for the first eight, then dashed, in the same colours.
std::string dashes(std::size_t i);

enum class Anchor { start, middle, end };

struct Point {
  double x = 0, y = 0;
};

/// Shapes lie over those drawn before. Lengths in pixels, y downwards. `title` shows when the pointer rests on a shape;
/// `more` are further attributes.
class Svg {
 public:
  /// `description` is the picture in words, for who does not see it.
  Svg(double width, double height, const std::string& description);

  void text(Point at, const std::string& words, Anchor anchor, double size, const std::string& colour = kInk,
            const std::string& more = "");
  void line(Point from, Point to, const std::string& colour, double width, const std::string& more = "");
  void polyline(const std::vector<Point>& points, const std::string& colour, double width,
                const std::string& more = "");
  /// A closed shape.
  void polygon(const std::vector<Point>& points, const std::string& paint);
  void rect(Point corner, double width, double height, const std::string& paint, const std::string& title = "");
  void circle(Point centre, double radius, const std::string& paint, const std::string& title = "");
  /// Another drawing, its corner there.
  void place(Point corner, const Svg& part);

  double width() const { return width_; }
  double height() const { return height_; }
  /// To stand in an HTML page: as wide as there is room, at most `width`, in the page's colours.
  std::string inline_text() const;
  /// A file of its own, on a background that follows the viewer's light or dark setting.
  std::string file_text() const;

 private:
  std::string opening(const std::string& more) const;
  double width_, height_;
  std::string description_, shapes_;
};

/// Drawings one below the other.
Svg stacked(const std::string& description, const std::vector<Svg>& parts);

/// "fill:colour" as the attributes of a shape's paint.
std::string filled(const std::string& colour, double opacity = 1);

}  // namespace octet::chart
