// KEY=VALUE on the command line: options of plugins (--option) and keys of experiments (--set). No LibTorch.
#pragma once

#include <CLI/App.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "plugin/catalogue.h"

namespace silc {

// Those of the KEY=VALUE options that the plugin has. A value is JSON where it can be, else a text. Throws silc::Error
// for a value that the plugin does not take.
nlohmann::json chosen_options(const PluginInfo& plugin, const std::vector<std::string>& options);

// Throws silc::Error for an option that is not written KEY=VALUE, and for one that none of the plugins has.
void check_options(const std::vector<PluginInfo>& plugins, const std::vector<std::string>& options);

// --set KEY=VALUE, repeatable.
void add_set_flag(CLI::App& command, std::vector<std::string>& sets, const std::string& help);

}  // namespace silc
