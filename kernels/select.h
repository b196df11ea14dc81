// One selection mechanism for every room. A room's kernels.inc is the inventory of its rows; select() walks it best
// first. OCTET_ISA caps the rows, OCTET_KERNEL=<pass>:<impl>[,…] forces one, OCTET_VERBOSE=dispatch tells each choice
// and each refusal with its reason. The order follows from processor features and problem, never from a timing.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "core/cpu_features.h"
#include "core/device.h"
#include "core/profile.h"

namespace octet::kernels {

/// Where a row runs. Scratch memory comes from core/allocator.h (scratch_acquire), a device's from core/gpu/gpu.h.
struct Context {
  Device device = Device::cpu;  ///< that all pointers belong to
  void* stream = nullptr;       ///< of core/gpu/gpu.h; null on the CPU
};
/// Of the device: its stream and all.
Context context_of(Device device);

/// One implementation of one pass for one set of dtypes. `Problem` and `Pointers` are the room's plain structs.
template <class Problem, class Pointers>
struct Row {
  const char* pass;    ///< "conv2d_fwd"
  const char* dtypes;  ///< "f32", "f64", "u8s8" …
  const char* device;  ///< "cpu" or "cuda"
  const char* impl;    ///< "avx512", "onednn", "reference" …
  /// Null when the row can run the problem, else the reason why not.
  const char* (*why_not)(const Problem&);
  void (*run)(const Problem&, const Pointers&, const Context&);
};

/// The parts of a row that selection reads; kept apart from the template so that the rules live in select.cpp.
struct RowTag {
  const char* pass;
  const char* dtypes;
  const char* device;
  const char* impl;
};

/// Ladder step that an implementation name needs ("avx2" → Isa::avx2; vendor rows and reference → Isa::reference).
Isa required_isa(const char* impl);
/// Vendor rows (onednn, openblas, cudnn) are held to K·ε, not to the bits, and `--deterministic` excludes them.
bool is_vendor(const char* impl);
/// Excludes vendor rows from now on (process-wide).
void set_deterministic(bool on);
bool deterministic();

/// Why selection passes `tag` over, whatever the problem: another device, not the wanted dtypes, ISA capped, another row forced, vendor
/// row under --deterministic or behind our own (see below); null when it may run.
/// Vendor rows stand after our own rows in kernels.inc, so that they run only when forced or measured to be better.
const char* refused(const RowTag& tag, const char* dtypes, Device device = Device::cpu);
/// Forces rows within this process as OCTET_KERNEL would ("conv2d_fwd:onednn,…"; "" frees all). For tests, benchmarks.
void force_kernels(const std::string& spec);
/// The implementation that OCTET_KERNEL or force_kernels() wants for a pass; "" when none.
std::string forced_impl(const char* pass);
/// Reports a choice or refusal when OCTET_VERBOSE=dispatch.
void report_choice(const RowTag& tag, const std::string& problem);
void report_refusal(const RowTag& tag, const std::string& problem, const char* reason);
bool reporting();
[[noreturn]] void fail_no_row(const char* pass, const char* dtypes, const std::string& problem, Device device);

bool same_text(const char* a, const char* b);

/// The first row for (pass, dtypes) that accepts the problem, null when none does; R is Row or a struct with the same
/// first members (integer rows add packing). Problem has `std::string str() const`.
template <class R, class Problem>
const R* find_row(std::span<const R> rows, const char* pass, const char* dtypes, const Problem& problem,
                  Device device = Device::cpu) {
  for (const R& row : rows) {
    if (!same_text(row.pass, pass)) continue;
    const RowTag tag{row.pass, row.dtypes, row.device, row.impl};
    const char* reason = refused(tag, dtypes, device);
    if (reason == nullptr) reason = row.why_not(problem);
    if (reason == nullptr) {
      if (reporting()) report_choice(tag, problem.str());
      return &row;
    }
    if (reporting() && same_text(row.dtypes, dtypes) && same_text(row.device, name_of(device)))
      report_refusal(tag, problem.str(), reason);
  }
  return nullptr;
}

/// find_row(), which throws Error "[pass] no row …" when none accepts: for our own rooms that means that a forced row
/// refuses, since `reference` accepts every combination.
template <class R, class Problem>
const R& select(std::span<const R> rows, const char* pass, const char* dtypes, const Problem& problem,
                Device device = Device::cpu) {
  if (const R* row = find_row(rows, pass, dtypes, problem, device)) return *row;
  fail_no_row(pass, dtypes, problem.str(), device);
}

/// Runs a row as a span of the profile: named by its pass, with implementation and problem.
template <class R, class Problem, class Pointers>
void run_row(const R& row, const Problem& problem, const Pointers& pointers, const Context& context = {}) {
  const profile::Span span(profile::Kind::kernel, row.pass,
                           [&] { return std::string(row.impl) + ' ' + problem.str(); });
  row.run(problem, pointers, context);
}

/// select() and run in one.
template <class Problem, class Pointers>
void dispatch(std::span<const Row<Problem, Pointers>> rows, const char* pass, const char* dtypes,
              const Problem& problem, const Pointers& pointers, const Context& context = {}) {
  run_row(select(rows, pass, dtypes, problem, context.device), problem, pointers, context);
}

}  // namespace octet::kernels
