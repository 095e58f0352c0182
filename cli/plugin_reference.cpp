#include "cli/plugin_reference.h"

#include <fmt/format.h>

#include <optional>

#include "plugin/option_values.h"

namespace silc {

namespace {

// A '|' would end the table's cell.
std::string table_text(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '|') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

std::string plural_heading(PluginKind kind) {
  std::string text(kind_name(kind));
  text.front() = static_cast<char>(text.front() - 'a' + 'A');
  return text + "s";
}

// "classes, masks and patch tokens"
std::string enumerated(const std::vector<Need>& needs) {
  std::string text;
  for (std::size_t i = 0; i < needs.size(); ++i)
    text += fmt::format("{}{}", i == 0 ? "" : i + 1 == needs.size() ? " and " : ", ", need_name(needs[i]));
  return text;
}

}  // namespace

std::vector<std::string> needs_sentences(const PluginInfo& plugin) {
  std::vector<std::string> sentences;
  if (const auto needed = needs_in(plugin.needs.needed); !needed.empty())
    sentences.push_back(fmt::format("Needs {}.", enumerated(needed)));
  if (const auto optional = needs_in(plugin.needs.optional); !optional.empty())
    sentences.push_back(fmt::format("Makes use of {}, where there.", enumerated(optional)));
  return sentences;
}

std::string plugin_section(const PluginInfo& plugin) {
  std::string text = fmt::format("### `{}`\n\n{}\n\n", plugin.name, plugin.summary);
  for (const std::string& sentence : needs_sentences(plugin)) text += sentence + "\n";
  if (!needs_sentences(plugin).empty()) text += "\n";
  if (!plugin.splits.empty()) {
    text += "| split | what it holds |\n|---|---|\n";
    for (const SplitInfo& split : plugin.splits) text += fmt::format("| `{}` | {} |\n", split.name, split.content);
    text += "\n";
  }
  if (plugin.options.empty()) return text + "No options.\n";
  text += "| option | takes | default | meaning |\n|---|---|---|---|\n";
  for (const OptionRecord& option : plugin.options)
    text += fmt::format("| `{}` | {} | `{}` | {} |\n", option.name, table_text(option_domain(option)),
                        table_text(option_to_json(default_value(option)).dump()), table_text(option.help));
  return text;
}

std::string plugin_reference(const Catalogue& catalogue) {
  std::string text =
      "# Plugins\n\nHere you look up what there is, what it needs and every option that it takes: as `silc plugin show "
      "--all\n--markdown` writes it. How options are set in an experiment: "
      "[experiment-file.md](experiment-file.md).\n";
  std::optional<PluginKind> kind;
  for (const PluginInfo& plugin : catalogue.plugins()) {
    if (kind != plugin.kind) text += fmt::format("\n## {}\n", plural_heading(plugin.kind));
    kind = plugin.kind;
    text += fmt::format("\n{}", plugin_section(plugin));
  }
  return text;
}

}  // namespace silc
