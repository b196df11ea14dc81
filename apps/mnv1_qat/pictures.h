// Picture files as a net takes them.
#pragma once
#include <string>
#include <vector>

#include "core/tensor.h"

namespace octet::app {

/// `given` with each folder replaced by the .png, .jpg and .jpeg files in it, sorted by name. Throws Error, naming it,
/// on a folder without any or that cannot be read.
std::vector<std::string> picture_files(const std::vector<std::string>& given);

/// Files resized to what the net reads: u8 N,32,32,3. Throws Error, naming it, on the first that cannot be read.
Tensor read_pictures(const std::vector<std::string>& files);

}  // namespace octet::app
