// A table whose columns differ from mode to mode (--network, --step), and the four ways to print it.
#pragma once
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "benchmarks/report.h"

namespace octet::bench {

/// What a cell says to people, and to programs; an empty cell is neither.
struct Value {
  std::string text;
  std::variant<std::monostate, double, std::int64_t, bool, std::string> data;

  Value() = default;
  Value(std::string words) : text(words), data(std::move(words)) {}
  Value(std::string words, double number) : text(std::move(words)), data(number) {}
  Value(std::string words, std::int64_t number) : text(std::move(words)), data(number) {}
  Value(std::string words, bool yes) : text(std::move(words)), data(yes) {}
};

struct Sheet {
  struct Column {
    std::string key;      ///< in csv and json
    std::string heading;  ///< in table and md; empty: not shown there
    bool left = false;
  };
  struct Line {
    std::vector<Value> values;  ///< as columns; fewer: the rest is empty
    bool sum = false;           ///< set apart in table and md
  };
  struct Section {
    std::string title;
    std::vector<Line> lines;
  };

  std::string name;  ///< key of the lines in json
  std::vector<Column> columns;
  std::vector<Section> sections;
  std::vector<std::pair<std::string, Value>> figures;  ///< single numbers; without text: json only
  std::vector<std::string> notes;                      ///< how to read it; table and md only
};

/// Everything goes to stdout, the system's facts, figures and notes of csv to stderr.
void print(const Sheet& sheet, const Facts& facts, const Peaks& peaks, Format format);

/// "812.30 us": three digits behind the point, or two.
std::string time_text(double seconds);

}  // namespace octet::bench
