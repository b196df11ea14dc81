#include "apps/lessons/lesson.h"

#include <fmt/core.h>

#include <cmath>
#include <filesystem>

#include "core/error.h"
#include "core/file.h"
#include "core/random.h"

namespace octet::lesson {

int run(int argc, char** argv, chart::Svg (*teach)()) {
  const std::string name = std::filesystem::path(argv[0]).filename();
  const bool draws = argc == 3 && std::string(argv[1]) == "-o";
  if (argc != 1 && !draws) {
    fmt::print(stderr, "usage: {} [-o FILE.svg]\n", name);
    return 2;
  }
  try {
    const chart::Svg picture = teach();
    if (draws) write_file_atomically(argv[2], picture.file_text());
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}: {}\n", name, error.what());
    return 1;
  }
  return 0;
}

std::vector<float> normals(std::size_t count, double sigma, std::uint64_t stream) {
  std::vector<float> values(count);
  fill_normal(values, sigma, 1, Purpose::test, stream);
  return values;
}

double rms_error(std::span<const float> a, std::span<const float> b) {
  OCTET_CHECK(a.size() == b.size() && !a.empty(), "lesson", "{} values against {}", a.size(), b.size());
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double error = static_cast<double>(b[i]) - static_cast<double>(a[i]);
    sum += error * error;
  }
  return std::sqrt(sum / static_cast<double>(a.size()));
}

double rms_error(std::span<const float> values, const QuantParams& grid) {
  std::vector<float> rounded;
  for (const float x : values) rounded.push_back(grid.dequantize(grid.quantize(x)));
  return rms_error(values, rounded);
}

}  // namespace octet::lesson
