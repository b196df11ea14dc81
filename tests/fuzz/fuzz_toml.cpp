// apps/mnv1_qat/config_file: the TOML file of --config.
#include <CLI/CLI.hpp>

#include "apps/mnv1_qat/config_file.h"
#include "core/error.h"
#include "tests/fuzz/target.h"

namespace octet::fuzz {
namespace {

/// Options of every kind that mnv1_qat has: a value, a flag, a list.
const CLI::App& program() {
  static std::vector<std::string> values(4);
  static std::vector<std::string> list;
  static bool flag = false;
  static const auto app = [] {
    auto made = std::make_unique<CLI::App>("test");
    for (const char* name : {"run", "qat"}) {
      CLI::App* command = made->add_subcommand(name);
      command->add_option("--epochs", values[0]);
      command->add_option("--lr", values[1]);
      command->add_option("--data", values[2]);
      command->add_option("--config", values[3]);
      command->add_option("--indices", list)->delimiter(',');
      command->add_flag("--quiet", flag);
    }
    return made;
  }();
  return *app;
}

}  // namespace

bool accepts(std::string_view bytes) {
  const MemoryFile file(bytes);
  const std::vector<std::string> words{"run", "--config", file.path(), "--lr=1"};
  try {
    const std::vector<std::string> all = app::with_config(program(), words);
    if (all.size() < words.size() || !std::equal(words.begin(), words.end(), all.begin()))
      found("words of the command line were lost");
    for (std::size_t i = words.size(); i < all.size(); ++i)
      if (!all[i].starts_with("--") || all[i].starts_with("--lr") || all[i].starts_with("--config"))
        found("a word that the file may not give");
    return true;
  } catch (const Error&) {
    return false;
  } catch (const CLI::ParseError&) {  // parse_command_line() prints it
    return false;
  }
}

}  // namespace octet::fuzz
