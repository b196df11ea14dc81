#include "apps/chart/svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace octet::chart {
namespace {

constexpr const char* kColours[] = {"#2b7bc0", "#d9641e", "#2f9a51", "#9257b8",
                                    "#b3860f", "#c9407f", "#1b94a0", "#7d7468"};

const char* name_of(Anchor anchor) {
  return anchor == Anchor::start ? "start" : anchor == Anchor::middle ? "middle" : "end";
}

std::string title_of(const std::string& title) { return title.empty() ? "" : "<title>" + escaped(title) + "</title>"; }

std::string list_of(const std::vector<Point>& points) {
  std::string list;
  for (const Point& p : points) list += fmt::format("{}{:.1f},{:.1f}", list.empty() ? "" : " ", p.x, p.y);
  return list;
}

}  // namespace

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else if (static_cast<unsigned char>(c) >= 0x20)
      out += c;
  }
  return out;
}

const char* colour(std::size_t i) { return kColours[i % std::size(kColours)]; }

std::string dashes(std::size_t i) {
  constexpr const char* kPatterns[] = {"", "stroke-dasharray=\"7 4\"", "stroke-dasharray=\"2 3\"",
                                       "stroke-dasharray=\"9 3 2 3\""};
  return kPatterns[i / std::size(kColours) % std::size(kPatterns)];
}

std::string filled(const std::string& colour, double opacity) {
  return opacity < 1 ? fmt::format("fill=\"{}\" fill-opacity=\"{:g}\"", colour, opacity)
                     : fmt::format("fill=\"{}\"", colour);
}

Svg::Svg(double width, double height, const std::string& description)
    : width_(width), height_(height), description_(description) {}

void Svg::text(Point at, const std::string& words, Anchor anchor, double size, const std::string& colour,
               const std::string& more) {
  shapes_ +=
      fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" font-size=\"{:g}\" fill=\"{}\"{}>{}</text>\n",
                  at.x, at.y, name_of(anchor), size, colour, more.empty() ? "" : " " + more, escaped(words));
}

void Svg::line(Point from, Point to, const std::string& colour, double width, const std::string& more) {
  shapes_ += fmt::format(
      "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\" stroke-width=\"{:g}\"{}/>\n", from.x,
      from.y, to.x, to.y, colour, width, more.empty() ? "" : " " + more);
}

void Svg::polygon(const std::vector<Point>& points, const std::string& paint) {
  shapes_ += fmt::format("<polygon points=\"{}\" {}/>\n", list_of(points), paint);
}

void Svg::polyline(const std::vector<Point>& points, const std::string& colour, double width, const std::string& more) {
  shapes_ += fmt::format(
      "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{:g}\" stroke-linejoin=\"round\"{}/>\n",
      list_of(points), colour, width, more.empty() ? "" : " " + more);
}

void Svg::rect(Point corner, double width, double height, const std::string& paint, const std::string& title) {
  shapes_ += fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" {}>{}</rect>\n", corner.x,
                         corner.y, width, height, paint, title_of(title));
}

void Svg::circle(Point centre, double radius, const std::string& paint, const std::string& title) {
  shapes_ += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:g}\" {}>{}</circle>\n", centre.x, centre.y, radius,
                         paint, title_of(title));
}

void Svg::place(Point corner, const Svg& part) {
  shapes_ += fmt::format("<g transform=\"translate({:.1f} {:.1f})\">\n{}</g>\n", corner.x, corner.y, part.shapes_);
}

std::string Svg::opening(const std::string& more) const {
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {:g} {:g}\" role=\"img\" aria-label=\"{}\" "
      "font-family=\"Helvetica, Arial, sans-serif\" {}>\n",
      width_, height_, escaped(description_), more);
}

std::string Svg::inline_text() const {
  return opening(fmt::format("style=\"width:100%;max-width:{:g}px;height:auto\"", width_)) + shapes_ + "</svg>\n";
}

std::string Svg::file_text() const {
  return opening(fmt::format("width=\"{:g}\" height=\"{:g}\" color=\"#222222\"", width_, height_)) +
         "<style>svg{background:#ffffff;color:#222222}@media(prefers-color-scheme:dark){svg{background:#15181c;color:#"
         "dddddd}}</style>\n" +
         shapes_ + "</svg>\n";
}

Svg stacked(const std::string& description, const std::vector<Svg>& parts) {
  double width = 0, height = 0;
  for (const Svg& part : parts) width = std::max(width, part.width()), height += part.height();
  Svg all(width, height, description);
  double y = 0;
  for (const Svg& part : parts) {
    all.place({0, y}, part);
    y += part.height();
  }
  return all;
}

}  // namespace octet::chart
