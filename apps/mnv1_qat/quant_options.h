// The quantization keys of the tutorial as options, and the JSON file that may hold them.
#pragma once
#include <string>
#include <vector>

#include "quant/config.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace octet::app {

/// Of one subcommand. Lives as long as the App that it is added to.
class QuantOptions {
 public:
  QuantOptions() = default;
  QuantOptions(const QuantOptions&) = delete;
  void add_to(CLI::App& app);
  /// After parsing: the file's keys, then what the command line says. Throws Error on an unknown key or value.
  void apply(quant::QuantConfig& config) const;
  /// After parsing: was any of them given?
  bool given() const;

 private:
  std::string file_;
  std::vector<std::string> texts_;
  std::vector<const CLI::Option*> options_;
};

}  // namespace octet::app
