#include "benchmarks/bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "core/error.h"

namespace octet::bench {

std::vector<std::int64_t> Settings::forward_batches() const {
  if (batch == 1) return {1};
  return {batch, 1};
}

void Suite::add_entry(Entry entry) {
  entry.name = fmt::format("{}/{}/{}/{}", entry.room, entry.group, entry.dtypes, entry.impl);
  entries_.push_back(std::move(entry));
}

void Suite::require(const std::string& pass_and_dtypes) const {
  const bool known = std::find(seen_.begin(), seen_.end(), pass_and_dtypes) != seen_.end();
  OCTET_CHECK(known, "octet_bench", "no benchmark runs {}: its room's file in benchmarks/ needs a task",
              pass_and_dtypes);
}

void add_all(Suite& suite) {
  for (const auto add :
       {add_conv2d, add_dwconv2d, add_conv2d_bn, add_dwconv2d_bn, add_linear, add_batchnorm, add_fake_quant,
        add_quantize, add_grid_distance, add_pool, add_eltwise, add_momentum, add_softmax_xent, add_softmax_kl})
    add(suite);
}

std::string group_of(const std::string& what, const std::string& shape, std::int64_t batch) {
  return fmt::format("{}/{}/b{}", what, shape, batch);
}

GroupParts parts_of(const std::string& group) {
  GroupParts parts;
  const std::size_t first = group.find('/'), second = group.find("/b", first + 1);
  parts.pass = group.substr(0, first);
  if (first != std::string::npos) parts.shape = group.substr(first + 1, second - first - 1);
  if (second != std::string::npos) parts.batch = std::atoll(group.c_str() + second + 2);
  return parts;
}

}  // namespace octet::bench
