#include "cli/help.h"

#include <algorithm>
#include <cctype>

#include "text/display.h"

namespace silc {

namespace {

constexpr size_t kWidth = 96;
constexpr size_t kIndent = 2;

struct Item {
  std::string name;
  std::string meaning;
};

std::string section(const std::string& title, const std::vector<Item>& items) {
  if (items.empty()) return {};
  size_t column = 0;
  for (const Item& item : items) column = std::max(column, display_width(item.name));
  column += kIndent + 2;
  std::string text = "\n" + title + ":\n";
  for (const Item& item : items) {
    std::string meaning = paragraph(item.meaning, kWidth, column);
    meaning.replace(0, kIndent + display_width(item.name), std::string(kIndent, ' ') + item.name);
    text += meaning;
  }
  return text;
}

std::string flag_name(const CLI::Option& option) {
  std::string name;
  for (const auto& letter : option.get_snames()) name += (name.empty() ? "-" : ", -") + letter;
  for (const auto& word : option.get_lnames()) name += (name.empty() ? "--" : ", --") + word;
  // As in "--jobs N"; flags take no value and their type name is empty.
  if (!option.get_option_text().empty()) name += " " + option.get_option_text();
  return name;
}

std::vector<Item> flags(const CLI::App& app) {
  std::vector<Item> items;
  for (const CLI::Option* option : app.get_options())
    if (option->nonpositional()) items.push_back({flag_name(*option), option->get_description()});
  return items;
}

std::vector<Item> arguments(const CLI::App& app) {
  std::vector<Item> items;
  for (const CLI::Option* option : app.get_options())
    if (option->get_positional()) items.push_back({option->get_option_text(), option->get_description()});
  return items;
}

std::vector<Item> commands(const CLI::App& app) {
  std::vector<Item> items;
  for (const CLI::App* command : app.get_subcommands(nullptr)) {
    if (command->get_group().empty()) continue;  // not for people
    const std::string description = command->get_description();
    items.push_back({command->get_name(), description.substr(0, description.find('\n'))});
  }
  return items;
}

// What stands in the list of commands in lower case begins a text here.
std::string sentence(std::string text) {
  if (!text.empty()) text.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(text.front())));
  return text;
}

std::string full_name(const CLI::App* app) {
  return app->get_parent() == nullptr ? app->get_name() : full_name(app->get_parent()) + " " + app->get_name();
}

std::string usage(const CLI::App& app) {
  std::string line = full_name(&app);
  if (!commands(app).empty()) line += " COMMAND";
  for (const Item& argument : arguments(app)) line += " " + argument.name;
  return line + " [FLAGS]";
}

}  // namespace

std::string HelpFormatter::make_help(const CLI::App* app, std::string /*name*/, CLI::AppFormatMode /*mode*/) const {
  std::string text = "Usage: " + usage(*app) + "\n\n" + paragraph(sentence(app->get_description()), kWidth, 0);
  text += section("Commands", commands(*app));
  text += section("Arguments", arguments(*app));
  text += section("Flags", flags(*app));
  const CLI::App* root = app;
  while (root->get_parent() != nullptr) root = root->get_parent();
  if (root != app) {
    std::vector<Item> common = flags(*root);
    std::erase_if(common, [](const Item& item) { return item.name.find("--help") != std::string::npos; });
    text += section("Common flags", common);
  }
  if (!app->get_footer().empty()) text += "\nExample:\n" + paragraph(app->get_footer(), 1000, kIndent);
  return text;
}

}  // namespace silc
