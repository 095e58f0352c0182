// silc diff: every setting in which two rows or cells differ.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "cli/session.h"
#include "files/run_folder.h"
#include "registry/settings.h"
#include "silc/error.h"
#include "text/display.h"

namespace silc {

namespace {

// What a name means: a row, by its first seed, or a cell.
struct Side {
  std::string name;  // "ablation/SILC", or with the seed and ID of a cell
  std::filesystem::path folder;
  std::map<std::string, std::string> settings;
};

bool is_there(const Session& session, const CellRecord& cell) {
  return std::filesystem::exists(RunFolder{session.runs / cell.cell.folder}.cell());
}

// The first cell of the row "ROW" or "EXPERIMENT/ROW" that has settings; of several experiments that have such a row,
// the one that was run last.
std::optional<CellRecord> find_row(const Session& session, const Registry& registry, const std::string& name) {
  for (const std::string& experiment : registry.experiments()) {
    std::optional<CellRecord> first;
    for (const CellRecord& cell : registry.cells(experiment)) {
      if (!cell.current || (cell.cell.row != name && experiment + "/" + cell.cell.row != name)) continue;
      if (is_there(session, cell) && (!first || cell.cell.seed < first->cell.seed)) first = cell;
    }
    if (first) return first;
  }
  return std::nullopt;
}

Side find_in(const Session& session, const std::string& name) {
  const Registry registry = session.open_registry();
  const auto row = find_row(session, registry, name);
  const CellRecord cell = row ? *row : registry.find_cell(name);
  Side side;
  side.name = cell.experiment + "/" + cell.cell.row;
  if (!row) side.name += fmt::format("/{} ({})", cell.cell.seed, cell.cell.id);
  side.folder = session.runs / cell.cell.folder;
  side.settings = settings_of_cell(side.folder);
  if (!row) side.settings["seed"] = std::to_string(cell.cell.seed);
  return side;
}

// In the first of the registries that knows it.
Side find_side(const std::vector<Session>& sessions, const std::string& name) {
  for (std::size_t i = 0; i < sessions.size(); ++i) {
    try {
      return find_in(sessions[i], name);
    } catch (const Error&) {
      if (i + 1 == sessions.size()) throw;
    }
  }
  throw Error("there is no registry");
}

std::string shown(const std::string& value) { return value.empty() ? "–" : value; }

// A row of a cell differs in its seed only if both are cells.
std::vector<SettingDifference> compare(Side& one, Side& other) {
  if (!one.settings.contains("seed") || !other.settings.contains("seed")) {
    one.settings.erase("seed");
    other.settings.erase("seed");
  }
  return differences({one.settings, other.settings});
}

// Three columns; long values are broken into lines.
std::string table_of(const Side& one, const Side& other, const std::vector<SettingDifference>& found) {
  constexpr std::size_t kWidth = 120, kGap = 2;
  std::size_t key = display_width("SETTING");
  for (const SettingDifference& difference : found) key = std::max(key, display_width(difference.setting));
  const std::size_t value = std::max<std::size_t>(20, (kWidth - std::min(kWidth, key + 2 * kGap)) / 2);
  std::size_t first = display_width(one.name);
  for (const SettingDifference& difference : found) first = std::max(first, display_width(difference.values[0]));
  first = std::min(first, value);
  std::string text;
  const auto add = [&](const std::string& setting, const std::string& left, const std::string& right) {
    const auto lefts = wrap(left, first);
    const auto rights = wrap(right, value);
    for (std::size_t i = 0; i < std::max(lefts.size(), rights.size()); ++i) {
      const std::string a = i == 0 ? setting : "";
      const std::string b = i < lefts.size() ? lefts[i] : "";
      std::string line = a + std::string(key + kGap - display_width(a), ' ') + b;
      if (i < rights.size())
        line += std::string(std::max(first, display_width(b)) + kGap - display_width(b), ' ') + rights[i];
      line.erase(line.find_last_not_of(' ') + 1);
      text += line + "\n";
    }
  };
  add("SETTING", one.name, other.name);
  for (const SettingDifference& difference : found)
    add(difference.setting, shown(difference.values[0]), shown(difference.values[1]));
  return text;
}

nlohmann::ordered_json to_json(const Side& one, const Side& other, const std::vector<SettingDifference>& found) {
  const auto side = [](const Side& each) {
    return nlohmann::ordered_json{{"name", each.name}, {"folder", each.folder.string()}};
  };
  const auto value = [](const std::string& text) {
    return text.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(text);
  };
  auto list = nlohmann::ordered_json::array();
  for (const SettingDifference& difference : found)
    list.push_back(
        {{"setting", difference.setting}, {"a", value(difference.values[0])}, {"b", value(difference.values[1])}});
  return {{"a", side(one)}, {"b", side(other)}, {"differences", list}};
}

int diff(const Session& session, const std::string& first, const std::string& second) {
  std::vector<Session> sessions = session.for_each_registry();
  Side one = find_side(sessions, first);
  std::ranges::reverse(sessions);
  Side other = find_side(sessions, second);
  const std::vector<SettingDifference> found = compare(one, other);
  if (session.json)
    print_json(to_json(one, other, found));
  else if (found.empty())
    print(fmt::format("{} and {} have the same settings\n", one.name, other.name));
  else
    print(table_of(one, other, found));
  return 0;
}

}  // namespace

void add_diff(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand(
      "diff",
      "every setting in which two rows or cells differ\n\nROW is the name of a row, of the experiment that was run "
      "last among "
      "those that have it, or EXPERIMENT/ROW; or a cell: an ID, an unambiguous start of one, or EXPERIMENT/ROW/SEED. "
      "With "
      "--registry several times, the first is looked for from the first registry on, the second from the last.");
  command->footer(
      "silc diff CLIP SILC\nsilc diff ablation/SILC scaling/SILC\nsilc diff SILC SILC --registry a/registry.sqlite "
      "--registry b/registry.sqlite");
  struct Names {
    std::string first, second;
  };
  const auto names = std::make_shared<Names>();
  command->add_option("a", names->first, "a row or cell")->option_text("ROW")->required();
  command->add_option("b", names->second, "another one")->option_text("ROW")->required();
  command->callback([names, &session] {
    session.command = [names, &session] { return diff(session, names->first, names->second); };
  });
}

}  // namespace silc
