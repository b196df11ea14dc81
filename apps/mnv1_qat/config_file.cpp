#include "apps/mnv1_qat/config_file.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <sstream>

#include "core/error.h"
#include "core/file.h"

namespace octet::app {
namespace {

constexpr std::size_t kLargestFile = 1 << 20;

// The value of --config, empty when there is none.
std::string config_of(const std::vector<std::string>& words) {
  std::string file;
  for (std::size_t i = 1; i < words.size(); ++i) {
    std::string here;
    if (words[i] == "--config" && i + 1 < words.size()) here = words[i + 1];
    if (words[i].starts_with("--config=")) here = words[i].substr(9);
    OCTET_CHECK(here.empty() || file.empty(), "config", "--config is given twice");
    if (!here.empty()) file = here;
  }
  return file;
}

bool gives(const std::vector<std::string>& words, const CLI::Option& option) {
  return std::any_of(words.begin(), words.end(), [&](const std::string& word) {
    for (const std::string& name : option.get_lnames())
      if (word == "--" + name || word.starts_with("--" + name + "=")) return true;
    for (const std::string& name : option.get_snames())  // its value may stand in the same word
      if (word.starts_with("-" + name)) return true;
    return false;
  });
}

// Null when there is none of this name.
const CLI::App* find_subcommand(const CLI::App& app, const std::string& name) {
  const auto found = app.get_subcommands([&](const CLI::App* one) { return one->get_name() == name; });
  return found.empty() ? nullptr : found.front();
}

// One key of the file as words.
std::vector<std::string> words_of(const CLI::ConfigItem& item, const CLI::App& command, const std::string& file) {
  const std::string flag = "--" + item.name;
  const CLI::Option* option = command.get_option_no_throw(flag);
  if (option == nullptr || item.name == "config" || item.name == "help")
    fail("config", fmt::format("'{}': unknown key '{}'", file, item.name),
         fmt::format("mnv1_qat {} --help lists the options", command.get_name()));
  if (option->get_items_expected_max() > 1 && option->get_delimiter() == '\0') {  // the words of a list one by one
    std::vector<std::string> each;
    for (const std::string& input : item.inputs) each.push_back(flag + "=" + input);
    return each;
  }
  const std::string value = CLI::detail::join(item.inputs, ",");
  if (option->get_items_expected_max() > 0) {
    OCTET_CHECK(!value.empty(), "config", "'{}': '{}' has no value", file, item.name);
    return {flag + "=" + value};
  }
  OCTET_CHECK(value == "true" || value == "false", "config", "'{}': '{}' is '{}', but must be true or false", file,
              item.name, value);
  return value == "true" ? std::vector<std::string>{flag} : std::vector<std::string>{};
}

}  // namespace

std::vector<std::string> with_config(const CLI::App& app, const std::vector<std::string>& words) {
  const std::string file = config_of(words);
  const CLI::App* command = file.empty() ? nullptr : find_subcommand(app, words[0]);
  if (command == nullptr) return words;
  std::istringstream text(read_file(file, kLargestFile));
  std::vector<std::string> all = words;
  for (const CLI::ConfigItem& item : CLI::ConfigTOML().from_config(text)) {
    if (!item.parents.empty() && (item.parents.size() > 1 || find_subcommand(app, item.parents[0]) == nullptr))
      fail("config", fmt::format("'{}': unknown section '{}'", file, item.parents[0]),
           "sections are named as subcommands");
    const bool is_mark = item.name == "++" || item.name == "--";
    if (is_mark || (!item.parents.empty() && item.parents[0] != words[0])) continue;
    const std::vector<std::string> more = words_of(item, *command, file);
    if (!gives(words, *command->get_option("--" + item.name))) all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

}  // namespace octet::app
