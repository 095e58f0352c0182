// silc report: the tables.
#include "registry/report.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "cli/experiment_plan.h"
#include "cli/published.h"
#include "cli/session.h"
#include "silc/error.h"
#include "spec/experiment.h"

namespace silc {

namespace {

struct ReportOptions {
  std::vector<std::string> experiments;
  std::string format;
  std::filesystem::path output;
  std::string table;
  std::vector<std::string> metrics;
  bool published = false;
  bool pictures = false;
};

bool is_file_name(const std::string& experiment) {
  return experiment.ends_with(".toml") || experiment.find('/') != std::string::npos;
}

void take_fingerprints(const ResolvedCell& from, ResolvedCell& cell) {
  cell.train.fingerprint = from.train.fingerprint;
  for (std::size_t i = 0; i < std::min(cell.train.parts.size(), from.train.parts.size()); ++i)
    cell.train.parts[i].fingerprint = from.train.parts[i].fingerprint;
  for (std::size_t i = 0; i < std::min(cell.evaluations.size(), from.evaluations.size()); ++i)
    cell.evaluations[i].data.fingerprint = from.evaluations[i].data.fingerprint;
}

// A recorded cell with the settings that the file gives it now; data that has changed since is not noticed.
bool is_up_to_date(const Session& session, const Catalogue& catalogue, ResolvedCell now, const PlannedCell& recorded) {
  RunFolder folder{session.runs / recorded.folder};
  if (!std::filesystem::exists(folder.cell())) return true;  // has no values either
  try {
    ResolvedCell then = read_cell(folder.cell(), catalogue);
    take_fingerprints(then, now);
    for (auto phase = now.earlier.rbegin(); phase != now.earlier.rend() && !then.start.cell.empty(); ++phase) {
      folder = folder.sibling(then.start.folder);
      then = read_cell(folder.cell(), catalogue);
      take_fingerprints(then, *phase);
    }
    return cell_id(phases_of(now).back()) == recorded.id;
  } catch (const Error&) {
    return false;  // of another version of silc or of a plugin
  }
}

// Values of settings that the file no longer has are shown, as nothing tells that they would differ, but not in
// silence.
void warn_of_changed_rows(const Session& session, const Catalogue& catalogue, const Experiment& now,
                          const PlannedExperiment& recorded) {
  std::vector<std::string> rows;
  for (const ResolvedCell& cell : now.cells) {
    const auto before = std::ranges::find_if(
        recorded.cells, [&](const PlannedCell& each) { return each.row == cell.row && each.seed == cell.seed; });
    if (before == recorded.cells.end() || std::ranges::find(rows, cell.row) != rows.end()) continue;
    if (!is_up_to_date(session, catalogue, cell, *before)) rows.push_back(cell.row);
  }
  if (rows.empty()) return;
  std::string list;
  for (const std::string& row : rows) list += (list.empty() ? "\"" : ", \"") + row + "\"";
  warn(now.file.string() + ": what decides the results of " + list +
       " has changed since the last silc run; their values are of that run");
}

// Tables, rows and titles of the file as it stands. Its cells have no identity without the engine, which knows the
// data; rows and seeds tell them.
std::vector<Table> tables_of_file(const Session& session, const Registry& registry, const ReportOptions& options,
                                  const std::string& file) {
  const Catalogue catalogue = session.with_plugins_of(file).catalogue();
  const Experiment now = read_experiment({file, {}, {}, {}}, catalogue);
  const auto recorded = registry.experiment(now.name);
  if (!recorded)
    throw Error(session.registry_file().string() + ": experiment \"" + now.name + "\" was not run yet; silc run " +
                file + " runs it");
  warn_of_changed_rows(session, catalogue, now, *recorded);
  PlannedExperiment planned = describe(now);
  for (const ResolvedCell& cell : now.cells) planned.cells.push_back({cell.row, cell.seed, {}, {}});
  return build_tables(registry, planned, {now.name, options.table, options.metrics, options.pictures});
}

std::vector<Table> tables_of(const Session& session, const Registry& registry, const ReportOptions& options,
                             const std::string& experiment) {
  if (is_file_name(experiment)) return tables_of_file(session, registry, options, experiment);
  return build_tables(
      registry, {session.find_experiment(registry, experiment).name, options.table, options.metrics, options.pictures});
}

int report(const Session& session, const ReportOptions& options) {
  const std::string name = !options.format.empty() ? options.format : session.json ? "json" : "terminal";
  const TableFormat format = parse_format(name);
  const Registry registry = session.open_registry();
  std::vector<Table> tables;
  const std::vector<std::string> last = {""};
  for (const std::string& experiment : options.experiments.empty() ? last : options.experiments)
    for (Table& table : tables_of(session, registry, options, experiment)) tables.push_back(std::move(table));
  if (options.published)
    for (Table& table : published_tables(tables)) tables.push_back(std::move(table));

  const bool color = options.output.empty() && session.color(STDOUT_FILENO);
  const std::string text = format_tables(tables, format, color);
  if (options.output.empty())
    print(text);
  else
    write_file_durably(options.output, text);
  return 0;
}

}  // namespace

void add_report(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand(
      "report",
      "the tables, with costs and error bars\n\nEXPERIMENT is a name, for the tables as silc run recorded them, or "
      "the path of an experiment file, for the tables as they stand there. Without one: the experiment that was run "
      "last. Values come from the registry; nothing is run.");
  command->footer(
      "silc report ablation\nsilc report ablation --format latex --table components --output components.tex");
  const auto options = std::make_shared<ReportOptions>();
  command->add_option("experiments", options->experiments, "experiments (default: the one that was run last)")
      ->option_text("[EXPERIMENT...]");
  command
      ->add_option("--format", options->format,
                   "terminal, markdown, csv, latex or json (default: terminal; json with --json)")
      ->option_text("FORMAT")
      ->type_name("terminal|markdown|csv|latex|json");
  command->add_option("--output", options->output, "writes the tables to this file (default: standard output)")
      ->option_text("FILE");
  command
      ->add_option("--table", options->table,
                   "only the table of this name, with every combination of a matrix (default: all)")
      ->option_text("NAME");
  command
      ->add_option("--metric", options->metrics,
                   "only this column, as in zero_shot_classification/acc1; repeatable (default: all)")
      ->option_text("NAME")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command->add_flag("--pictures", options->pictures,
                    fmt::format("compares picture by picture also where a table has more than {} cells, which takes "
                                "longer",
                                kMostSampledCells));
  command->add_flag("--published", options->published,
                    "also the numbers that others published for these metrics, in tables of their own");
  command->callback(
      [options, &session] { session.command = [options, &session] { return report(session, *options); }; });
}

}  // namespace silc
