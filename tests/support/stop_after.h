// A fit that ends in the middle, as a kill would end it.
#pragma once
#include <cstdint>

#include "optim/trainer.h"

namespace octet::test {

struct Stop {};

/// Throws Stop after so many steps; 0: never.
struct StopAfter : optim::Callback {
  explicit StopAfter(std::int64_t steps) : left(steps) {}
  void on_step(const optim::Progress&) override {
    if (--left == 0) throw Stop();
  }
  std::int64_t left;
};

}  // namespace octet::test
