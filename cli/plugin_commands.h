// The commands below `silc plugin` that have a file of their own. No LibTorch.
#pragma once

#include <CLI/App.hpp>
#include <string>

#include "cli/session.h"

namespace silc {

// "image-backbone": as it is written on a command line.
std::string kind_word(PluginKind kind);

void add_plugin_new(CLI::App& group, Session& session);
void add_plugin_build(CLI::App& group, Session& session);
void add_plugin_check(CLI::App& group, Session& session);

}  // namespace silc
