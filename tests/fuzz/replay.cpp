// Runs a target on every seed of a folder, without libFuzzer: seeds named good_* must get through to the end, all
// others must be refused.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "core/file.h"
#include "tests/fuzz/target.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s CORPUS\n", argv[0]);
    return 2;
  }
  std::vector<std::filesystem::path> seeds;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) seeds.push_back(entry.path());
  std::sort(seeds.begin(), seeds.end());
  int good = 0, wrong = 0;
  for (const auto& seed : seeds) {
    const bool wanted = seed.filename().string().starts_with("good_");
    good += wanted;
    if (octet::fuzz::accepts(octet::read_file(seed.string())) == wanted) continue;
    std::fprintf(stderr, "%s was %s\n", seed.c_str(), wanted ? "refused" : "taken");
    ++wrong;
  }
  std::printf("%zu seeds, %d of them good, %d with another answer\n", seeds.size(), good, wrong);
  return good > 0 && wrong == 0 ? 0 : 1;
}
