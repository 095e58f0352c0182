// silc report: the tables.
#include "registry/report.h"

#include <unistd.h>

#include <algorithm>
#include <memory>
#include <tuple>

#include "cli/experiment_plan.h"
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
};

bool is_file_name(const std::string& experiment) {
  return experiment.ends_with(".toml") || experiment.find('/') != std::string::npos;
}

bool same(const PlannedTable& one, const PlannedTable& other) {
  return std::tie(one.name, one.title, one.baseline, one.columns, one.rows) ==
         std::tie(other.name, other.title, other.baseline, other.columns, other.rows);
}

// The experiment's name. Without LibTorch the file's cells have no identity yet, so what it says now can be compared
// with what was run, but not shown.
std::string experiment_of_file(const Session& session, const Registry& registry, const std::string& file) {
  const PlannedExperiment now = describe(read_experiment({file, {}, {}, {}}, session.catalogue()));
  const PlannedExperiment recorded = session.find_experiment(registry, now.name);
  if (now.rows != recorded.rows || !std::ranges::equal(now.tables, recorded.tables, same))
    warn(file +
         ": its rows or tables have changed since it was run last; silc run records them, and reuses what is "
         "finished");
  return now.name;
}

std::vector<Table> tables_of(const Session& session, const Registry& registry, const ReportOptions& options,
                             const std::string& experiment) {
  const std::string name = is_file_name(experiment) ? experiment_of_file(session, registry, experiment) : experiment;
  return build_tables(registry, {session.find_experiment(registry, name).name, options.table, options.metrics});
}

int report(const Session& session, const ReportOptions& options) {
  const std::string name = !options.format.empty() ? options.format : session.json ? "json" : "terminal";
  const TableFormat format = parse_format(name);
  const Registry registry = session.open_registry();
  std::vector<Table> tables;
  const std::vector<std::string> last = {""};
  for (const std::string& experiment : options.experiments.empty() ? last : options.experiments)
    for (Table& table : tables_of(session, registry, options, experiment)) tables.push_back(std::move(table));

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
      "the tables, with costs and error bars\n\nEXPERIMENT is a name, as silc run recorded it, or the path of an "
      "experiment file. Without one: the experiment that was run last.");
  command->footer(
      "silc report ablation\nsilc report ablation --format latex --table components --output components.tex");
  const auto options = std::make_shared<ReportOptions>();
  command->add_option("experiments", options->experiments, "experiments (default: the one that was run last)")
      ->option_text("[EXPERIMENT...]");
  command
      ->add_option("--format", options->format,
                   "terminal, markdown, csv, latex or json (default: terminal; json with --json)")
      ->option_text("FORMAT");
  command->add_option("--output", options->output, "writes the tables to this file (default: standard output)")
      ->option_text("FILE");
  command->add_option("--table", options->table, "only the table of this name (default: all)")->option_text("NAME");
  command
      ->add_option("--metric", options->metrics,
                   "only this column, as in zero_shot_classification/acc1; repeatable (default: all)")
      ->option_text("NAME")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command->callback(
      [options, &session] { session.command = [options, &session] { return report(session, *options); }; });
}

}  // namespace silc
