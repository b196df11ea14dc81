// --config FILE.toml: options of a subcommand from a file.
#pragma once
#include <string>
#include <vector>

namespace CLI {
class App;
}  // namespace CLI

namespace octet::app {

/// `words` (subcommand first) with the options of their --config FILE added, as far as the words do not give these options
/// themselves. Keys stand at the top of the file or under [subcommand]; sections of other subcommands are passed over. A list
/// stands for its values separated by commas, true for a flag. Throws Error naming file and key.
std::vector<std::string> with_config(const CLI::App& app, const std::vector<std::string>& words);

}  // namespace octet::app
