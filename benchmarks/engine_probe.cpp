// A program with octet::engine and nothing else: what the engine adds to a program, and what one picture costs in
// memory. Usage: engine_probe MODEL. Prints one line of JSON.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <string>
#include <vector>

#include "core/parallel.h"
#include "quant/engine/engine.h"

namespace {

/// VmHWM (the most ever) or VmRSS, in bytes.
long long resident(const char* key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(key))
      return std::strtoll(line.c_str() + std::char_traits<char>::length(key), nullptr, 10) * 1024;
  return 0;
}

void probe(const std::string& file) {
  using Clock = std::chrono::steady_clock;
  octet::set_num_threads(1);
  const long long before = resident("VmRSS:");
  const auto start = Clock::now();
  const auto engine = octet::engine::Engine::load(file);
  octet::engine::Session session(engine);
  const std::vector<float> picture(static_cast<std::size_t>(engine.picture_size()), 0.5f);
  std::vector<float> logits(static_cast<std::size_t>(engine.classes()));
  session.run(picture.data(), 1, logits.data());
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  const long long most = resident("VmHWM:"), now = resident("VmRSS:"),
                  weights = static_cast<long long>(engine.packed_bytes());
  std::printf(
      "{\"first_answer_seconds\": %.6f, \"weight_bytes\": %lld, \"session_bytes\": %zu, \"rss_before\": %lld, "
      "\"rss_now\": %lld, \"rss_peak\": %lld, "
      "\"peak_beyond_weights\": %lld, \"now_beyond_weights\": %lld}\n",
      seconds, weights, session.bytes(), before, now, most, most - before - weights, now - before - weights);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc == 2) {
      probe(argv[1]);
      return 0;
    }
    std::fputs("engine_probe: takes one model file of the engine\n", stderr);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "engine_probe: %s\n", error.what());
  }
  return argc == 2 ? 1 : 2;
}
