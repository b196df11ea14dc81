// A folder of its own for each test, removed afterwards.
#pragma once
#include <string>

#include "core/scratch_folder.h"

namespace octet::test {

class TempFolder : public ScratchFolder {
 public:
  /// The path of a file in this folder.
  std::string operator/(const std::string& name) const { return path(name); }
};

}  // namespace octet::test
