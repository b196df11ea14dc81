#include "benchmarks/sheet.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "benchmarks/json_text.h"

namespace octet::bench {
namespace {

using Json = nlohmann::ordered_json;

/// Letters, not bytes: "×" counts once.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string padded(const std::string& text, std::size_t width, bool left) {
  const std::string gap(width - std::min(width, width_of(text)), ' ');
  return left ? text + gap : gap + text;
}

const Value& value_at(const Sheet::Line& line, std::size_t column) {
  static const Value nothing;
  return column < line.values.size() ? line.values[column] : nothing;
}

std::vector<std::size_t> widths_of(const Sheet& sheet) {
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < sheet.columns.size(); ++c) {
    std::size_t width = width_of(sheet.columns[c].heading);
    for (const Sheet::Section& section : sheet.sections)
      for (const Sheet::Line& line : section.lines) width = std::max(width, width_of(value_at(line, c).text));
    widths.push_back(width);
  }
  return widths;
}

void print_figures(const Sheet& sheet, std::FILE* file) {
  std::size_t width = 0;
  for (const auto& [name, value] : sheet.figures)
    if (!value.text.empty()) width = std::max(width, width_of(name));
  for (const auto& [name, value] : sheet.figures)
    if (!value.text.empty()) fmt::print(file, "{}  {}\n", padded(name, width, true), value.text);
}

/// People see the columns that have a heading and, in this section, something to say.
std::vector<bool> visible_of(const Sheet& sheet, const Sheet::Section& section) {
  std::vector<bool> visible;
  for (std::size_t c = 0; c < sheet.columns.size(); ++c)
    visible.push_back(!sheet.columns[c].heading.empty() &&
                      std::any_of(section.lines.begin(), section.lines.end(),
                                  [&](const Sheet::Line& line) { return !value_at(line, c).text.empty(); }));
  return visible;
}

void print_table(const Sheet& sheet) {
  const std::vector<std::size_t> widths = widths_of(sheet);
  std::vector<bool> visible;
  const auto print_line = [&](auto&& text_of) {
    std::string line;
    for (std::size_t c = 0; c < sheet.columns.size(); ++c)
      if (visible[c]) line += padded(text_of(c), widths[c], sheet.columns[c].left) + "  ";
    while (!line.empty() && line.back() == ' ') line.pop_back();
    fmt::print("{}\n", line);
  };
  for (const Sheet::Section& section : sheet.sections) {
    visible = visible_of(sheet, section);
    fmt::print("\n{}\n", section.title);
    print_line([&](std::size_t c) { return sheet.columns[c].heading; });
    bool in_sums = !section.lines.empty() && section.lines[0].sum;
    for (const Sheet::Line& line : section.lines) {
      if (line.sum && !in_sums) fmt::print("\n");
      in_sums = line.sum;
      print_line([&](std::size_t c) { return value_at(line, c).text; });
    }
  }
  if (!sheet.figures.empty()) fmt::print("\n");
  print_figures(sheet, stdout);
  if (!sheet.notes.empty()) fmt::print("\n");
  for (const std::string& note : sheet.notes) fmt::print("{}\n", note);
}

void print_md(const Sheet& sheet) {
  for (const Sheet::Section& section : sheet.sections) {
    const std::vector<bool> visible = visible_of(sheet, section);
    fmt::print("\n{}\n\n|", section.title);
    for (std::size_t c = 0; c < sheet.columns.size(); ++c)
      if (visible[c]) fmt::print(" {} |", sheet.columns[c].heading);
    fmt::print("\n|");
    for (std::size_t c = 0; c < sheet.columns.size(); ++c)
      if (visible[c]) fmt::print("{}|", sheet.columns[c].left ? "---" : "--:");
    fmt::print("\n");
    for (const Sheet::Line& line : section.lines) {
      fmt::print("|");
      for (std::size_t c = 0; c < sheet.columns.size(); ++c) {
        const std::string& text = value_at(line, c).text;
        if (visible[c]) fmt::print(" {} |", line.sum && !text.empty() ? "**" + text + "**" : text);
      }
      fmt::print("\n");
    }
  }
  fmt::print("\n");
  for (const auto& [name, value] : sheet.figures)
    if (!value.text.empty()) fmt::print("- {}: {}\n", name, value.text);
  if (!sheet.notes.empty()) fmt::print("\n");
  for (const std::string& note : sheet.notes) fmt::print("{}\n", note);
}

Json json_of(const Value& value) {
  return std::visit(
      [](const auto& x) -> Json {
        if constexpr (std::is_same_v<std::decay_t<decltype(x)>, std::monostate>)
          return nullptr;
        else
          return x;
      },
      value.data);
}

void print_csv(const Sheet& sheet) {
  for (std::size_t c = 0; c < sheet.columns.size(); ++c) fmt::print("{}{}", c ? "," : "section,", sheet.columns[c].key);
  fmt::print("\n");
  for (const Sheet::Section& section : sheet.sections)
    for (const Sheet::Line& line : section.lines) {
      fmt::print("{}", csv_field(section.title));
      for (std::size_t c = 0; c < sheet.columns.size(); ++c) {
        const Json j = json_of(value_at(line, c));
        fmt::print(",{}", j.is_null() ? "" : j.is_string() ? csv_field(j.get<std::string>()) : j.dump());
      }
      fmt::print("\n");
    }
  print_figures(sheet, stderr);
}

void print_json(const Sheet& sheet, Json json) {
  Json& lines = json[sheet.name] = Json::array();
  for (const Sheet::Section& section : sheet.sections)
    for (const Sheet::Line& line : section.lines) {
      Json j{{"section", section.title}};
      for (std::size_t c = 0; c < sheet.columns.size(); ++c)
        if (Json value = json_of(value_at(line, c)); !value.is_null()) j[sheet.columns[c].key] = std::move(value);
      lines.push_back(std::move(j));
    }
  for (const auto& [name, value] : sheet.figures) json["figures"][name] = json_of(value);
  fmt::print("{}\n", json.dump(2));
}

}  // namespace

std::string time_text(double seconds) {
  if (seconds < 1e-6) return fmt::format("{:.0f} ns", seconds * 1e9);
  if (seconds < 1e-3) return fmt::format("{:.2f} us", seconds * 1e6);
  if (seconds < 1) return fmt::format("{:.3f} ms", seconds * 1e3);
  return fmt::format("{:.3f} s", seconds);
}

void print(const Sheet& sheet, const Facts& facts, const Peaks& peaks, Format format) {
  print_header(facts, peaks, format);
  switch (format) {
    case Format::table:
      print_table(sheet);
      break;
    case Format::md:
      print_md(sheet);
      break;
    case Format::csv:
      print_csv(sheet);
      break;
    case Format::json:
      print_json(sheet, json_header(facts, peaks));
      break;
  }
  std::fflush(stdout);
}

}  // namespace octet::bench
