// What takes part in every step of a fit beside loss and optimizer: another term of the loss, a hand on the weights
// behind their update, a switch at an epoch.
#pragma once
#include <memory>
#include <vector>

#include "data/loader.h"
#include "nn/module.h"

namespace octet::optim {

/// A fit calls, in this order: begin_fit, then for each epoch begin_epoch, and for each of its steps begin_step, begin_batch,
/// the model, loss, before_update, the optimizer, after_update; end_fit, whatever ends it. What begin_step decides for a step it must
/// decide from the step's number and state() alone, so that a resumed fit has the same bits.
class Method {
 public:
  virtual ~Method() = default;
  /// `steps`: of the whole fit, before any, also of a resumed one.
  virtual void begin_fit(std::int64_t steps) { (void)steps; }
  /// From 0; a resumed fit begins the epoch that it goes on with. True: the steps from now on are made otherwise than
  /// those before, so that what a device has recorded of them no longer holds.
  virtual bool begin_epoch(std::int64_t epoch) {
    (void)epoch;
    return false;
  }
  /// Before step `step`, from 0. Never recorded: numbers that follow a schedule are brought to the device here.
  virtual void begin_step(std::int64_t step) { (void)step; }
  /// Before the model sees the batch of a step; parameters have no gradients. May be recorded.
  virtual void begin_batch(const data::Batch& batch) { (void)batch; }
  /// What is to be minimised, one element, given what has been so far and the logits of the batch. May be recorded.
  virtual Variable loss(const Variable& so_far, const data::Batch& batch, const Variable& logits) {
    (void)batch, (void)logits;
    return so_far;
  }
  /// Between the gradients and the optimizer's update. May be recorded.
  virtual void before_update() {}
  /// Behind the optimizer's update. May be recorded.
  virtual void after_update() {}
  virtual void end_fit() {}
  /// What a checkpoint has to keep, sharing memory; names of its own.
  virtual nn::Module::NamedTensors state() const { return {}; }
};

/// Several as one, each in its turn.
class Methods : public Method {
 public:
  explicit Methods(std::vector<std::shared_ptr<Method>> all) : all_(std::move(all)) {}
  void begin_fit(std::int64_t steps) override;
  bool begin_epoch(std::int64_t epoch) override;
  void begin_step(std::int64_t step) override;
  void begin_batch(const data::Batch& batch) override;
  Variable loss(const Variable& so_far, const data::Batch& batch, const Variable& logits) override;
  void before_update() override;
  void after_update() override;
  void end_fit() override;
  nn::Module::NamedTensors state() const override;

 private:
  std::vector<std::shared_ptr<Method>> all_;
};

}  // namespace octet::optim
