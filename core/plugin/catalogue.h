// Which plugins there are, read from the files without loading them. No LibTorch.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "silc/plugin.h"

namespace silc {

struct SplitInfo {
  std::string name;
  std::string content;
};

struct PluginInfo {
  PluginKind kind = PluginKind::objective;
  std::string name;
  std::string summary;
  std::string factory;  // exported symbol
  uint32_t version = 1;
  std::vector<OptionRecord> options;
  std::filesystem::path library;
  Needs needs = {};
  std::vector<SplitInfo> splits = {};  // of a dataset; empty: it does not say
  bool learns_from_captions = false;   // of a tokenizer
};

// A shared library on the plugin path that cannot be used, and why.
struct RefusedLibrary {
  std::filesystem::path library;
  std::string reason;
};

// "objective", "image backbone", …: as people read it.
std::string_view kind_name(PluginKind kind);

// "several_captions": as machine output has it.
std::string_view need_key(Need need);
// "several captions", "a caption decoder": as people read it.
std::string_view need_name(Need need);
bool contains(uint32_t needs, Need need);
// Those of a set, in the order of Need.
std::vector<Need> needs_in(uint32_t set);

// Keys that stand beside a plugin's options in experiment files ("split" beside those of a dataset), the one that names
// the plugin first. No option may have such a name.
std::span<const std::string_view> reserved_keys(PluginKind kind);

// The plugins declared in one file. Reads the ELF section only: nothing of the file runs.
// Throws silc::Error, naming the file, the fault and the remedy, for a file that is not a shared library, holds no
// plugin, is damaged, or was built against another silc ABI, LibTorch or compiler ABI.
std::vector<PluginInfo> read_plugins(const std::filesystem::path& library);

class Catalogue {
 public:
  // Reads every shared library (*.so) in `folders`; a folder may also be the path of one library. Earlier folders win
  // over later ones. Libraries in a folder that cannot be used are listed in refused(). Throws silc::Error for a folder
  // that does not exist (plugin_folders adds the standard one only if it does) and for a library that is named itself
  // and cannot be used.
  static Catalogue scan(std::span<const std::filesystem::path> folders);

  // Null if there is none.
  [[nodiscard]] const PluginInfo* find(PluginKind kind, std::string_view name) const;

  // Throws silc::Error that suggests similar names, and says if a refused library may be what is missing.
  [[nodiscard]] const PluginInfo& require(PluginKind kind, std::string_view name) const;

  [[nodiscard]] const std::vector<PluginInfo>& plugins() const { return plugins_; }  // by kind, then name
  [[nodiscard]] const std::vector<RefusedLibrary>& refused() const { return refused_; }

 private:
  std::vector<PluginInfo> plugins_;
  std::vector<RefusedLibrary> refused_;
};

// Where plugins are looked for: `named` (from --plugin-path), then SILC_PLUGIN_PATH (separated by ':'), then beside the
// running program (build tree: ../plugins; installed: ../lib/silc/plugins).
std::vector<std::filesystem::path> plugin_folders(std::span<const std::filesystem::path> named);

// Defaults of all options.
Options default_options(const PluginInfo& plugin);

}  // namespace silc
