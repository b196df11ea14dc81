// Any model file as the files that the engine runs.
#pragma once
#include <string>
#include <vector>

#include "core/scratch_folder.h"

namespace octet::app {

struct Deployable {
  std::string kind;  ///< "fp32" or "int8"
  std::string file;  ///< engine file
};

/// An engine file is itself; of an fp32 model its graph of floats is written into `scratch`, of a QAT model that and
/// the integer graph, in this order. Throws Error on what is no model and on what the engine cannot run.
std::vector<Deployable> deployables(const std::string& model, const ScratchFolder& scratch);

}  // namespace octet::app
