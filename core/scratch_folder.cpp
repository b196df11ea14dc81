#include "core/scratch_folder.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "core/error.h"

namespace octet {

ScratchFolder::ScratchFolder() {
  std::error_code error;
  std::string pattern = (std::filesystem::temp_directory_path(error) / "octet-XXXXXX").string();
  OCTET_CHECK(!error && ::mkdtemp(pattern.data()) != nullptr, "scratch",
              "cannot make a folder for temporary files: {} ---> HINT set TMPDIR",
              error ? error.message() : std::strerror(errno));
  path_ = pattern;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace octet
