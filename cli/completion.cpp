// silc completion: scripts by which shells complete commands, flags and names. They are written from the command line
// as it is declared, so that they never fall behind it.
//
// What may follow a flag, or stand as an argument, is a word: "file", "directory", "experiment_file"; or "plugin",
// "experiment", "cell", "rows", for which the script asks `silc completion-values`; or choices, "bash|zsh|fish"; or
// "anything". It is an option's type_name() where that was given in lower case, and else follows from its placeholder
// ("DIR").
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <memory>

#include "cli/session.h"
#include "cli/templates.h"
#include "plugin/similar.h"
#include "silc/error.h"
#include "spec/experiment.h"
#include "text/display.h"

namespace silc {

namespace {

constexpr size_t kMeaningWidth = 72;

struct Named {
  std::string name;
  std::string meaning;
};

struct Flag {
  std::vector<std::string> names;  // "-q", "--quiet"
  std::string value;               // what follows it; empty: nothing
  std::string meaning;
};

struct Command {
  std::string path;  // "silc plugin show"
  std::vector<Named> commands;
  std::vector<Flag> flags;             // of its own; those of "silc" hold for all
  std::vector<std::string> arguments;  // what stands at each place; the last may repeat

  [[nodiscard]] bool is_root() const { return path.find(' ') == std::string::npos; }
};

std::string value_of(const CLI::Option& option) {
  const std::string declared = option.get_type_name();
  if (!declared.empty() && std::islower(static_cast<unsigned char>(declared.front())) != 0) return declared;
  static const std::map<std::string, std::string> kPlaceholders = {{"DIR", "directory"},
                                                                   {"[DIR]", "directory"},
                                                                   {"FILE", "file"},
                                                                   {"EXPERIMENT.toml", "experiment_file"},
                                                                   {"[EXPERIMENT]", "experiment"},
                                                                   {"[EXPERIMENT...]", "experiment"},
                                                                   {"CELL", "cell"},
                                                                   {"ROW", "row"}};
  const auto found = kPlaceholders.find(option.get_option_text());
  return found == kPlaceholders.end() ? "anything" : found->second;
}

std::string short_meaning(const std::string& description) {
  return cut(description.substr(0, description.find('\n')), kMeaningWidth);
}

Command read_command(const CLI::App& app, const std::string& path) {
  Command command{path, {}, {}, {}};
  for (const CLI::App* each : app.get_subcommands(nullptr))
    if (!each->get_group().empty())
      command.commands.push_back({each->get_name(), short_meaning(each->get_description())});
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional()) command.arguments.push_back(value_of(*option));
    const bool inherited = app.get_parent() != nullptr && option == app.get_help_ptr();
    if (!option->nonpositional() || inherited) continue;
    Flag flag;
    for (const std::string& name : option->get_snames()) flag.names.push_back(fmt::format("-{}", name));
    for (const std::string& name : option->get_lnames()) flag.names.push_back(fmt::format("--{}", name));
    if (!option->get_option_text().empty()) flag.value = value_of(*option);
    flag.meaning = short_meaning(option->get_description());
    command.flags.push_back(std::move(flag));
  }
  return command;
}

void read_commands(const CLI::App& app, const std::string& path, std::vector<Command>& commands) {
  commands.push_back(read_command(app, path));
  for (const CLI::App* each : app.get_subcommands(nullptr))
    if (!each->get_group().empty()) read_commands(*each, path + " " + each->get_name(), commands);
}

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
  return text;
}

// As one word of bash or zsh.
std::string shell_word(const std::string& text) { return fmt::format("'{}'", replaced(text, "'", "'\\''")); }

std::string fish_word(const std::string& text) {
  return fmt::format("'{}'", replaced(replaced(text, "\\", "\\\\"), "'", "\\'"));
}

// "a b c", each put through `as`.
template <class Items, class As>
std::string joined(const Items& items, std::string_view separator, As as) {
  std::string text;
  for (const auto& item : items) {
    if (!text.empty()) text += separator;
    text += as(item);
  }
  return text;
}

std::string as_it_is(const std::string& text) { return text; }

std::vector<std::string> paths_of(const std::vector<Command>& commands) {
  std::vector<std::string> paths;
  for (const Command& command : commands)
    if (!command.is_root()) paths.push_back(command.path);
  return paths;
}

std::vector<Named> flags_of(const Command& command) {
  std::vector<Named> flags;
  for (const Flag& flag : command.flags)
    for (const std::string& name : flag.names) flags.push_back({name, flag.meaning});
  return flags;
}

// The part that bash and zsh read alike: which words are commands, and what follows a flag.
std::string functions(const std::vector<Command>& commands) {
  std::vector<std::string> values;
  for (const Command& command : commands)
    for (const Flag& flag : command.flags) {
      if (flag.value.empty()) continue;
      // The flags of the root may follow any command.
      const auto pattern = [&](const std::string& name) {
        return command.is_root() ? fmt::format("*' {}'", name) : shell_word(command.path + " " + name);
      };
      values.push_back(fmt::format("    {}) kind={} ;;", joined(flag.names, " | ", pattern), shell_word(flag.value)));
    }
  return fill_in(
      template_text("completion/functions.sh.in"),
      {{"VALUES", joined(values, "\n", as_it_is)}, {"KNOWN", joined(paths_of(commands), " | ", shell_word)}});
}

std::string name_of(const Named& named) { return named.name; }

std::string bash_script(const std::vector<Command>& commands) {
  const auto as_case = [](const Command& command) {
    const std::string flags = command.is_root() ? "" : joined(flags_of(command), " ", name_of);
    return fmt::format("    {}) commands={} flags={} arguments=({}) ;;", shell_word(command.path),
                       shell_word(joined(command.commands, " ", name_of)), shell_word(flags),
                       joined(command.arguments, " ", shell_word));
  };
  return fill_in(template_text("completion/silc.bash.in"),
                 {{"FUNCTIONS", functions(commands)},
                  {"CASES", joined(commands, "\n", as_case)},
                  {"COMMON", joined(flags_of(commands.front()), " ", name_of)}});
}

// "name:meaning", as _describe reads it.
std::string zsh_item(const Named& named) {
  return "      " + shell_word(named.name + ":" + replaced(named.meaning, ":", "\\:"));
}

std::string zsh_script(const std::vector<Command>& commands) {
  const auto as_case = [](const Command& command) {
    const auto flags = command.is_root() ? std::vector<Named>{} : flags_of(command);
    return fmt::format(
        "    ({})\n      commands=(\n{}\n      )\n      flags=(\n{}\n      )\n      arguments=({})\n      ;;",
        shell_word(command.path), joined(command.commands, "\n", zsh_item), joined(flags, "\n", zsh_item),
        joined(command.arguments, " ", shell_word));
  };
  return fill_in(template_text("completion/silc.zsh.in"),
                 {{"FUNCTIONS", functions(commands)},
                  {"CASES", joined(commands, "\n", as_case)},
                  {"COMMON", joined(flags_of(commands.front()), "\n", zsh_item)}});
}

std::string fish_values(const std::string& value) {
  if (value == "anything") return "";
  if (value == "file") return " -F";
  if (value == "directory") return " -a '(__fish_complete_directories)'";
  if (value == "experiment_file") return " -a '(__fish_complete_suffix .toml)'";
  if (value == "experiment") return " -a '(__silc_values experiment; __fish_complete_suffix .toml)'";
  if (value.find('|') != std::string::npos) return " -a " + fish_word(replaced(value, "|", " "));
  return " -a " + fish_word("(__silc_values " + value + ")");
}

std::string fish_script(const std::vector<Command>& commands) {
  std::vector<std::string> items;
  for (const Command& command : commands) {
    const std::string here = "complete -c silc -n " + fish_word("__silc_at " + command.path);
    for (const Named& each : command.commands)
      items.push_back(fmt::format("{} -a {} -d {}", here, each.name, fish_word(each.meaning)));
    for (const std::string& argument : command.arguments)
      if (argument != "anything") items.push_back(here + fish_values(argument));
    for (const Flag& flag : command.flags) {
      std::string item = command.is_root() ? "complete -c silc" : here;
      for (const std::string& name : flag.names)
        item += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      if (!flag.value.empty()) item += " -r" + fish_values(flag.value);
      items.push_back(fmt::format("{} -d {}", item, fish_word(flag.meaning)));
    }
  }
  return fill_in(template_text("completion/silc.fish.in"),
                 {{"KNOWN", joined(paths_of(commands), " ", fish_word)}, {"ITEMS", joined(items, "\n", as_it_is)}});
}

int write_script(const CLI::App& app, const std::string& shell) {
  std::vector<Command> commands;
  read_commands(app, app.get_name(), commands);
  if (shell == "bash")
    print(bash_script(commands));
  else if (shell == "zsh")
    print(zsh_script(commands));
  else if (shell == "fish")
    print(fish_script(commands));
  else
    throw Error("there is no completion for \"" + shell + "\"" +
                suggestion(shell, std::vector<std::string>{"bash", "zsh", "fish"}));
  return 0;
}

std::vector<std::string> plugin_values(const Catalogue& catalogue) {
  std::vector<std::string> names;
  for (const PluginInfo& plugin : catalogue.plugins()) names.push_back(plugin.name);
  return names;
}

std::vector<std::string> values(const Session& session, const std::string& kind, const std::string& file) {
  if (kind == "plugin") return plugin_values(session.catalogue());
  if (kind == "rows")
    return file.empty() ? std::vector<std::string>{}
                        : read_experiment({.file = file}, session.with_plugins_of(file).catalogue()).rows;
  const Registry registry = session.open_registry();
  if (kind == "experiment") return registry.experiments();
  std::vector<std::string> cells;
  if (kind == "row")
    for (const std::string& name : registry.experiments()) {
      const auto experiment = registry.experiment(name);  // kept: the loop below goes over its rows
      for (const std::string& row : experiment->rows) cells.push_back(name + "/" + row);
    }
  if (kind == "cell")
    for (const std::string& experiment : registry.experiments())
      for (const CellRecord& record : registry.cells(experiment)) cells.push_back(record.cell.id);
  return cells;
}

// Silent where there is nothing to offer, for whatever reason: somebody is typing.
int write_values(const Session& session, const std::string& kind, const std::string& file) {
  std::vector<std::string> found;
  try {
    found = values(session, kind, file);
  } catch (const std::exception&) {
    return 0;
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  std::string text;
  for (const std::string& value : found) text += value + "\n";
  print(text);
  return 0;
}

}  // namespace

void add_completion(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand(
      "completion",
      "a script by which a shell completes commands, flags and names\n\nSHELL is bash, zsh or fish. The script is "
      "printed; an installation has it where each shell looks (share/bash-completion, share/zsh, share/fish).");
  command->footer("source <(silc completion bash)\nsilc completion fish | source");
  const auto shell = std::make_shared<std::string>();
  command->add_option("shell", *shell, "the shell")->option_text("SHELL")->type_name("bash|zsh|fish")->required();
  command->callback([shell, &app, &session] { session.command = [shell, &app] { return write_script(app, *shell); }; });

  // For the scripts; not shown.
  CLI::App* asking = app.add_subcommand("completion-values", "names that a script completes");
  asking->group("");
  const auto kind = std::make_shared<std::string>();
  const auto file = std::make_shared<std::string>();
  asking->add_option("kind", *kind, "what is asked for")->required();
  asking->add_option("file", *file, "the experiment file that rows are asked of");
  asking->callback([kind, file, &session] {
    session.command = [kind, file, &session] { return write_values(session, *kind, *file); };
  });
}

}  // namespace silc
