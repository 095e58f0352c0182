// silc report: the tables.
#include "cli/report.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <memory>

#include "cli/experiment_plan.h"
#include "cli/published.h"
#include "cli/session.h"
#include "cli/text.h"
#include "registry/page/page.h"
#include "registry/search_report.h"
#include "schedule/illustrations.h"
#include "silc/error.h"
#include "spec/experiment.h"

namespace silc {

namespace {

struct ReportOptions {
  ShownOptions shown;
  std::string format;
  std::filesystem::path output;
  std::filesystem::path plots;
  std::vector<std::string> words;
  bool no_gallery = false;
  bool siunitx = false;
  bool document = false;
  bool search = false;
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

// What the recorded searches have chosen, by the trials that the file's searches have now.
std::map<std::string, std::size_t> recorded_choices(const Experiment& now, const PlannedExperiment& recorded) {
  std::map<std::string, std::size_t> chosen;
  if (!now.search || !recorded.search) return chosen;
  for (const SearchedRow& row : now.search->searched)
    for (const PlannedRowSearch& before : recorded.search->rows)
      if (before.row == row.row && before.chosen && static_cast<std::size_t>(*before.chosen) < row.points.size())
        chosen[row.row] = static_cast<std::size_t>(*before.chosen);
  return chosen;
}

// The experiment with the tables, rows and titles of the file as it stands. Its cells have no identity without the
// engine, which knows the data; rows and seeds tell them.
PlannedExperiment experiment_of_file(const Session& session, const Registry& registry, const std::string& file) {
  const Catalogue catalogue = session.with_plugins_of(file).catalogue();
  Experiment now = read_experiment({file, {}, {}, {}}, catalogue);
  const auto recorded = registry.experiment(now.name);
  if (!recorded)
    throw Error(session.registry_file().string() + ": experiment \"" + now.name + "\" was not run yet; silc run " +
                file + " runs it");
  choose(now, recorded_choices(now, *recorded));
  warn_of_changed_rows(session, catalogue, now, *recorded);
  PlannedExperiment planned = describe(now);
  for (const ResolvedCell& cell : now.cells) planned.cells.push_back({cell.row, cell.seed, {}, {}});
  return planned;
}

PlannedExperiment find_experiment(const Session& session, const Registry& registry, const std::string& name) {
  return is_file_name(name) ? experiment_of_file(session, registry, name) : session.find_experiment(registry, name);
}

// Of standard output, if it is a terminal that says how wide it is; else that of pages.
std::size_t terminal_width(bool to_terminal) {
  constexpr std::size_t kPage = FormatOptions{}.width, kNarrowest = 40;
  winsize size{};
  if (!to_terminal || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kPage;
  return std::max<std::size_t>(kNarrowest, size.ws_col);
}

void put(const std::string& text, const std::filesystem::path& file) {
  if (file.empty())
    print(text);
  else
    write_file_durably(file, text);
}

constexpr int64_t kThreads = 2;  // of an engine that looks at a few pictures

// Asks an engine for what models see, where it is not there yet.
PageRequest with_pictures(const Session& session, PageRequest request, bool ask_nobody) {
  const nlohmann::json wishes = Gallery(gallery_request(request)).wishes();
  const std::size_t cells = wishes.at("cells").size();
  if (cells == 0) return request;
  if (ask_nobody) {
    request.faults[""] = "pictures were not asked for (--no-gallery)";
    return request;
  }
  note(session, fmt::format("asking {} of this table what they see", count(static_cast<int64_t>(cells), "model")));
  try {
    std::size_t done = 0;
    request.faults =
        make_illustrations({find_engine(), session.plugin_paths}, wishes, kThreads,
                           [&](const std::string&) { note(session, fmt::format("{} of {}", ++done, cells)); });
  } catch (const Error& error) {
    request.faults[""] = std::string("no pictures: ") + error.what();
  }
  for (const auto& [folder, fault] : request.faults)
    warn((folder.empty() ? fault : folder + ": " + fault) +
         (folder.empty() ? "" : "; the page is without its pictures"));
  return request;
}

// What each experiment's search found, in place of its tables.
int report_searches(const std::vector<ExperimentSource>& sources, const ReportOptions& options, TableFormat format) {
  if (format == TableFormat::json && sources.size() > 1)
    throw Error("--search --format json is of one experiment; name one");
  const bool to_terminal = options.output.empty() && format == TableFormat::terminal;
  std::string text;
  for (const ExperimentSource& source : sources)
    text += format_search_report(build_search_report(*source.registry, source.experiment), format,
                                 {.width = terminal_width(to_terminal)});
  put(text, options.output);
  return 0;
}

int report(const Session& session, const ReportOptions& options) {
  const std::string name = !options.format.empty() ? options.format : session.json ? "json" : "terminal";
  const TableFormat format = parse_format(name);
  const std::vector<OpenRegistry> registries = open_registries(session);
  const std::vector<ExperimentSource> sources = find_sources(registries, options.shown.experiments);
  if (options.search) return report_searches(sources, options, format);
  const std::vector<Table> tables = tables_of(sources, options.shown);

  if (!options.plots.empty()) {
    const std::vector<std::string> plots = write_plots({sources, tables}, options.plots);
    note(session, fmt::format("{} plots in {}", plots.size(), options.plots.string()));
  }
  if (format == TableFormat::html) {
    if (options.output.empty() && isatty(STDOUT_FILENO) == 1)
      throw Error("a page is no text for a terminal; name a file with --output FILE, or see it live with silc serve");
    put(format_page(make_page(with_pictures(session, {.sources = sources, .tables = tables, .words = options.words},
                                            options.no_gallery))),
        options.output);
    return 0;
  }
  const bool to_terminal = options.output.empty() && format == TableFormat::terminal;
  const std::string text = format_tables(tables, format,
                                         {.width = terminal_width(to_terminal),
                                          .color = to_terminal && session.color(STDOUT_FILENO),
                                          .siunitx = options.siunitx,
                                          .document = options.document});
  put(text, options.output);
  return 0;
}

}  // namespace

void add_shown_options(CLI::App& command, ShownOptions& options) {
  command.add_option("experiments", options.experiments, "experiments (default: the one that was run last)")
      ->option_text("[EXPERIMENT...]");
  command
      .add_option("--table", options.table,
                  "only the table of this name, with every combination of a matrix (default: all)")
      ->option_text("NAME");
  command
      .add_option("--metric", options.metrics,
                  "only this column, as in zero_shot_classification/acc1; repeatable (default: all)")
      ->option_text("NAME")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command.add_flag("--intervals", options.intervals,
                   "95 % confidence intervals of means and differences in place of standard deviations");
  command.add_flag("--pictures", options.pictures,
                   fmt::format("compares picture by picture also where a table has more than {} cells, which takes "
                               "longer",
                               kMostSampledCells));
  command.add_flag("--published", options.published,
                   "also the numbers that others published for these metrics, in tables of their own");
  CLI::Option* match =
      command
          .add_option("--match", options.match,
                      "compares rows at equal cost, by their scores along training: examples, flops or core_seconds")
          ->option_text("UNIT")
          ->type_name("examples|flops|core_seconds");
  command
      .add_option("--last", options.last,
                  "compares means over so many last evaluations along training in place of the results after it")
      ->option_text("K")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}))
      ->excludes(match);
}

std::vector<OpenRegistry> open_registries(const Session& session) {
  std::vector<OpenRegistry> registries;
  for (Session& each : session.for_each_registry()) {
    Registry registry = each.open_registry();
    registries.push_back({std::move(each), std::move(registry)});
  }
  return registries;
}

std::vector<ExperimentSource> find_sources(const std::vector<OpenRegistry>& registries,
                                           const std::vector<std::string>& names) {
  std::vector<ExperimentSource> sources;
  const auto add = [&](const OpenRegistry& open, const std::string& name) {
    sources.push_back({&open.registry, find_experiment(open.session, open.registry, name), {}});
  };
  const auto has = [](const OpenRegistry& open, const std::string& name) {
    return is_file_name(name) || open.registry.experiment(name).has_value();
  };
  const std::vector<std::string> last = {""};
  for (const std::string& name : names.empty() ? last : names) {
    bool found = false;
    for (const OpenRegistry& open : registries) {
      if (!name.empty() && registries.size() > 1 && !has(open, name)) continue;
      add(open, name);
      found = true;
    }
    if (!found)
      throw Error(
          fmt::format("no registry has an experiment \"{}\"; silc status --registry FILE lists those of one", name));
  }
  // Experiments of the same name are told apart by their registries.
  for (ExperimentSource& source : sources) {
    const auto same = std::ranges::count_if(
        sources, [&](const ExperimentSource& other) { return other.experiment.name == source.experiment.name; });
    source.label = source.experiment.name;
    if (same == 1) continue;
    const auto open =
        std::ranges::find_if(registries, [&](const OpenRegistry& each) { return &each.registry == source.registry; });
    source.label = open->session.registry_file().string() + ":" + source.label;
  }
  return sources;
}

std::vector<Table> tables_of(const std::vector<ExperimentSource>& sources, const ShownOptions& options) {
  const ReportRequest request{.experiment = sources.front().experiment.name,
                              .table = options.table,
                              .metrics = options.metrics,
                              .all_pictures = options.pictures,
                              .intervals = options.intervals,
                              .match = options.match.empty() ? std::nullopt : std::optional(parse_unit(options.match)),
                              .last = options.last};
  std::vector<Table> tables = sources.size() == 1
                                  ? build_tables(*sources.front().registry, sources.front().experiment, request)
                                  : std::vector<Table>{build_joint_table(sources, request)};
  if (options.published)
    for (Table& table : published_tables(tables)) tables.push_back(std::move(table));
  return tables;
}

void add_report(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand(
      "report",
      "the tables, with costs and error bars\n\nEXPERIMENT is a name, for the tables as silc run recorded them, or "
      "the path of an experiment file, for the tables as they stand there. Without one: the experiment that was run "
      "last. Of several experiments, or with --registry several times, one table of all rows, which are compared with "
      "the baseline of the first. Values come from the registry; nothing is run.");
  command->footer(
      "silc report ablation\nsilc report ablation scaling --metric acc1\nsilc report --registry a/registry.sqlite "
      "--registry b/registry.sqlite\nsilc report ablation --format latex --table components --output "
      "components.tex\nsilc report ablation --format html --output ablation.html");
  const auto options = std::make_shared<ReportOptions>();
  add_shown_options(*command, options->shown);
  command
      ->add_option("--format", options->format,
                   "terminal, markdown, csv, latex, json, or html: a page that is whole in itself (default: terminal; "
                   "json with --json)")
      ->option_text("FORMAT")
      ->type_name("terminal|markdown|csv|latex|json|html");
  command->add_option("--output", options->output, "writes the tables to this file (default: standard output)")
      ->option_text("FILE");
  command
      ->add_option(
          "--plots", options->plots,
          "also writes each plot as an SVG fit for a paper, as wide as one column and as two, into this folder")
      ->option_text("DIR");
  command->add_flag("--no-gallery", options->no_gallery,
                    "html: shows only what engines have already told of pictures, and starts none");
  command
      ->add_option("--word", options->words,
                   "html: a text that patches of pictures are compared with, beside the classes and the words of "
                   "captions; repeatable")
      ->option_text("TEXT")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command->add_flag("--siunitx", options->siunitx, "latex: numbers in columns of the package siunitx, at their points");
  command->add_flag("--document", options->document, "latex: a whole document, which compiles as it is");
  command->add_flag(
      "--search", options->search,
      "in place of tables what the file's [search] found: every trial, what fewer trials would have found, "
      "and which settings matter");
  command->callback(
      [options, &session] { session.command = [options, &session] { return report(session, *options); }; });
}

}  // namespace silc
