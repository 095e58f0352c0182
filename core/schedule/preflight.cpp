#include "schedule/preflight.h"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "files/run_folder.h"
#include "schedule/fingerprints.h"
#include "silc/error.h"

namespace silc {

namespace {

using Json = nlohmann::json;

// Cells that differ in nothing that a look before training can see.
struct Group {
  ResolvedCell cell;             // one of them
  std::filesystem::path folder;  // its
  std::vector<std::size_t> tasks;
};

bool starts_from_checkpoint(const CellTask& task) {
  if (task.cell.start.cell.empty()) return false;
  return std::filesystem::exists(task.folder.sibling(task.cell.start.folder).metrics());
}

// The settings without those that decide how long and how fast is trained, and with what random numbers.
std::string sight_of(const CellTask& task) {
  ResolvedCell cell = task.cell;
  cell.experiment.clear();
  cell.row.clear();
  cell.seed = 0;
  if (!is_evaluated_only(cell)) cell.budget = {.unit = BudgetUnit::examples, .amount = 1};
  cell.optimizer = {};
  const EngineSettings engine = cell.engine;
  cell.engine = {};
  cell.engine.precision = engine.precision;
  cell.engine.device = engine.device;
  cell.engine.chunk = engine.chunk;
  cell.engine.recompute = engine.recompute;
  if (!starts_from_checkpoint(task)) {
    // Whose checkpoint it will be does not matter, whose captions the tokenizer learns from does.
    cell.start.folder.clear();
    if (!cell.start.cell.empty()) cell.start.cell = "to be trained";
  }
  return write_cell(cell);
}

std::vector<Group> groups_of(std::span<const CellTask> tasks) {
  std::vector<Group> groups;
  std::map<std::string, std::size_t> known;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const auto [entry, fresh] = known.try_emplace(sight_of(tasks[i]), groups.size());
    if (fresh) groups.push_back({tasks[i].cell, tasks[i].folder.path, {}});
    groups[entry->second].tasks.push_back(i);
  }
  return groups;
}

// Takes the engine's lines as they come.
class Reader {
 public:
  Reader(const std::vector<Group>& groups, const std::function<void(const std::string&)>& progress,
         PreflightReport& report)
      : groups_(groups), progress_(progress), report_(report) {}

  void take(std::string_view piece) {
    rest_ += piece;
    for (std::size_t end = rest_.find('\n'); end != std::string::npos; end = rest_.find('\n')) {
      const Json line = Json::parse(rest_.substr(0, end), nullptr, false);
      rest_.erase(0, end + 1);
      if (line.is_object()) take_line(line);  // else something that a plugin printed
    }
  }

  [[nodiscard]] bool done() const { return done_; }
  [[nodiscard]] const std::string& item() const { return item_; }  // that was begun last
  [[nodiscard]] const std::string& title() const { return title_; }
  [[nodiscard]] const std::string& plugin() const { return plugin_; }  // that is at work on it
  [[nodiscard]] const std::vector<std::string>& completed_cells() const { return completed_cells_; }

  void add_fault(const std::string& message, const std::string& key) {
    std::map<std::string, std::vector<std::size_t>> tasks;  // by key
    for (const auto& [cell, own_key] : uses_) {
      std::vector<std::size_t>& list = tasks[key.empty() ? own_key : key];
      list.insert(list.end(), groups_.at(cell).tasks.begin(), groups_.at(cell).tasks.end());
    }
    for (auto& [own_key, list] : tasks) report_.faults.push_back({std::move(list), own_key, message});
  }

  void add_end(const std::string& message) { add_fault(message, plugin_key_); }

 private:
  void take_line(const Json& line) {
    if (line.contains("begin")) {
      begin(line);
    } else if (line.contains("in")) {
      plugin_ = line.at("in");
      plugin_key_ = line.at("key");
    } else if (line.contains("fault")) {
      add_fault(line.at("fault"), line.at("key"));
    } else if (line.contains("not_applicable")) {
      for (const std::size_t task : groups_.at(line.at("cell")).tasks)
        report_.not_applicable.push_back({task, line.at("not_applicable"), line.at("reason")});
    } else if (line.contains("gives")) {
      for (const Json& name : line.at("gives")) report_.metrics[line.at("evaluation")].insert(name.get<std::string>());
    } else if (line.contains("done")) {
      done_ = true;
    }
  }

  void begin(const Json& line) {
    const std::string item = line.at("begin");
    title_ = line.at("title");
    // Cells come one after the other, each followed by its evaluations.
    const bool is_evaluation = item.starts_with("evaluation ");  // they are many, and quick
    if (progress_ && !is_evaluation) progress_(title_);
    if (item.starts_with("cell ")) {
      if (!cell_.empty()) completed_cells_.push_back(cell_);
      cell_ = item;
    }
    item_ = item;
    plugin_.clear();
    plugin_key_.clear();
    uses_.clear();
    for (const Json& use : line.at("uses")) uses_.emplace_back(use.at("cell"), use.at("key"));
  }

  const std::vector<Group>& groups_;
  const std::function<void(const std::string&)>& progress_;
  PreflightReport& report_;
  std::string rest_;
  std::string item_;
  std::string title_;
  std::string cell_;
  std::string plugin_;
  std::string plugin_key_;
  std::vector<std::pair<std::size_t, std::string>> uses_;
  std::vector<std::string> completed_cells_;
  bool done_ = false;
};

// What became of an engine that did not come to its end.
std::string describe_end(const EngineAnswer& answer, const Reader& reader, double patience) {
  const std::string where = reader.plugin().empty() ? reader.title() : reader.plugin();
  if (answer.gave_up)
    return fmt::format(
        "{}: no sign of life for {:g} s when it was tried before training; engine.hang_seconds says how long to wait",
        where, patience);
  if (answer.end.signal != 0)
    return fmt::format(
        "{}: the engine was killed by {} when it was tried before training{}", where, signal_name(answer.end.signal),
        answer.errors.find("its stack overflowed") == std::string::npos ? ""
                                                                        : ": its stack overflowed; endless recursion?");
  return fmt::format(
      "{}: the engine exited with code {} when it was tried before training; a plugin must not end the process (exit)",
      where, answer.end.exit_code);
}

Json question_of(const std::vector<Group>& groups, const std::set<std::string>& skip) {
  Json cells = Json::array();
  for (const Group& group : groups)
    cells.push_back({{"toml", write_cell(group.cell)}, {"folder", group.folder.string()}});
  return {{"cells", cells}, {"skip", skip}};
}

std::string words_of(const EngineAnswer& answer) {
  std::string words = answer.errors;
  while (!words.empty() && words.back() == '\n') words.pop_back();
  return words;
}

}  // namespace

PreflightReport preflight(const Engine& engine, std::span<const CellTask> tasks,
                          const std::set<std::string>& unreadable,
                          const std::function<void(const std::string& title)>& progress) {
  PreflightReport report;
  const std::vector<Group> groups = groups_of(tasks);
  if (groups.empty()) return report;
  std::vector<ResolvedCell> cells;
  for (const Group& group : groups) cells.push_back(group.cell);
  const double patience = patience_of(cells);
  std::set<std::string> skip = unreadable;
  while (true) {
    Reader reader(groups, progress, report);
    try {
      const EngineAnswer answer = run_engine(
          engine, {"preflight"}, question_of(groups, skip).dump(), [&](std::string_view piece) { reader.take(piece); },
          patience);
      if (reader.done()) return report;
      if (reader.item().empty() || skip.contains(reader.item()))
        throw Error(answer.errors.empty() ? "silc-engine preflight (" + engine.program.string() +
                                                ") did not answer as expected; is it of this version?"
                                          : words_of(answer));
      reader.add_end(describe_end(answer, reader, patience));
    } catch (const Json::exception&) {
      throw Error("silc-engine preflight (" + engine.program.string() +
                  ") did not answer as expected; is it of this version?");
    }
    skip.insert(reader.item());
    skip.insert(reader.completed_cells().begin(), reader.completed_cells().end());
  }
}

}  // namespace silc
