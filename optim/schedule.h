// Learning rate as a function of the step.
#pragma once
#include <cstdint>
#include <string>

namespace octet::optim {

enum class ScheduleKind { constant, cosine, step };

/// constant: base. cosine: base·(1 + cos(π·step/total))/2 (Loshchilov & Hutter 2017). step: base·0.1 after half of the
/// steps, base·0.01 after three quarters. Of the first `warmup` steps, the n-th has n/warmup of that (Goyal et al. 2017, section 2.2).
struct Schedule {
  ScheduleKind kind = ScheduleKind::constant;
  double base = 0.1;
  std::int64_t warmup = 0;
  double at(std::int64_t step, std::int64_t total_steps) const;
};

const char* name_of(ScheduleKind);
/// Throws Error on a name that is none.
ScheduleKind schedule_named(const std::string& name);

}  // namespace octet::optim
