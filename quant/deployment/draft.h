// The first half of a plan: the traced graph with batch norm and activation joined to the op they follow, before any value
// has a type.
#pragma once
#include <string>
#include <vector>

#include "nn/graph.h"
#include "quant/deployment/plan.h"

namespace octet::quant {

/// One operation of the machine and what it reads through.
struct Draft {
  PlanNode node;                   ///< without type; inputs are indices of drafts
  nn::Module* reader = nullptr;    ///< module with the input slots; null when the op has none
  std::vector<std::string> slots;  ///< slot of each input, "" for none
};

struct Drafts {
  std::vector<Draft> ops;  ///< topological; ops[0] is the picture
  int output = 0;
};

/// Throws Error, with a hint, on ops that the engine lacks, batch norms that do not follow a layer, and shapes other than N,H,W,C
/// and N,C.
Drafts draft(const nn::Graph& graph);

/// Names that are used up; next() makes a name unique by "#2", "#3" ….
class UniqueNames {
 public:
  std::string next(const std::string& name);

 private:
  std::vector<std::string> used_;
};

}  // namespace octet::quant
