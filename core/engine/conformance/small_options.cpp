#include "engine/conformance/small_options.h"

#include <algorithm>
#include <map>

#include "plugin/option_values.h"

namespace silc::conformance {
namespace {

const std::map<std::string, int64_t> kSmall = {
    {"width", 64},      {"layers", 2},      {"heads", 4},      {"hidden", 64},
    {"bottleneck", 32}, {"prototypes", 64}, {"examples", 256}, {"vocabulary", 512},
};
constexpr int64_t kGreatest = 256;

int64_t small(const OptionRecord& option) {
  const auto listed = kSmall.find(option.name);
  const int64_t target = listed == kSmall.end() ? kGreatest : listed->second;
  const int64_t least = option.minimum < static_cast<double>(target) ? target : static_cast<int64_t>(option.minimum);
  return std::min(option.default_integer, least);
}

}  // namespace

Options full_options(const PluginInfo& plugin, const nlohmann::json& chosen) {
  return options_from_json(plugin, chosen);
}

Options small_options(const PluginInfo& plugin, const nlohmann::json& chosen) {
  std::map<std::string, OptionValue> values = full_options(plugin, chosen).values();
  for (const OptionRecord& option : plugin.options)
    if (option.type == OptionType::integer && !chosen.contains(option.name)) values[option.name] = small(option);
  return Options(std::move(values));
}

nlohmann::json changed_options(const PluginInfo& plugin, const Options& options) {
  nlohmann::json changed = nlohmann::json::object();
  const Options defaults = default_options(plugin);
  for (const auto& [name, value] : options.values())
    if (defaults.values().at(name) != value) changed[name] = option_to_json(value);
  return changed;
}

}  // namespace silc::conformance
