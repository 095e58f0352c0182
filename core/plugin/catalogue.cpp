#include "plugin/catalogue.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <set>
#include <system_error>

#include "plugin/elf_section.h"
#include "plugin/option_values.h"
#include "plugin/similar.h"
#include "silc/error.h"

namespace silc {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSection = "silc_plugins";

// Bytes that are not what the macros write.
[[noreturn]] void damaged(const fs::path& library, std::string_view what) {
  throw Error(fmt::format("{} is damaged: its plugin declarations {}; build it again", library.string(), what));
}

// A text field of a record: zero-terminated, UTF-8, without control characters.
template <std::size_t N>
std::string text_field(const fs::path& library, const char (&field)[N]) {
  const std::size_t length = strnlen(field, N);
  if (length == N) damaged(library, "hold a text without an end");
  std::string text(field, length);
  for (const char c : text)
    if (static_cast<unsigned char>(c) < ' ') damaged(library, "hold a control character");
  try {
    // The JSON library refuses to write what is not UTF-8.
    static_cast<void>(nlohmann::json(text).dump());
  } catch (const nlohmann::json::exception&) {
    damaged(library, "hold a text that is not UTF-8");
  }
  return text;
}

template <std::size_t N>
std::string_view stamp_text(const char (&field)[N]) {
  return {field, strnlen(field, N)};
}

// "silc plugin build focal_clip": `silc plugin build` leaves a library in the folder "build" of its source's.
std::string rebuild_command(const fs::path& library) {
  std::error_code ignored;
  const fs::path build = library.parent_path();
  const fs::path source = build.filename() == "build" ? build.parent_path() : fs::path();
  if (!source.empty() && fs::exists(source / "CMakeLists.txt", ignored))
    return fmt::format("silc plugin build {}", source.string());
  return "silc plugin build DIR, DIR being the folder of its source";
}

void check_stamp(const fs::path& library, const PluginStamp& stamp) {
  constexpr PluginStamp kOurs = current_stamp();
  const auto refuse = [&](const std::string& built, const std::string& ours, std::string_view means = "") {
    throw Error(fmt::format("{} was built {}, this silc {}: rebuild it{} with {}", library.string(), built, ours, means,
                            rebuild_command(library)));
  };
  if (stamp.abi != kOurs.abi)
    refuse(fmt::format("with silc plugin ABI {}", stamp.abi), fmt::format("has {}", kOurs.abi));
  if (stamp_text(stamp.torch) != stamp_text(kOurs.torch))
    refuse(fmt::format("against LibTorch {}", stamp_text(stamp.torch)),
           fmt::format("uses {}", stamp_text(kOurs.torch)));
  if (stamp.cxx11_abi != kOurs.cxx11_abi)
    refuse(fmt::format("with _GLIBCXX_USE_CXX11_ABI={}", stamp.cxx11_abi), fmt::format("with {}", kOurs.cxx11_abi));
  if (stamp_text(stamp.compiler) != stamp_text(kOurs.compiler))
    refuse(fmt::format("with compiler ABI \"{}\"", stamp_text(stamp.compiler)),
           fmt::format("with \"{}\"", stamp_text(kOurs.compiler)), " by silc's compiler (CXX)");
}

void check_default(const fs::path& library, const OptionRecord& option) {
  if (option.type == OptionType::boolean) {
    if (option.default_number != 0 && option.default_number != 1) damaged(library, "hold an impossible default");
    return;
  }
  if (std::isnan(option.minimum) || std::isnan(option.maximum)) damaged(library, "hold an impossible range");
  try {
    static_cast<void>(option_value(option, option_to_json(default_value(option))));
  } catch (const Error&) {
    damaged(library, "hold a default outside its range");
  }
}

OptionRecord checked_option(const fs::path& library, const std::byte* bytes) {
  OptionRecord option;
  std::memcpy(&option, bytes, sizeof(option));
  if (static_cast<uint8_t>(option.type) > static_cast<uint8_t>(OptionType::folder))
    damaged(library, "hold an unknown option type");
  if (text_field(library, option.name).empty()) damaged(library, "hold an option without a name");
  text_field(library, option.help);
  text_field(library, option.default_text);
  text_field(library, option.choices);
  check_default(library, option);
  return option;
}

// One record at the start of `bytes`, which may reach beyond its end. Returns its size too.
std::pair<PluginInfo, std::size_t> parse_record(const fs::path& library, std::span<const std::byte> bytes) {
  // The stamp first: another ABI may lay out the rest differently.
  PluginHeader header;
  if (bytes.size() < sizeof(PluginStamp)) damaged(library, "are cut off");
  std::memcpy(&header.stamp, bytes.data(), sizeof(PluginStamp));
  check_stamp(library, header.stamp);
  if (bytes.size() < sizeof(header)) damaged(library, "are cut off");
  std::memcpy(&header, bytes.data(), sizeof(header));

  const uint64_t options_size = std::max<uint64_t>(header.option_count, 1) * sizeof(OptionRecord);
  const uint64_t expected =
      (sizeof(header) + options_size + kPluginAlignment - 1) / kPluginAlignment * kPluginAlignment;
  if (header.size != expected) damaged(library, "have the wrong size");
  if (header.size > bytes.size()) damaged(library, "are cut off");
  if (static_cast<uint8_t>(header.kind) > static_cast<uint8_t>(PluginKind::tokenizer))
    damaged(library, "hold an unknown kind of plugin");
  if (((header.needs.needed | header.needs.optional) >> kNeedCount) != 0) damaged(library, "hold an unknown need");

  PluginInfo plugin;
  plugin.kind = header.kind;
  plugin.name = text_field(library, header.name);
  plugin.summary = text_field(library, header.summary);
  plugin.factory = text_field(library, header.factory);
  plugin.version = header.version;
  plugin.library = library;
  plugin.needs = header.needs;
  plugin.learns_from_captions = header.learns_from_captions != 0;
  if (header.split_count > kMostSplits) damaged(library, "hold too many splits");
  for (const SplitRecord& split : std::span(header.splits).first(header.split_count))
    plugin.splits.push_back({text_field(library, split.name), text_field(library, split.content)});
  if (plugin.name.empty() || plugin.factory.empty()) damaged(library, "hold a plugin without a name");
  const auto reserved = reserved_keys(plugin.kind);
  std::set<std::string> names;
  for (uint32_t i = 0; i < header.option_count; ++i) {
    plugin.options.push_back(checked_option(library, bytes.data() + sizeof(header) + i * sizeof(OptionRecord)));
    if (!names.insert(plugin.options.back().name).second)
      throw Error(fmt::format("{}: {} \"{}\" declares the option \"{}\" twice", library.string(),
                              kind_name(plugin.kind), plugin.name, plugin.options.back().name));
    if (std::find(reserved.begin(), reserved.end(), plugin.options.back().name) != reserved.end())
      throw Error(
          fmt::format("{}: {} \"{}\" declares the option \"{}\", a name that experiment files use themselves; "
                      "rename it",
                      library.string(), kind_name(plugin.kind), plugin.name, plugin.options.back().name));
  }
  return {std::move(plugin), header.size};
}

bool has_magic(std::span<const std::byte> bytes) {
  return bytes.size() >= sizeof(kPluginMagic) && std::memcmp(bytes.data(), kPluginMagic, sizeof(kPluginMagic)) == 0;
}

std::vector<fs::path> libraries_in(const fs::path& folder) {
  std::error_code error;
  if (!fs::exists(folder, error))
    throw Error(fmt::format("plugin folder {} does not exist; it is named by --plugin-path or SILC_PLUGIN_PATH",
                            folder.string()));
  if (!fs::is_directory(folder, error)) return {folder};
  std::vector<fs::path> libraries;
  fs::directory_iterator entries(folder, error);
  if (error) throw Error(fmt::format("plugin folder {} cannot be read: {}", folder.string(), error.message()));
  for (const fs::directory_entry& entry : entries)
    if (entry.path().extension() == ".so") libraries.push_back(entry.path());
  std::sort(libraries.begin(), libraries.end());
  return libraries;
}

}  // namespace

std::string_view kind_name(PluginKind kind) {
  switch (kind) {
    case PluginKind::objective:
      return "objective";
    case PluginKind::image_backbone:
      return "image backbone";
    case PluginKind::text_backbone:
      return "text backbone";
    case PluginKind::evaluator:
      return "evaluator";
    case PluginKind::dataset:
      return "dataset";
    case PluginKind::tokenizer:
      return "tokenizer";
  }
  return "plugin";
}

std::string_view need_key(Need need) {
  static constexpr std::array<std::string_view, kNeedCount> kKeys = {
      "classes", "labels", "masks", "boxes", "several_captions", "patch_tokens", "masked_input", "caption_decoder"};
  return kKeys[static_cast<std::size_t>(need)];
}

std::string_view need_name(Need need) {
  static constexpr std::array<std::string_view, kNeedCount> kNames = {
      "classes", "labels", "masks", "boxes", "several captions", "patch tokens", "masked input", "a caption decoder"};
  return kNames[static_cast<std::size_t>(need)];
}

bool contains(uint32_t needs, Need need) { return (needs >> static_cast<uint32_t>(need) & 1) != 0; }

std::vector<Need> needs_in(uint32_t set) {
  std::vector<Need> needs;
  for (int i = 0; i < kNeedCount; ++i)
    if (const auto need = static_cast<Need>(i); contains(set, need)) needs.push_back(need);
  return needs;
}

std::span<const std::string_view> reserved_keys(PluginKind kind) {
  static constexpr std::string_view kName[] = {"name"};
  static constexpr std::string_view kImageBackbone[] = {"backbone", "image_size", "resize_mode",    "interpolation",
                                                        "mean",     "std",        "projection_bias"};
  static constexpr std::string_view kTextBackbone[] = {"backbone", "tokenizer", "context_length", "projection_bias"};
  static constexpr std::string_view kDataset[] = {"dataset",  "split",      "fingerprint",
                                                  "on_error", "skip_limit", "weight"};
  static constexpr std::string_view kTokenizer[] = {"tokenizer"};
  switch (kind) {
    case PluginKind::objective:
    case PluginKind::evaluator:
      return kName;
    case PluginKind::image_backbone:
      return kImageBackbone;
    case PluginKind::text_backbone:
      return kTextBackbone;
    case PluginKind::dataset:
      return kDataset;
    case PluginKind::tokenizer:
      return kTokenizer;
  }
  return {};
}

std::vector<PluginInfo> read_plugins(const fs::path& library) {
  const std::vector<std::byte> section = read_elf_section(library, kSection);
  const std::span<const std::byte> bytes(section);
  std::vector<PluginInfo> plugins;
  // The compiler may pad between records: they are found by their magic.
  for (std::size_t offset = 0; offset < bytes.size();) {
    const std::span<const std::byte> rest = bytes.subspan(offset);
    if (has_magic(rest)) {
      auto [plugin, size] = parse_record(library, rest);
      plugins.push_back(std::move(plugin));
      offset += size;
      continue;
    }
    const std::span<const std::byte> padding = rest.first(std::min(kPluginAlignment, rest.size()));
    if (std::any_of(padding.begin(), padding.end(), [](std::byte byte) { return byte != std::byte{0}; }))
      damaged(library, "do not begin as they should");
    offset += padding.size();
  }
  if (plugins.empty())
    throw Error(fmt::format("{} holds no silc plugin; declare one with a macro like SILC_OBJECTIVE (silc/objective.h)",
                            library.string()));
  return plugins;
}

Catalogue Catalogue::scan(std::span<const fs::path> folders) {
  Catalogue catalogue;
  for (const fs::path& folder : folders) {
    std::vector<PluginInfo> found;
    for (const fs::path& library : libraries_in(folder)) {
      try {
        for (PluginInfo& plugin : read_plugins(library)) {
          const auto same = std::find_if(found.begin(), found.end(), [&](const PluginInfo& other) {
            return other.kind == plugin.kind && other.name == plugin.name;
          });
          if (same == found.end())
            found.push_back(std::move(plugin));
          else
            catalogue.refused_.push_back(
                {library,
                 fmt::format("{} declares {} \"{}\", as {} beside it does; remove one of them", library.string(),
                             kind_name(plugin.kind), plugin.name, same->library.filename().string())});
        }
      } catch (const Error& error) {
        if (library == folder) throw;  // named itself, not found in a folder
        catalogue.refused_.push_back({library, error.what()});
      }
    }
    for (PluginInfo& plugin : found)
      if (!catalogue.find(plugin.kind, plugin.name)) catalogue.plugins_.push_back(std::move(plugin));
  }
  std::sort(catalogue.plugins_.begin(), catalogue.plugins_.end(), [](const PluginInfo& a, const PluginInfo& b) {
    return std::tie(a.kind, a.name) < std::tie(b.kind, b.name);
  });
  return catalogue;
}

const PluginInfo* Catalogue::find(PluginKind kind, std::string_view name) const {
  const auto found = std::find_if(plugins_.begin(), plugins_.end(),
                                  [&](const PluginInfo& plugin) { return plugin.kind == kind && plugin.name == name; });
  return found == plugins_.end() ? nullptr : &*found;
}

const PluginInfo& Catalogue::require(PluginKind kind, std::string_view name) const {
  if (const PluginInfo* found = find(kind, name)) return *found;
  std::vector<std::string> names;
  for (const PluginInfo& plugin : plugins_)
    if (plugin.kind == kind) names.push_back(plugin.name);
  std::string message = fmt::format("there is no {} \"{}\"", kind_name(kind), name);
  message += names.empty() ? fmt::format("; no plugin of that kind was found: check --plugin-path and SILC_PLUGIN_PATH")
                           : suggestion(name, names);
  for (const RefusedLibrary& refused : refused_) message += fmt::format("\n  not used: {}", refused.reason);
  throw Error(message);
}

std::vector<fs::path> plugin_folders(std::span<const fs::path> named) {
  std::vector<fs::path> folders(named.begin(), named.end());
  if (const char* variable = std::getenv("SILC_PLUGIN_PATH")) {
    const std::string_view list(variable);
    for (std::size_t begin = 0; begin <= list.size();) {
      const std::size_t end = std::min(list.find(':', begin), list.size());
      if (end > begin) folders.emplace_back(list.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  for (const char* beside : {"../plugins", "../lib/silc/plugins"}) {
    const fs::path folder = (program.parent_path() / beside).lexically_normal();
    if (!error && fs::is_directory(folder)) folders.push_back(folder);
  }
  return folders;
}

Options default_options(const PluginInfo& plugin) {
  std::map<std::string, OptionValue> values;
  for (const OptionRecord& option : plugin.options) values[option.name] = default_value(option);
  return Options(std::move(values));
}

}  // namespace silc
