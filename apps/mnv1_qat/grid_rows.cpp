#include "apps/mnv1_qat/grid_rows.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/mnv1_qat/json_lines.h"
#include "apps/mnv1_qat/run_folder.h"
#include "core/error.h"
#include "core/file.h"
#include "quant/config.h"

namespace octet::app {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const GridRow& row) {
  Json j{{"method", row.method}, {"bits", row.bits}, {"seed", row.seed}};
  if (row.error.empty())
    j.update({{"top1", row.top1},
              {"top5", row.top5},
              {"loss", row.loss},
              {"fake_quant_top1", row.fake_quant_top1},
              {"pictures", row.pictures},
              {"packed_bytes", row.packed_bytes},
              {"file_bytes", row.file_bytes}});
  else
    j["error"] = row.error;
  if (row.kept) j["kept"] = true;
  j["made_by"] = Json::parse(row.tag);
  return j;
}

/// None unless every value is there and of its kind.
std::optional<GridRow> row_of(const Json& j) {
  bool good = true;
  const auto at = [&](const char* key, auto is_kind) -> const Json& {
    static const Json kNone;
    const bool there = j.contains(key) && (j[key].*is_kind)();
    good = good && there;
    return there ? j[key] : kNone;
  };
  const auto text = [&](const char* key) {
    const Json& value = at(key, &Json::is_string);
    return value.is_string() ? value.get<std::string>() : std::string();
  };
  const auto whole = [&](const char* key) {
    const Json& value = at(key, &Json::is_number_unsigned);
    return value.is_number_unsigned() ? value.get<std::uint64_t>() : 0;
  };
  const auto number = [&](const char* key) {
    const Json& value = at(key, &Json::is_number);
    return value.is_number() ? value.get<double>() : 0;
  };
  GridRow row;
  row.method = text("method"), row.seed = whole("seed"), row.tag = at("made_by", &Json::is_object).dump();
  row.bits = static_cast<int>(std::min<std::uint64_t>(whole("bits"), kFloatBits));
  row.kept = j.contains("kept") && j["kept"] == true;
  if (j.contains("error")) {
    row.error = text("error");
  } else {
    row.top1 = number("top1"), row.top5 = number("top5"), row.loss = number("loss");
    row.fake_quant_top1 = number("fake_quant_top1");
    row.pictures = static_cast<std::int64_t>(whole("pictures"));
    row.packed_bytes = whole("packed_bytes"), row.file_bytes = whole("file_bytes");
  }
  return good ? std::optional(row) : std::nullopt;
}

/// A tag with every key of its configuration.
std::string completed(const std::string& tag) {
  Json j = Json::parse(tag);
  if (!j.contains("quant")) return tag;
  try {
    j["quant"] = Json::parse(quant::to_json(quant::parse_config(j["quant"].dump())));
  } catch (const Error&) {  // of another version: it differs, whatever it is
  }
  return j.dump();
}

}  // namespace

GridRows::GridRows(std::string path) : path_(std::move(path)) {
  mend_last_line(path_);
  for (const Json& line : read_json_lines(path_))
    if (auto row = row_of(line)) rows_.push_back(std::move(*row));
}

const GridRow* GridRows::find(const std::string& method, int bits, std::uint64_t seed) const {
  const auto at = std::find_if(rows_.begin(), rows_.end(), [&](const GridRow& row) {
    return row.method == method && row.bits == bits && row.seed == seed;
  });
  return at == rows_.end() ? nullptr : &*at;
}

const GridRow* GridRows::find(const std::string& method, int bits, std::uint64_t seed, const std::string& tag) const {
  const GridRow* row = find(method, bits, seed);
  if (row == nullptr) return nullptr;
  const std::string before = completed(row->tag), now = completed(tag);
  if (before != now)
    fail("compare",
         fmt::format("the row of {}, {} bits, seed {} in '{}' was made otherwise: {}", method, bits, seed, path_,
                     differences(before, now)),
         "another --out keeps both");
  return row;
}

void GridRows::add(const GridRow& row) {
  append_line(path_, json_of(row).dump(), true);
  rows_.push_back(row);
}

}  // namespace octet::app
