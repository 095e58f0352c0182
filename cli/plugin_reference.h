// Plugins and their options as Markdown: docs/reference/plugins.md is written by it. No LibTorch.
#pragma once

#include <string>

#include "plugin/catalogue.h"

namespace silc {

// "Needs masks and patch tokens.", "Makes use of labels.": one each for what a plugin needs and may need.
std::vector<std::string> needs_sentences(const PluginInfo& plugin);

// One section a plugin, with a table of its options.
std::string plugin_section(const PluginInfo& plugin);

// All plugins of a catalogue, kind by kind. Names no paths, so that it reads the same on every machine.
std::string plugin_reference(const Catalogue& catalogue);

}  // namespace silc
