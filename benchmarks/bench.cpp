#include "benchmarks/bench.h"

#include <fmt/format.h>

#include <algorithm>

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
  for (const auto add : {add_conv2d, add_dwconv2d, add_linear, add_batchnorm, add_fake_quant, add_quantize, add_pool,
                         add_eltwise, add_momentum, add_softmax_xent})
    add(suite);
}

std::string group_of(const std::string& what, const std::string& shape, std::int64_t batch) {
  return fmt::format("{}/{}/b{}", what, shape, batch);
}

}  // namespace octet::bench
