// The pictures that the command line names.
#pragma once
#include <string>
#include <vector>

#include "apps/mnv1_qat/report.h"
#include "data/dataset.h"

namespace octet::app {

/// Applies --download and --data; a bar when it takes long.
data::Split load_split(const Options& options, const data::Limits& limits, const Console& console);
/// The first --limit-test test pictures.
data::Dataset load_test(const Options& options, const Console& console);
/// The test pictures of options.indices, u8 N,32,32,3. Throws Error "[where] …" beyond the set.
Tensor test_pictures(const Options& options, const char* where);

/// What the pictures are, for tags: their source, and a sum over pictures, labels and classes where that may be any folder.
std::string identity_of(const data::Dataset& data);

/// Throws Error "[where] …" when the model in `file`, trained on `class_names`, was trained on other classes than the
/// data has.
void require_same_classes(const char* where, const std::string& file, const std::vector<std::string>& class_names,
                          const data::Dataset& data);

}  // namespace octet::app
