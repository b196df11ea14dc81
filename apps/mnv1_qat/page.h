// A self-contained HTML page: no scripts, no network, readable on a phone, light and dark.
#pragma once
#include <string>
#include <vector>

#include "apps/chart/svg.h"
#include "core/tensor.h"

namespace octet::app {

/// A picture u8 H,W,3 as an <img>, its pixels enlarged `scale` times, with its words for who does not see it.
std::string picture_html(const Tensor& picture, int scale, const std::string& words);

/// Text is escaped; what is called html is taken as it is.
class Page {
 public:
  Page(const std::string& title, const std::string& subtitle);
  void section(const std::string& heading);
  void paragraph(const std::string& text);
  void list(const std::vector<std::string>& items);
  void html(const std::string& html) { body_ += html; }
  void drawing(const chart::Svg& svg);
  /// Things side by side as the width allows.
  void row(const std::vector<std::string>& htmls);
  /// Opened by a click.
  void fold(const std::string& summary, const std::string& html);
  /// Rows of cells in HTML; the first column is a name, the others are numbers.
  void table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows);
  std::string str() const;

 private:
  std::string title_, body_;
};

}  // namespace octet::app
