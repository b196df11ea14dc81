#include "apps/mnv1_qat/pictures.h"

#include <algorithm>
#include <filesystem>

#include "core/error.h"
#include "data/dataset.h"
#include "data/image_file.h"

namespace octet::app {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> pictures_in(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    if (std::error_code ignored; data::has_picture_name(at->path()) && !at->is_directory(ignored))
      files.push_back(at->path().string());
  OCTET_CHECK(!error, "picture", "cannot read the folder '{}': {}", folder, error.message());
  OCTET_CHECK(!files.empty(), "picture", "the folder '{}' holds no .png, .jpg or .jpeg", folder);
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

std::vector<std::string> picture_files(const std::vector<std::string>& given) {
  std::vector<std::string> files;
  for (const std::string& name : given) {
    std::error_code ignored;
    if (!fs::is_directory(name, ignored))
      files.push_back(name);
    else
      for (std::string& file : pictures_in(name)) files.push_back(std::move(file));
  }
  return files;
}

Tensor read_pictures(const std::vector<std::string>& files) {
  Tensor all({static_cast<std::int64_t>(files.size()), data::kSide, data::kSide, data::kChannels}, DType::u8);
  for (std::size_t i = 0; i < files.size(); ++i) {
    const Tensor picture = data::resize_picture(data::read_picture(files[i]), data::kSide, data::kSide);
    all.slice(static_cast<std::int64_t>(i), static_cast<std::int64_t>(i) + 1)
        .copy_from(picture.reshape({1, data::kSide, data::kSide, data::kChannels}));
  }
  return all;
}

}  // namespace octet::app
