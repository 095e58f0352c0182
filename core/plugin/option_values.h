// Options between JSON (and what TOML becomes) and their typed values, checked against the declaration. No LibTorch.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "plugin/catalogue.h"

namespace silc {

// What an option takes, as people read it: "an integer from 0 to 32", ""a" or "b"".
std::string option_domain(const OptionRecord& option);

OptionValue default_value(const OptionRecord& option);

// `value` as the option's type. Throws silc::Error "local_views must be an integer from 0 to 32, not 64"; `shown` is
// how the message writes the value, if not as JSON.
OptionValue option_value(const OptionRecord& option, const nlohmann::json& value, std::string_view shown = {});

// The options of `plugin`: those of `object`, defaults for the others. Throws silc::Error that lists every fault
// (unknown name, wrong type, out of range), each naming plugin and option.
Options options_from_json(const PluginInfo& plugin, const nlohmann::json& object);

nlohmann::json option_to_json(const OptionValue& value);
nlohmann::json options_to_json(const Options& options);

// "objective "silc" has no option "distilation"; did you mean "distillation"?". `others`: names that may stand beside
// the options.
std::string unknown_option_message(const PluginInfo& plugin, const std::string& name,
                                   const std::vector<std::string>& others = {});

}  // namespace silc
