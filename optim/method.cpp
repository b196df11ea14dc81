#include "optim/method.h"

namespace octet::optim {

void Methods::begin_fit(std::int64_t steps) {
  for (const auto& method : all_) method->begin_fit(steps);
}

bool Methods::begin_epoch(std::int64_t epoch) {
  bool changed = false;
  for (const auto& method : all_) changed = method->begin_epoch(epoch) || changed;
  return changed;
}

void Methods::begin_step(std::int64_t step) {
  for (const auto& method : all_) method->begin_step(step);
}

void Methods::begin_batch(const data::Batch& batch) {
  for (const auto& method : all_) method->begin_batch(batch);
}

Variable Methods::loss(const Variable& so_far, const data::Batch& batch, const Variable& logits) {
  Variable loss = so_far;
  for (const auto& method : all_) loss = method->loss(loss, batch, logits);
  return loss;
}

void Methods::before_update() {
  for (const auto& method : all_) method->before_update();
}

void Methods::after_update() {
  for (const auto& method : all_) method->after_update();
}

void Methods::end_fit() {
  for (const auto& method : all_) method->end_fit();
}

nn::Module::NamedTensors Methods::state() const {
  nn::Module::NamedTensors all;
  for (const auto& method : all_)
    for (const auto& entry : method->state()) all.push_back(entry);
  return all;
}

}  // namespace octet::optim
