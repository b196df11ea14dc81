// What the rooms' benchmark files share. A room describes tasks (a problem, its operands, its work); the rows come from
// the room's inventory, so that a new line in a kernels.inc shows up without another line here.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "benchmarks/operands.h"
#include "benchmarks/peak.h"
#include "kernels/select.h"

namespace octet::bench {

struct Settings {
  std::int64_t batch = 256;  ///< of training shapes
  bool quick = false;
  double seconds = 0.1;  ///< that a repetition takes at least
  /// Batches of forward passes that exist in int8: training's, and the single picture of deployment.
  std::vector<std::int64_t> forward_batches() const;
};

/// One problem for the rows of one (pass, dtypes).
template <class Problem, class Pointers>
struct Task {
  std::string room;   ///< "conv2d"
  std::string group;  ///< what is shown side by side, int8 beside fp32: "conv2d_fwd/pw1/b256"
  const char* pass;
  const char* dtypes;
  Problem problem;
  Work work;
  std::int64_t terms;  ///< of a sum: the K of a vendor row's K·ε; 0 where every row must give the bits
  std::function<Pointers(Operands&)> bind;
  bool any_order = false;  ///< our own rows may sum in any order too (bf16): all are held to K·ε
};

/// A task with its types hidden. Memory is taken by the first check() and given back by release().
class AnyTask {
 public:
  virtual ~AnyTask() = default;
  /// "" when row `row` agrees with the reference; from then on run(row) may be timed.
  virtual std::string check(std::size_t row) = 0;
  virtual void run(std::size_t row) = 0;
  virtual void release() = 0;
};

/// One row on one problem: a line of the report.
struct Entry {
  std::string name;  ///< "conv2d/conv2d_fwd/pw1/b256/f32/avx512": what --filter sees
  std::string room, group, dtypes, impl, problem;
  Work work;
  bool chosen = false;  ///< selection would run this row
  std::string refusal;  ///< why the row cannot run here; such entries are listed, not run
  std::shared_ptr<AnyTask> task;
  std::size_t row = 0;
};

/// The integer convs' rows pack constants first; int_conv.h overloads this for them.
template <class Problem, class Pointers>
std::function<void()> prepared(const kernels::Row<Problem, Pointers>& row, const Problem& problem,
                               const Pointers& pointers) {
  return [&row, problem, pointers] { row.run(problem, pointers, {}); };
}

template <class R, class Problem, class Pointers>
class TaskOf : public AnyTask {
 public:
  TaskOf(std::vector<const R*> rows, Task<Problem, Pointers> task) : rows_(std::move(rows)), task_(std::move(task)) {}

  std::string check(std::size_t row) override {
    if (operands_ == nullptr) take_memory();
    if (runs_[row] != nullptr) return verdicts_[row];
    runs_[row] = prepared(*rows_[row], task_.problem, pointers_);
    const bool near = task_.terms > 0 && (task_.any_order || kernels::is_vendor(rows_[row]->impl));
    verdicts_[row] =
        near ? operands_->compare_near(runs_[row], reference_, task_.terms) : operands_->compare_bits(runs_[row]);
    return verdicts_[row];
  }
  void run(std::size_t row) override { runs_[row](); }
  void release() override {
    runs_.clear();
    reference_ = nullptr;
    operands_.reset();
  }

 private:
  void take_memory() {
    operands_ = std::make_unique<Operands>();
    pointers_ = task_.bind(*operands_);
    runs_.assign(rows_.size(), nullptr);
    verdicts_.assign(rows_.size(), {});
    for (const R* row : rows_)
      if (kernels::same_text(row->impl, "reference")) reference_ = prepared(*row, task_.problem, pointers_);
    operands_->keep_reference(reference_);
  }

  std::vector<const R*> rows_;
  Task<Problem, Pointers> task_;
  std::unique_ptr<Operands> operands_;
  Pointers pointers_{};
  std::function<void()> reference_;
  std::vector<std::function<void()>> runs_;
  std::vector<std::string> verdicts_;
};

/// Everything that can be measured, in the order of the report.
class Suite {
 public:
  explicit Suite(Settings settings) : settings_(std::move(settings)) {}
  const Settings& settings() const { return settings_; }
  std::vector<Entry>& entries() { return entries_; }

  /// An entry per row of (task.pass, task.dtypes) on the processor: `rows`, from which selection would choose, then `vendor`.
  template <class R, class Problem, class Pointers>
  void add(std::span<const R> rows, Task<Problem, Pointers> task, std::span<const R> vendor = {}) {
    std::vector<const R*> found;
    for (const auto table : {rows, vendor})
      for (const R& row : table)
        if (kernels::same_text(row.pass, task.pass) && kernels::same_text(row.dtypes, task.dtypes) &&
            kernels::same_text(row.device, name_of(Device::cpu)))
          found.push_back(&row);
    const std::string chosen = chosen_impl(rows, task.pass, task.dtypes, task.problem);
    const auto shared = std::make_shared<TaskOf<R, Problem, Pointers>>(found, task);
    for (std::size_t i = 0; i < found.size(); ++i) {
      const char* reason = usable(kernels::required_isa(found[i]->impl)) ? found[i]->why_not(task.problem)
                                                                         : "needs instructions that are not there";
      add_entry({"", task.room, task.group, task.dtypes, found[i]->impl, task.problem.str(), task.work,
                 chosen == found[i]->impl, reason == nullptr ? "" : reason, shared, i});
    }
    seen_.push_back(std::string(task.pass) + " " + task.dtypes);
  }

  /// Throws Error when a pass of the inventory has no task (f64 rows, which only check gradients, aside).
  template <class R>
  void require_all(std::span<const R> rows) const {
    for (const R& row : rows)
      if (!kernels::same_text(row.dtypes, "f64")) require(std::string(row.pass) + " " + row.dtypes);
  }

 private:
  template <class R, class Problem>
  static std::string chosen_impl(std::span<const R> rows, const char* pass, const char* dtypes,
                                 const Problem& problem) {
    for (const R& row : rows) {
      if (!kernels::same_text(row.pass, pass)) continue;
      if (kernels::refused({row.pass, row.dtypes, row.device, row.impl}, dtypes) == nullptr &&
          row.why_not(problem) == nullptr)
        return row.impl;
    }
    return {};
  }
  void add_entry(Entry entry);
  void require(const std::string& pass_and_dtypes) const;

  Settings settings_;
  std::vector<Entry> entries_;
  std::vector<std::string> seen_;
};

// One per room, each in a file of its own.
void add_conv2d(Suite&);
void add_dwconv2d(Suite&);
void add_conv2d_bn(Suite&);
void add_dwconv2d_bn(Suite&);
void add_linear(Suite&);
void add_batchnorm(Suite&);
void add_fake_quant(Suite&);
void add_quantize(Suite&);
void add_pool(Suite&);
void add_eltwise(Suite&);
void add_momentum(Suite&);
void add_softmax_xent(Suite&);
void add_softmax_kl(Suite&);
void add_grid_distance(Suite&);
void add_all(Suite&);

/// "conv2d_fwd/pw1/b256"
std::string group_of(const std::string& what, const std::string& shape, std::int64_t batch);
/// The other way; batch is 0 where the group has none ("momentum/net").
struct GroupParts {
  std::string pass, shape;
  std::int64_t batch = 0;
};
GroupParts parts_of(const std::string& group);

}  // namespace octet::bench
