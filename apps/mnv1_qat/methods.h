// The methods that compare knows.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "apps/mnv1_qat/options.h"

namespace octet::app {

struct Method {
  const char* name;
  bool trains;        ///< fine-tuned through its quantizers; otherwise calibrated
  const char* paper;  ///< author and year
  const char* line;   ///< what it does
  /// What it changes in the configuration and the recipe; the bits are not its affair.
  void (*set)(Options& options);
};

std::span<const Method> methods();
/// Those of these names, in their order; "all" stands for every one. Throws Error on a name that is unknown, with
/// the one that is most like it, or given twice.
std::vector<const Method*> find_methods(const std::vector<std::string>& names);

}  // namespace octet::app
