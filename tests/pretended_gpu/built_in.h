// Silc's own plugins, for tests that take one of a kind each.
#pragma once

#include <filesystem>
#include <ostream>
#include <vector>

#include "plugin/catalogue.h"

namespace silc {

inline void PrintTo(const PluginInfo& plugin, std::ostream* stream) { *stream << plugin.name; }

}  // namespace silc

namespace silc::testing {

// But for scripts, which are whatever their authors make of them.
inline std::vector<PluginInfo> built_in(PluginKind kind) {
  const std::filesystem::path folders[] = {std::filesystem::path(SILC_BINARY_DIR) / "plugins"};
  const Catalogue catalogue = Catalogue::scan(folders);
  std::vector<PluginInfo> found;
  for (const PluginInfo& plugin : catalogue.plugins())
    if (plugin.kind == kind && !plugin.name.starts_with("torchscript")) found.push_back(plugin);
  return found;
}

}  // namespace silc::testing
