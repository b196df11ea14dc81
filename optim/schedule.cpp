#include "optim/schedule.h"

#include "core/error.h"
#include "core/portable_math.h"

namespace octet::optim {

namespace {

// Of the base rate, when `done` of the steps lie behind.
double share_of(ScheduleKind kind, double done) {
  switch (kind) {
    case ScheduleKind::cosine:
      return (1 + portable::cos(3.14159265358979323846 * done)) / 2;
    case ScheduleKind::step:
      return done < 0.5 ? 1.0 : done < 0.75 ? 0.1 : 0.01;
    case ScheduleKind::constant:
      break;
  }
  return 1;
}

}  // namespace

double Schedule::at(std::int64_t step, std::int64_t total_steps) const {
  const double done = total_steps > 0 ? static_cast<double>(step) / static_cast<double>(total_steps) : 0;
  const double rate = base * share_of(kind, done);
  return step < warmup ? rate * static_cast<double>(step + 1) / static_cast<double>(warmup) : rate;
}

const char* name_of(ScheduleKind kind) {
  return kind == ScheduleKind::cosine ? "cosine" : kind == ScheduleKind::step ? "step" : "constant";
}

ScheduleKind schedule_named(const std::string& name) {
  for (auto kind : {ScheduleKind::constant, ScheduleKind::cosine, ScheduleKind::step})
    if (name == name_of(kind)) return kind;
  fail("schedule", fmt::format("'{}' is no schedule", name), "constant, cosine or step");
}

}  // namespace octet::optim
