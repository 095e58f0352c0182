// silc registry: is it sound, how to make it again, and how other programs read it.
#include <fmt/format.h>

#include <memory>
#include <tuple>

#include "cli/session.h"
#include "cli/text.h"
#include "registry/export.h"
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

struct ExportArguments {
  std::vector<std::string> experiments;
  std::string format = "csv";
  std::filesystem::path output;
  bool all = false;
  bool force = false;
};

// The command by which the other program shows the export.
std::string next_step(ExportTarget target, const std::filesystem::path& folder) {
  const std::string store = "sqlite:///" + (folder / "mlflow.db").string();
  switch (target) {
    case ExportTarget::csv:
      break;
    case ExportTarget::tensorboard:
      return fmt::format("tensorboard --logdir {}", folder.string());
    case ExportTarget::mlflow:
      return fmt::format("mlflow db upgrade {0} && mlflow ui --backend-store-uri {0}", store);
  }
  return {};
}

int export_cells(Session& session, const ExportArguments& arguments) {
  const RegistryExport request{.experiments = arguments.experiments,
                               .target = parse_export_target(arguments.format),
                               .folder = arguments.output,
                               .all = arguments.all,
                               .replace = arguments.force};
  const Registry registry = session.open_registry();
  for (const std::string& name : arguments.experiments)
    std::ignore = session.find_experiment(registry, name);  // or throws
  const ExportedCounts counts = export_registry(registry, request);
  for (const std::string& remark : counts.remarks) warn(remark);
  if (session.json)
    print_json({{"folder", request.folder.string()},
                {"format", arguments.format},
                {"experiments", counts.experiments},
                {"cells", counts.cells},
                {"step_metrics", counts.step_metrics},
                {"remarks", counts.remarks}});
  else
    print(fmt::format("{}: {}, {}\n", request.folder.string(), count(counts.cells, "cell"),
                      count(counts.step_metrics, "step metric")));
  if (const std::string next = next_step(request.target, request.folder); !next.empty() && !session.json)
    note(session, "next: " + next);
  return 0;
}

}  // namespace

void add_registry(CLI::App& app, Session& session) {
  CLI::App* group =
      app.add_subcommand("registry", "integrity of the registry, how to make it again, and exports for other programs");
  group->require_subcommand(1);
  group->footer("silc registry check\nsilc registry export --output tables");

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

  const auto arguments = std::make_shared<ExportArguments>();
  CLI::App* exporting = group->add_subcommand(
      "export",
      "cells for other programs: CSV, TensorBoard, MLflow\n\nSettings, metrics, costs, warnings and step metrics of "
      "every cell of these experiments, or of all, in a folder that is there whole or not at all. Cells that are no "
      "part of their experiment any more are left out.");
  exporting->add_option("experiment", arguments->experiments, "the experiments; all unless given")
      ->option_text("[EXPERIMENT...]");
  exporting
      ->add_option("--format", arguments->format,
                   "csv (default): one file a table; tensorboard: event files for its scalars, texts and HPARAMS; "
                   "mlflow: its SQLite store")
      ->option_text("NAME")
      ->type_name("csv|tensorboard|mlflow");
  exporting->add_option("--output", arguments->output, "the folder to write")->option_text("DIR")->required();
  exporting->add_flag("--all", arguments->all, "also cells of earlier versions of an experiment");
  exporting->add_flag("--force", arguments->force, "replace an earlier export");
  exporting->footer(
      "silc registry export --output tables\n"
      "silc registry export ablation --format tensorboard --output board");
  exporting->callback(
      [arguments, &session] { session.command = [=, &session] { return export_cells(session, *arguments); }; });
}

}  // namespace silc
