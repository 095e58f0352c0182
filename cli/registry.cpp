// silc registry: is it sound, and how to make it again.
#include <fmt/format.h>

#include <memory>

#include "cli/session.h"
#include "cli/text.h"
#include "schedule/progress.h"

namespace silc {

namespace {

// What the registry says of a cell against what its run folder says; empty if they agree.
std::string disagreement(const Session& session, const CellRecord& record) {
  const RunFolder folder{session.runs / record.cell.folder};
  const bool exists = std::filesystem::exists(folder.cell());
  if (!exists && record.state != CellState::planned)
    return fmt::format("{}: the registry says {}, but the run folder is gone", folder.path.string(),
                       state_name(record.state));
  const bool finished = inspect(folder).state == FolderState::finished;
  if (finished != (record.state == CellState::finished))
    return fmt::format("{}: the registry says {}, but the run folder says {}", folder.path.string(),
                       state_name(record.state), finished ? "finished" : "not finished");
  return {};
}

int check(const Session& session) {
  const Registry registry = session.open_registry();
  std::vector<std::string> faults = registry.check();
  int64_t cells = 0;
  for (const std::string& name : registry.experiments())
    for (const CellRecord& record : registry.cells(name)) {
      ++cells;
      if (auto fault = disagreement(session, record); !fault.empty()) faults.push_back(std::move(fault));
    }
  if (session.json) {
    print_json({{"registry", session.registry_file().string()}, {"cells", cells}, {"faults", faults}});
  } else if (faults.empty()) {
    print(fmt::format("{}: sound, {}\n", session.registry_file().string(), count(cells, "cell")));
  }
  for (const std::string& fault : faults) complain(fault);
  if (!faults.empty())
    complain(count(static_cast<int64_t>(faults.size()), "fault") + "; silc registry rebuild makes the registry again");
  return faults.empty() ? 0 : 1;
}

int rebuild(Session& session) {
  Registry registry(session.registry_file(), session.runs);
  session.started = true;
  std::vector<std::string> faults;
  const int64_t cells = registry.rebuild(&faults);
  for (const std::string& fault : faults) warn("passed over: " + fault);
  if (session.json)
    print_json({{"registry", session.registry_file().string()}, {"cells", cells}, {"faults", faults}});
  else
    print(fmt::format("{}: rebuilt from {}\n", session.registry_file().string(), count(cells, "run folder")));
  return faults.empty() ? 0 : 1;
}

}  // namespace

void add_registry(CLI::App& app, Session& session) {
  CLI::App* group = app.add_subcommand("registry", "integrity of the registry, and how to make it again");
  group->require_subcommand(1);
  group->footer("silc registry check");

  CLI::App* checking =
      group->add_subcommand("check",
                            "compares the registry with the run folders\n\nRuns SQLite's integrity checks and compares "
                            "what the registry says "
                            "of each cell with its run folder. Changes nothing. Exit code 1 if there is a fault.");
  checking->footer("silc registry check");
  checking->callback([&session] { session.command = [&session] { return check(session); }; });

  CLI::App* rebuilding = group->add_subcommand("rebuild",
                                               "makes the registry again from the run folders alone\n\nThe old one "
                                               "stays in place until the new one is whole. Exit "
                                               "code 1 if a run folder had to be passed over.");
  rebuilding->footer("silc registry rebuild");
  rebuilding->callback([&session] { session.command = [&session] { return rebuild(session); }; });
}

}  // namespace silc
