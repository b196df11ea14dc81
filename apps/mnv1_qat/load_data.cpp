#include "apps/mnv1_qat/load_data.h"

#include <chrono>
#include <memory>

#include "core/error.h"
#include "core/file.h"
#include "core/stopwatch.h"
#include "data/download.h"

namespace octet::app {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kQuietReading = 1;  // seconds of reading pictures without a bar

}  // namespace

data::Split load_split(const Options& options, const data::Limits& limits, const Console& console) {
  std::unique_ptr<optim::ProgressBar> bar;
  if (!options.download) {
    const auto start = Clock::now();
    return data::load(options.data, limits, [&](std::int64_t done, std::int64_t total) {
      if (!bar && seconds_since(start) < kQuietReading) return;
      if (!bar) bar = std::make_unique<optim::ProgressBar>("read", total, "pictures", console.bar_style(), done);
      done < total ? bar->update(done, "") : bar->finish("");
    });
  }
  const std::string url = options.download_url.empty() ? data::kCifar10Url : options.download_url;
  const auto show = [&](std::int64_t done, std::int64_t total) {
    if (!bar) bar = std::make_unique<optim::ProgressBar>("download", total, "bytes", console.bar_style(), done);
    done < total ? bar->update(done, "") : bar->finish("");
  };
  return data::load(data::download_cifar10(options.download_dir, url, show), limits);
}

// Training pictures are of no use here: one, so that the synthetic ones need not be drawn.
data::Dataset load_test(const Options& options, const Console& console) {
  return load_split(options, {1, options.limit_test}, console).test;
}

Tensor test_pictures(const Options& options, const char* where) {
  const data::Dataset test = load_test(options, Console(options));
  Tensor all({static_cast<std::int64_t>(options.indices.size()), data::kSide, data::kSide, data::kChannels}, DType::u8);
  for (std::size_t i = 0; i < options.indices.size(); ++i) {
    const std::int64_t index = options.indices[i], at = static_cast<std::int64_t>(i);
    OCTET_CHECK(index < test.size(), where, "picture {} of a test set of {}", index, test.size());
    all.slice(at, at + 1).copy_from(test.pictures.slice(index, index + 1));
  }
  return all;
}

std::string identity_of(const data::Dataset& data) {
  if (data.source != "pictures") return data.source;
  std::uint32_t sum = crc32c(data.pictures.raw(), data.pictures.nbytes());
  sum = crc32c(data.labels.raw(), data.labels.nbytes(), sum);
  for (const std::string& name : data.class_names) sum = crc32c(name.c_str(), name.size() + 1, sum);
  return fmt::format("{} {:08x}", data.source, sum);
}

void require_same_classes(const char* where, const std::string& file, const std::vector<std::string>& class_names,
                          const data::Dataset& data) {
  OCTET_CHECK(class_names == data.class_names, where,
              "'{}' was trained on other classes than '{}' has ---> HINT give its own pictures by --data", file,
              data.source);
}

}  // namespace octet::app
