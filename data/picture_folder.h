// Folders of pictures as a data set: users' own pictures, a folder per class.
#pragma once
#include <string>

#include "data/dataset.h"

namespace octet::data {

/// Two layouts, pictures being .png, .jpg and .jpeg files in either case:
///
///     DIR/train/CLASS/picture.png  and  DIR/test/CLASS/picture.png     where DIR/train or DIR/test holds a folder
///     DIR/CLASS/picture.png                                             otherwise; falls_to_test() splits
///
/// Classes are the folders' names in byte order. Pictures are resized to 32x32 whatever their shape, and come in an
/// order that follows from a hash of their names, so that the first N are a mix of all classes. Names that begin with a
/// dot are passed over, as is whatever lies beside the class folders; links are followed. Throws Error, one line that
/// names the culprit, on a picture that cannot be read, on anything else in a class folder, on an empty class, fewer
/// than 2 or more than 10,000 classes, names that are no UTF-8, more than 2,000,000 pictures, and parts with different
/// classes.
Split load_picture_folder(const std::string& dir, const Limits& limits = {}, const LoadProgress& progress = {});

/// Does `dir` hold folders (hidden ones apart), and so may be a folder of pictures?
bool holds_folders(const std::string& dir);

/// Of DIR/CLASS/NAME alone: every fifth picture, by a hash of "CLASS/NAME", is a test picture. Neither other files nor
/// time or machine have a say.
bool falls_to_test(const std::string& class_name, const std::string& file_name);

}  // namespace octet::data
