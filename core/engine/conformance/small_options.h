// Options with which a check takes seconds.
#pragma once

#include <nlohmann/json.hpp>

#include "plugin/catalogue.h"

namespace silc::conformance {

// The defaults, with what is large made small: of whole numbers, "width" and the like become what small_options.cpp
// lists, and any other that is greater than 256 becomes 256, each within the option's range. `chosen` ({name: value},
// from --option) has the last word. Throws silc::Error listing what is wrong in `chosen`.
Options small_options(const PluginInfo& plugin, const nlohmann::json& chosen);

// The defaults, and what was chosen.
Options full_options(const PluginInfo& plugin, const nlohmann::json& chosen);

// {name: value} of the options whose value is not the default.
nlohmann::json changed_options(const PluginInfo& plugin, const Options& options);

}  // namespace silc::conformance
