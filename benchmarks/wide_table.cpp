#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "benchmarks/keeping.h"
#include "kernels/select.h"

namespace octet::bench {
namespace {

constexpr const char* kImpls[] = {"reference",  "avx2",       "avxvnni", "avx512",
                                  "avx512vnni", "avx512bf16", "onednn",  "openblas"};

/// Results of one group and dtypes.
struct Case {
  std::vector<const Result*> rows;
  const Result* of(const std::string& impl) const {
    const auto found = std::find_if(rows.begin(), rows.end(), [&](const Result* r) { return r->entry->impl == impl; });
    return found == rows.end() ? nullptr : *found;
  }
  /// The quickest of our own rows, or of the vendors'; null when none was measured.
  const Result* best(bool vendor) const {
    const Result* best = nullptr;
    for (const Result* r : rows)
      if (r->error.empty() && kernels::is_vendor(r->entry->impl.c_str()) == vendor &&
          (best == nullptr || r->seconds < best->seconds))
        best = r;
    return best;
  }
};

std::vector<Case> cases_of(const std::vector<Result>& results) {
  std::vector<Case> cases;
  for (const Result& result : results) {
    const Entry& e = *result.entry;
    const auto same = std::find_if(cases.begin(), cases.end(), [&](const Case& c) {
      const Entry& first = *c.rows[0]->entry;
      return first.room == e.room && first.group == e.group && first.dtypes == e.dtypes;
    });
    (same == cases.end() ? cases.emplace_back() : *same).rows.push_back(&result);
  }
  return cases;
}

Value cell_of(const Result* result, const Result* fastest) {
  if (result == nullptr) return {};
  Value value;
  value.text = "ERROR";
  if (!result->error.empty()) return value;
  const bool memory = result->bound == Bound::memory;
  const double rate = memory ? result->gbytes() : result->gops();
  const char* mark = result->entry->chosen ? ">" : "";
  return {fmt::format("{}{:.1f}{}", mark, rate, result == fastest ? "*" : " "), result->seconds};
}

Sheet::Line line_of(const Case& c) {
  const Result *own = c.best(false), *vendor = c.best(true);
  const Result* fastest = vendor != nullptr && (own == nullptr || vendor->seconds < own->seconds) ? vendor : own;
  const Entry& entry = *c.rows[0]->entry;
  Sheet::Line line;
  line.values = {Value(entry.room), Value(entry.group), Value(entry.dtypes)};
  for (const char* impl : kImpls) line.values.push_back(cell_of(c.of(impl), fastest));
  const bool memory = fastest != nullptr && fastest->bound == Bound::memory;
  line.values.push_back(Value(fastest == nullptr ? "" : memory ? "GB/s" : "GOP/s"));
  line.values.push_back(own == nullptr ? Value() : Value(fmt::format("{:.1f} %", own->percent), own->percent));
  if (own != nullptr && vendor != nullptr)
    line.values.push_back({fmt::format("{:.2f}x", vendor->seconds / own->seconds), vendor->seconds / own->seconds});
  return line;
}

void add_vendor_figures(Sheet& sheet, const std::vector<Case>& cases) {
  double logs = 0, wins = 0, count = 0;
  for (const Case& c : cases) {
    const Result *own = c.best(false), *vendor = c.best(true);
    if (own == nullptr || vendor == nullptr) continue;
    logs += std::log(vendor->seconds / own->seconds), wins += own->seconds <= vendor->seconds, ++count;
  }
  if (count == 0) return;
  const double mean = std::exp(logs / count);
  sheet.figures.push_back(
      {"own_over_vendor",
       {fmt::format("{:.2f}x as fast as the best vendor row (geometric mean), ahead in {:.0f} of {:.0f} cases", mean,
                    wins, count),
        mean}});
}

}  // namespace

Sheet wide_sheet(const std::vector<Result>& results, const std::vector<Share>& shares) {
  Sheet sheet;
  sheet.name = "cases";
  sheet.columns = {{"room", ""}, {"group", "case", true}, {"dtypes", "dtypes", true}};
  for (const char* impl : kImpls) sheet.columns.push_back({fmt::format("{}_seconds", impl), impl});
  sheet.columns.push_back({"unit", "unit", true});
  sheet.columns.push_back({"own_percent_of_peak", "own of peak"});
  sheet.columns.push_back({"own_over_vendor", "own/vendor"});
  const std::vector<Case> cases = cases_of(results);
  Sheet::Section section;
  section.title = "all rows side by side";
  for (const Case& c : cases) section.lines.push_back(line_of(c));
  sheet.sections.push_back(std::move(section));
  add_vendor_figures(sheet, cases);
  for (const Share& s : shares)
    sheet.figures.push_back({fmt::format("share of peak {} {}", s.pass, s.dtypes), {share_text(s), s.geomean}});
  sheet.notes = {"> the row that selection runs, * the fastest; own/vendor: how often faster our best row is."};
  return sheet;
}

}  // namespace octet::bench
