// Looking at what a net's slots see.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "nn/transform.h"

namespace octet::quant {

/// While one lives, chosen slots keep what went into their transforms and what came out in the last forward pass. A
/// probed slot takes the plain pass: nothing is fused with its quantizer.
class SlotProbes {
 public:
  SlotProbes() = default;
  ~SlotProbes();
  SlotProbes(const SlotProbes&) = delete;
  /// The slot must hold a transform.
  void add(nn::Module& module, const std::string& slot);
  std::size_t size() const { return all_.size(); }
  /// Of the i-th slot added; undefined when the last forward pass did not come by.
  const Variable& went_in(std::size_t i) const;
  const Variable& came_out(std::size_t i) const;

 private:
  class Probe;
  std::vector<std::shared_ptr<Probe>> all_;
};

}  // namespace octet::quant
