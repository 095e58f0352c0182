// silc plugin: what can be loaded.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "cli/plugin_commands.h"
#include "cli/plugin_reference.h"
#include "cli/session.h"
#include "cli/text.h"
#include "plugin/option_values.h"
#include "plugin/similar.h"
#include "silc/error.h"
#include "text/display.h"

namespace silc {

namespace {

constexpr size_t kWidth = 96;

std::vector<std::string> need_keys(uint32_t set) {
  std::vector<std::string> keys;
  for (const Need need : needs_in(set)) keys.emplace_back(need_key(need));
  return keys;
}

nlohmann::ordered_json to_json(const PluginInfo& plugin) {
  auto options = nlohmann::ordered_json::array();
  for (const OptionRecord& option : plugin.options)
    options.push_back({{"name", option.name},
                       {"default", option_to_json(default_value(option))},
                       {"takes", option_domain(option)},
                       {"help", option.help}});
  nlohmann::ordered_json json = {{"kind", kind_word(plugin.kind)},
                                 {"name", plugin.name},
                                 {"version", plugin.version},
                                 {"summary", plugin.summary},
                                 {"library", plugin.library.string()},
                                 {"needs", need_keys(plugin.needs.needed)},
                                 {"may_need", need_keys(plugin.needs.optional)},
                                 {"options", options}};
  if (plugin.kind != PluginKind::dataset) return json;
  json["splits"] = nlohmann::ordered_json::object();
  for (const SplitInfo& split : plugin.splits) json["splits"][split.name] = split.content;
  return json;
}

int list(const Session& session) {
  const Catalogue catalogue = session.catalogue();
  if (session.json) {
    auto plugins = nlohmann::ordered_json::array();
    for (const PluginInfo& plugin : catalogue.plugins()) plugins.push_back(to_json(plugin));
    auto refused = nlohmann::ordered_json::array();
    for (const RefusedLibrary& library : catalogue.refused())
      refused.push_back({{"library", library.library.string()}, {"reason", library.reason}});
    print_json({{"plugins", plugins}, {"refused", refused}});
    return 0;
  }
  TextTable table({"KIND", "NAME", "LIBRARY", "SUMMARY"}, {false, false, false, false});
  for (const PluginInfo& plugin : catalogue.plugins())
    table.add({kind_word(plugin.kind), plugin.name, plugin.library.filename().string(), plugin.summary});
  print(table.format());
  std::string refused;
  for (const RefusedLibrary& library : catalogue.refused())
    refused += paragraph(library.library.string() + ": " + library.reason, kWidth, 2);
  if (!refused.empty()) print("\nCannot be used:\n" + refused);
  return 0;
}

const PluginInfo& find_plugin(const Catalogue& catalogue, const std::string& name) {
  const size_t slash = name.find('/');
  const std::string kind = slash == std::string::npos ? "" : name.substr(0, slash);
  const std::string plain = slash == std::string::npos ? name : name.substr(slash + 1);
  std::vector<const PluginInfo*> found;
  std::vector<std::string> known;
  for (const PluginInfo& plugin : catalogue.plugins()) {
    if (!kind.empty() && kind != kind_word(plugin.kind)) continue;
    known.push_back(plugin.name);
    if (plugin.name == plain) found.push_back(&plugin);
  }
  if (!kind.empty() && known.empty())
    throw Error("there is no plugin of the kind \"" + kind + "\"; silc plugin list shows all");
  if (found.empty()) {
    const std::string meant = most_similar(plain, known);
    throw Error("there is no plugin \"" + name + "\"; " +
                (meant.empty() ? "silc plugin list shows all" : "did you mean \"" + meant + "\"?"));
  }
  if (found.size() == 1) return *found.front();
  std::string choices;
  for (const PluginInfo* plugin : found)
    choices += (choices.empty() ? "" : " or ") + kind_word(plugin->kind) + "/" + plugin->name;
  throw Error("there are several plugins \"" + name + "\": say " + choices);
}

struct ShowOptions {
  std::string name;
  bool all = false;
  bool markdown = false;
};

std::string description(const PluginInfo& plugin) {
  std::string text = fmt::format("{} {}, version {}\n", kind_name(plugin.kind), plugin.name, plugin.version);
  text += paragraph(plugin.summary, kWidth, 0);
  text += "library: " + plugin.library.string() + "\n";
  for (const std::string& sentence : needs_sentences(plugin)) text += sentence + "\n";
  if (!plugin.splits.empty()) text += "\nSplits:\n";
  for (const SplitInfo& split : plugin.splits) {
    text += fmt::format("  {}\n", split.name);
    text += paragraph(split.content, kWidth, 6);
  }
  text += plugin.options.empty() ? "\nNo options.\n" : "\nOptions:\n";
  for (const OptionRecord& option : plugin.options) {
    text += fmt::format("  {} = {}\n", option.name, option_to_json(default_value(option)).dump());
    text += paragraph(option_domain(option), kWidth, 6) + paragraph(option.help, kWidth, 6);
  }
  return text;
}

int show_all(const Session& session, bool markdown) {
  const Catalogue catalogue = session.catalogue();
  if (session.json) {
    auto plugins = nlohmann::ordered_json::array();
    for (const PluginInfo& plugin : catalogue.plugins()) plugins.push_back(to_json(plugin));
    print_json({{"plugins", plugins}});
    return 0;
  }
  if (markdown) {
    print(plugin_reference(catalogue));
    return 0;
  }
  std::string text;
  for (const PluginInfo& plugin : catalogue.plugins()) text += (text.empty() ? "" : "\n\n") + description(plugin);
  print(text);
  return 0;
}

int show(const Session& session, const ShowOptions& options) {
  if (options.all != options.name.empty())
    throw Error(options.all ? "silc plugin show takes a NAME or --all, not both"
                            : "NAME is missing; --all shows every plugin (see silc plugin show --help)");
  if (options.all) return show_all(session, options.markdown);
  const Catalogue catalogue = session.catalogue();
  const PluginInfo& plugin = find_plugin(catalogue, options.name);
  if (session.json)
    print_json(to_json(plugin));
  else
    print(options.markdown ? plugin_section(plugin) : description(plugin));
  return 0;
}

}  // namespace

std::string kind_word(PluginKind kind) {
  std::string word(kind_name(kind));
  std::replace(word.begin(), word.end(), ' ', '-');
  return word;
}

void add_plugin(CLI::App& app, Session& session) {
  CLI::App* group =
      app.add_subcommand("plugin", "what can be loaded, and the options that it takes; plugins of your own");
  group->require_subcommand(1);
  group->footer("silc plugin list\nsilc plugin show silc\nsilc plugin new objective focal_clip");

  CLI::App* listing =
      group->add_subcommand("list",
                            "all plugins\n\nKind, name, library and one line for each; at the end the libraries on the "
                            "plugin path that cannot "
                            "be used, and why. Nothing of a library runs: its declarations are read from the file.");
  listing->footer("silc plugin list --plugin-path build/my_plugins");
  listing->callback([&session] { session.command = [&session] { return list(session); }; });

  CLI::App* showing = group->add_subcommand(
      "show",
      "one plugin and its options, with defaults, what they take, and their meaning\n\nNAME is a plugin's name, "
      "or KIND/NAME where plugins of different kinds share it.");
  showing->footer("silc plugin show silc\nsilc plugin show image-backbone/vit\nsilc plugin show --all --markdown");
  const auto options = std::make_shared<ShowOptions>();
  showing->add_option("name", options->name, "the plugin")->option_text("[NAME]")->type_name("plugin");
  showing->add_flag("--all", options->all, "every plugin instead of one");
  showing->add_flag("--markdown", options->markdown,
                    "as Markdown; with --all the whole reference, as it stands in docs/reference/plugins.md");
  showing->callback([options, &session] { session.command = [options, &session] { return show(session, *options); }; });

  add_plugin_new(*group, session);
  add_plugin_build(*group, session);
  add_plugin_check(*group, session);
}

}  // namespace silc
