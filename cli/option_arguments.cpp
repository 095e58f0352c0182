#include "cli/option_arguments.h"

#include <algorithm>

#include "plugin/option_values.h"
#include "silc/error.h"

namespace silc {
namespace {

nlohmann::json value_of(const std::string& text) {
  auto value = nlohmann::json::parse(text, nullptr, false);
  return value.is_discarded() ? nlohmann::json(text) : value;
}

}  // namespace

nlohmann::json chosen_options(const PluginInfo& plugin, const std::vector<std::string>& options) {
  nlohmann::json chosen = nlohmann::json::object();
  for (const std::string& option : options) {
    const size_t equals = option.find('=');
    const std::string name = option.substr(0, equals);
    const bool known = std::any_of(plugin.options.begin(), plugin.options.end(),
                                   [&](const OptionRecord& record) { return record.name == name; });
    if (known) chosen[name] = value_of(option.substr(equals + 1));
  }
  static_cast<void>(options_from_json(plugin, chosen));
  return chosen;
}

void check_options(const std::vector<PluginInfo>& plugins, const std::vector<std::string>& options) {
  for (const std::string& option : options) {
    const size_t equals = option.find('=');
    if (equals == std::string::npos || equals == 0)
      throw Error("--option takes KEY=VALUE, as in --option prototypes=128, not \"" + option + "\"");
    const std::string name = option.substr(0, equals);
    const bool known = std::any_of(plugins.begin(), plugins.end(), [&](const PluginInfo& plugin) {
      return std::any_of(plugin.options.begin(), plugin.options.end(),
                         [&](const OptionRecord& record) { return record.name == name; });
    });
    if (!known) throw Error(unknown_option_message(plugins.front(), name));
  }
}

void add_set_flag(CLI::App& command, std::vector<std::string>& sets, const std::string& help) {
  command.add_option("--set", sets, help)
      ->option_text("KEY=VALUE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

}  // namespace silc
