// silc plugin new: a folder with a plugin that builds, is tested and is used by an experiment as it stands.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <memory>
#include <system_error>

#include "cli/plugin_commands.h"
#include "cli/templates.h"
#include "plugin/similar.h"
#include "silc/error.h"
#include "text/display.h"
#include "text/names.h"

namespace silc {

namespace {

namespace fs = std::filesystem;

constexpr size_t kLongestName = 60;  // PluginHeader::name holds 63

constexpr PluginKind kKinds[] = {PluginKind::objective, PluginKind::image_backbone, PluginKind::text_backbone,
                                 PluginKind::evaluator, PluginKind::dataset,        PluginKind::tokenizer};

// Of C++20; a plugin's name is part of identifiers, and of itself one in CMake.
constexpr std::string_view kKeywords[] = {
    "alignas",     "alignof",   "and",        "and_eq",    "asm",      "auto",         "bitand",
    "bitor",       "bool",      "break",      "case",      "catch",    "char",         "char8_t",
    "char16_t",    "char32_t",  "class",      "compl",     "concept",  "const",        "consteval",
    "constexpr",   "constinit", "const_cast", "continue",  "co_await", "co_return",    "co_yield",
    "decltype",    "default",   "delete",     "do",        "double",   "dynamic_cast", "else",
    "enum",        "explicit",  "export",     "extern",    "false",    "float",        "for",
    "friend",      "goto",      "if",         "inline",    "int",      "long",         "mutable",
    "namespace",   "new",       "noexcept",   "not",       "not_eq",   "nullptr",      "operator",
    "or",          "or_eq",     "private",    "protected", "public",   "register",     "reinterpret_cast",
    "requires",    "return",    "short",      "signed",    "sizeof",   "static",       "static_assert",
    "static_cast", "struct",    "switch",     "template",  "this",     "thread_local", "throw",
    "true",        "try",       "typedef",    "typeid",    "typename", "union",        "unsigned",
    "using",       "virtual",   "void",       "volatile",  "wchar_t",  "while",        "xor",
    "xor_eq",      "final",     "override",   "import",    "module",   "errno"};

// Names of targets that CMake or its generators keep for themselves.
constexpr std::string_view kTargets[] = {"all",        "clean",         "depend",    "edit_cache",
                                         "help",       "install",       "package",   "package_source",
                                         "preinstall", "rebuild_cache", "run_tests", "test"};

struct NewOptions {
  std::string kind;
  std::string name;
  fs::path directory;  // empty: NAME
  bool text = false;
};

template <class Names>
bool contains(const Names& names, std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

std::string kind_choices() {
  std::string choices = "backbone";
  for (const PluginKind kind : kKinds) choices += "|" + kind_word(kind);
  return choices;
}

PluginKind chosen_kind(const NewOptions& options) {
  std::string word = options.kind;
  std::replace(word.begin(), word.end(), '_', '-');
  if (options.text && word != "backbone" && word != "text-backbone")
    throw Error("--text goes with the kind backbone alone");
  if (word == "backbone") return options.text ? PluginKind::text_backbone : PluginKind::image_backbone;
  std::vector<std::string> words;
  for (const PluginKind kind : kKinds) {
    words.push_back(kind_word(kind));
    if (words.back() == word) return kind;
  }
  const std::string meant = most_similar(word, words);
  throw Error("there is no kind of plugin \"" + options.kind + "\"; " +
              (meant.empty() ? "there are " + quoted_list(words) : "did you mean \"" + meant + "\"?"));
}

bool is_name(std::string_view text) {
  const auto may_stand = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
  return !text.empty() && text.size() <= kLongestName && text.front() >= 'a' && text.front() <= 'z' &&
         std::all_of(text.begin(), text.end(), may_stand) && text.find("__") == std::string_view::npos;
}

// "Focal-CLIP" → "focal_clip"; empty where nothing of the kind would do.
std::string mended_name(std::string_view text) {
  std::string name;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const char mended = std::isalnum(byte) != 0 ? static_cast<char>(std::tolower(byte)) : '_';
    if (mended != '_' || (!name.empty() && name.back() != '_')) name += mended;
  }
  while (!name.empty() && name.back() == '_') name.pop_back();
  return is_name(name) ? name : "";
}

void check_name(const std::string& name, PluginKind kind, const Catalogue& catalogue) {
  if (!is_name(name)) {
    const std::string mended = mended_name(name);
    throw Error(
        fmt::format("\"{}\" cannot be a plugin's name: one begins with a letter and has lower-case letters, digits "
                    "and single underscores, at most {}{}",
                    name, kLongestName, mended.empty() ? "" : "; \"" + mended + "\" would do"));
  }
  if (contains(kKeywords, name))
    throw Error(
        fmt::format("\"{0}\" cannot be a plugin's name, because it is a word of C++; \"my_{0}\" would do", name));
  if (contains(kTargets, name))
    throw Error(
        fmt::format("\"{0}\" cannot be a plugin's name, because CMake keeps it for itself; \"my_{0}\" would do", name));
  if (const PluginInfo* same = catalogue.find(kind, name))
    throw Error(fmt::format("there is {} \"{}\" already ({}); choose another name", kind_name(kind), name,
                            same->library.string()));
}

void check_folder(const fs::path& folder) {
  std::error_code error;
  if (!fs::exists(fs::symlink_status(folder, error))) return;
  if (!fs::is_directory(folder, error) || !fs::is_empty(folder, error))
    throw Error(folder.string() + " is there already and nothing is overwritten; --directory names another folder");
}

// "focal_clip" → "FocalClip".
std::string class_name(std::string_view name) {
  std::string result;
  bool begins = true;
  for (const char c : name) {
    if (c != '_') result += begins ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    begins = c == '_';
  }
  return result;
}

// about.txt: a key and what it stands for, one a line.
void read_about(std::string_view text, Words& words) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const size_t space = line.find(' ');
    if (space != std::string_view::npos) words.emplace(line.substr(0, space), line.substr(space + 1));
  }
}

struct NewFile {
  std::string name;
  std::string text;
};

std::vector<NewFile> make_files(PluginKind kind, const std::string& name) {
  const std::string readable(kind_name(kind));
  std::string folder = readable;
  std::replace(folder.begin(), folder.end(), ' ', '_');
  Words words = {{"NAME", name},
                 {"CLASS", class_name(name)},
                 {"KIND", readable},
                 {"ARTICLE", readable.find_first_of("aeiou") == 0 ? "An" : "A"},
                 {"VERSION", SILC_VERSION}};
  read_about(template_text(folder + "/about.txt"), words);
  std::vector<NewFile> files = {{name + ".cpp", folder + "/plugin.cpp.in"},
                                {name + "_test.cpp", folder + "/plugin_test.cpp.in"},
                                {name + ".toml", folder + "/experiment.toml.in"},
                                {"CMakeLists.txt", "common/CMakeLists.txt.in"},
                                {"README.md", "common/README.md.in"}};
  for (NewFile& file : files) file.text = fill_in(template_text(file.text), words);
  return files;
}

void write_files(const fs::path& folder, const std::vector<NewFile>& files) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw Error(folder.string() + " cannot be made: " + error.message());
  for (const NewFile& file : files) {
    std::ofstream stream(folder / file.name, std::ios::binary);
    stream << file.text;
    stream.close();
    if (!stream) throw Error((folder / file.name).string() + " cannot be written");
  }
}

int make(const Session& session, const NewOptions& options) {
  const PluginKind kind = chosen_kind(options);
  check_name(options.name, kind, session.catalogue());
  const fs::path folder = options.directory.empty() ? fs::path(options.name) : options.directory;
  check_folder(folder);
  const std::vector<NewFile> files = make_files(kind, options.name);
  write_files(folder, files);
  if (session.json) {
    auto names = nlohmann::ordered_json::array();
    for (const NewFile& file : files) names.push_back(file.name);
    print_json({{"kind", kind_word(kind)}, {"name", options.name}, {"folder", folder.string()}, {"files", names}});
    return 0;
  }
  std::string text = fmt::format("{} {}, a working example to change:\n", kind_name(kind), options.name);
  for (const NewFile& file : files) text += "  " + (folder / file.name).string() + "\n";
  print(text + fmt::format("next: silc plugin build {}\n", folder.string()));
  return 0;
}

}  // namespace

void add_plugin_new(CLI::App& group, Session& session) {
  CLI::App* command = group.add_subcommand(
      "new",
      "writes a plugin that works, to be changed into yours\n\nKIND is objective, backbone (of pictures; with --text "
      "of "
      "texts; also image-backbone and text-backbone), evaluator, dataset or tokenizer. NAME becomes the plugin's name "
      "in "
      "experiments. The folder holds the plugin with comments, its test, an experiment that uses it, a CMakeLists.txt "
      "and a README. Nothing is overwritten.");
  command->footer(
      "silc plugin new objective focal_clip\nsilc plugin new backbone convnext --directory plugins/convnext");
  const auto options = std::make_shared<NewOptions>();
  command->add_option("kind", options->kind, "what it is")->option_text("KIND")->type_name(kind_choices())->required();
  command->add_option("name", options->name, "what it is called")->option_text("NAME")->required();
  command->add_option("--directory", options->directory, "the folder to write (default: NAME)")->option_text("DIR");
  command->add_flag("--text", options->text, "a backbone of texts");
  command->callback([options, &session] { session.command = [options, &session] { return make(session, *options); }; });
}

}  // namespace silc
