// silc plan: what run would do, and what it would cost.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>

#include "cli/experiment_plan.h"
#include "cli/session.h"
#include "cli/text.h"
#include "schedule/prediction.h"
#include "silc/error.h"
#include "text/display.h"

namespace silc {

namespace {

struct PlanOptions {
  ExperimentRequest experiment;
  ThreadRequest threads;
  bool no_measure = false;
};

struct RowPlan {
  std::string name;
  std::map<FolderState, int64_t> states;
  int64_t cells = 0;
  int64_t unfinished = 0;
  int64_t threads = 0;
  std::optional<Prediction> prediction;
  std::string fault;  // why it could not be measured

  [[nodiscard]] double seconds_left() const {
    return prediction ? prediction->seconds * static_cast<double>(unfinished) : 0;
  }
};

struct RowPlans {
  std::vector<RowPlan> rows;
  std::vector<size_t> queue;  // for each unfinished cell its row, in the order in which they start
};

RowPlans rows_of(const ExperimentPlan& plan, const ThreadPlan& threads) {
  RowPlans plans;
  std::vector<RowPlan>& rows = plans.rows;
  for (const CellTask& task : plan.chosen) {
    const std::string name = row_label(task.cell);
    auto row = std::find_if(rows.begin(), rows.end(), [&](const RowPlan& each) { return each.name == name; });
    if (row == rows.end()) {
      rows.emplace_back();
      row = std::prev(rows.end());
      row->name = name;
      row->threads = threads.of(task.cell);
    }
    const FolderState state = inspect(task.folder).state;
    ++row->states[state];
    ++row->cells;
    if (state == FolderState::finished) continue;
    ++row->unfinished;
    plans.queue.push_back(static_cast<size_t>(row - rows.begin()));
  }
  return plans;
}

// Settings that decide the cost: everything but the seed, and how the cell is executed.
std::string cost_key(ResolvedCell cell, int64_t threads) {
  cell.seed = 0;
  const EngineSettings& engine = cell.engine;
  return fmt::format("{} {} {} {} {} {}", cell_id(cell), engine.device, engine.chunk, engine.recompute,
                     engine.data_threads, threads);
}

void measure(const Session& session, const ExperimentPlan& plan, std::vector<RowPlan>& rows) {
  std::map<std::string, std::pair<std::optional<Prediction>, std::string>> measured;
  for (RowPlan& row : rows) {
    if (row.unfinished == 0) continue;
    const auto task = std::find_if(plan.chosen.begin(), plan.chosen.end(),
                                   [&](const CellTask& each) { return row_label(each.cell) == row.name; });
    auto [entry, fresh] = measured.try_emplace(cost_key(task->cell, row.threads));
    if (fresh) {
      note(session, "measuring " + row.name);
      try {
        entry->second.first = predict(plan.engine, task->cell, row.threads);
      } catch (const Error& error) {
        entry->second.second = error.what();
      }
    }
    std::tie(row.prediction, row.fault) = entry->second;
  }
}

std::string describe(const std::map<FolderState, int64_t>& states) {
  std::string text;
  for (const auto& [state, number] : states)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", number, state_name(state));
  return text;
}

std::string table_of(const std::vector<RowPlan>& rows) {
  TextTable table({"ROW", "CELLS", "STATE", "PARAMETERS", "STEPS", "FLOP", "MEMORY", "TIME", "LEFT"},
                  {false, true, false, true, true, true, true, true, true});
  for (const RowPlan& row : rows) {
    std::vector<std::string> line = {row.name, std::to_string(row.cells), describe(row.states)};
    if (row.prediction) {
      const Prediction& cell = *row.prediction;
      for (auto& text :
           {format_quantity(static_cast<double>(cell.parameters)), std::to_string(cell.steps),
            format_quantity(cell.flops), cell.peak_memory ? format_bytes(static_cast<double>(*cell.peak_memory)) : "–",
            format_duration(cell.seconds), format_duration(row.seconds_left())})
        line.push_back(text);
    } else {
      line.resize(9, "–");
    }
    table.add(std::move(line));
  }
  return table.format();
}

struct Totals {
  int64_t cells = 0;
  int64_t unfinished = 0;
  double flops = 0;
  double seconds = 0;  // of wall time, cells side by side
};

Totals totals_of(const RowPlans& plans, const ThreadPlan& threads) {
  Totals totals;
  for (const RowPlan& row : plans.rows) {
    totals.cells += row.cells;
    totals.unfinished += row.unfinished;
    if (row.prediction) totals.flops += row.prediction->flops * static_cast<double>(row.unfinished);
  }
  std::vector<double> seconds;
  for (const size_t row : plans.queue)
    if (const auto& prediction = plans.rows[row].prediction) seconds.push_back(prediction->seconds);
  totals.seconds = side_by_side_seconds(seconds, threads.jobs);
  return totals;
}

nlohmann::ordered_json to_json(const ExperimentPlan& plan, const RowPlans& plans, const ThreadPlan& threads) {
  const Totals totals = totals_of(plans, threads);
  auto json_rows = nlohmann::ordered_json::array();
  for (const RowPlan& row : plans.rows) {
    auto states = nlohmann::ordered_json::object();
    for (const auto& [state, number] : row.states) states[std::string(state_name(state))] = number;
    nlohmann::ordered_json json = {{"row", row.name},        {"cells", row.cells},   {"states", states},
                                   {"threads", row.threads}, {"predicted", nullptr}, {"fault", row.fault}};
    if (row.prediction)
      json["predicted"] = {
          {"parameters", row.prediction->parameters},
          {"steps", row.prediction->steps},
          {"flops", row.prediction->flops},
          {"seconds", row.prediction->seconds},
          {"peak_memory", row.prediction->peak_memory ? nlohmann::ordered_json(*row.prediction->peak_memory)
                                                      : nlohmann::ordered_json(nullptr)},
          {"extrapolated", row.prediction->extrapolated}};
    json_rows.push_back(json);
  }
  auto not_applicable = nlohmann::ordered_json::array();
  for (const InapplicableRows& rows : plan.not_applicable)
    not_applicable.push_back({{"evaluation", rows.evaluation}, {"reason", rows.reason}, {"rows", rows.rows}});
  return {{"experiment", plan.experiment.name},
          {"jobs", threads.jobs},
          {"threads", threads.threads},
          {"rows", json_rows},
          {"not_applicable", not_applicable},
          {"left", {{"cells", totals.unfinished}, {"flops", totals.flops}, {"seconds", totals.seconds}}}};
}

// "2", or "1 to 2" where rows differ.
std::string threads_of_cells(const std::vector<RowPlan>& rows) {
  const auto [least, most] = std::minmax_element(
      rows.begin(), rows.end(), [](const RowPlan& one, const RowPlan& other) { return one.threads < other.threads; });
  return least->threads == most->threads ? count(most->threads, "thread")
                                         : fmt::format("{} to {} threads", least->threads, most->threads);
}

std::string extrapolated_rows(const std::vector<RowPlan>& rows) {
  std::string names;
  for (const RowPlan& row : rows)
    if (row.prediction && row.prediction->extrapolated) names += (names.empty() ? "\"" : ", \"") + row.name + "\"";
  return names;
}

std::string summary(const RowPlans& plans, const ThreadPlan& threads, bool measured) {
  const Totals totals = totals_of(plans, threads);
  if (totals.unfinished == 0) return fmt::format("\nnothing left to do: {} finished\n", count(totals.cells, "cell"));
  std::string text = fmt::format("\n{} of {} left", totals.unfinished, count(totals.cells, "cell"));
  if (measured)
    text += fmt::format(": {}FLOP, {} with {} at a time on {}", format_quantity(totals.flops),
                        format_duration(totals.seconds), threads.jobs, count(threads.threads, "thread"));
  text += "\n";
  if (measured)
    text += paragraph(
        fmt::format(
            "PARAMETERS, STEPS, FLOP, MEMORY and TIME are of one cell, predicted from a few steps on {}; LEFT is "
            "the time of the row's cells that are not finished, one after the other. Training only, without "
            "evaluation; what else the machine does makes it longer.",
            threads_of_cells(plans.rows)),
        96, 0);
  const std::string extrapolated = extrapolated_rows(plans.rows);
  if (!extrapolated.empty())
    text += paragraph(fmt::format("Of {}, FLOP and TIME are extrapolated from steps with batches of 2 and 4 pictures, "
                                  "because one with the whole batch would take too long here; MEMORY is not known.",
                                  extrapolated),
                      96, 0);
  return text;
}

std::string notes(const ExperimentPlan& plan) {
  std::string text;
  for (const InapplicableRows& rows : plan.not_applicable) text += paragraph(describe(rows), 96, 0);
  return text;
}

int plan_command(const PlanOptions& options, Session& session) {
  const ExperimentPlan plan = plan_experiment(session, options.experiment);
  const ThreadPlan threads = plan_threads(options.threads, plan.chosen_cells(), plan.gpus.size());
  RowPlans plans = rows_of(plan, threads);
  if (!options.no_measure) measure(session, plan, plans.rows);
  if (session.json)
    print_json(to_json(plan, plans, threads));
  else
    print(table_of(plans.rows) + summary(plans, threads, !options.no_measure) + notes(plan));
  bool faults = false;
  for (const RowPlan& row : plans.rows) {
    if (row.fault.empty()) continue;
    faults = true;
    complain(row.name + " could not be measured: " + row.fault);
  }
  return faults ? 1 : 0;
}

}  // namespace

void add_plan(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand(
      "plan",
      "what run would do: cells, which are done, predicted FLOPs, memory and time\n\nRuns a few steps of each row, in "
      "an engine of its own, to predict what a cell costs; --no-measure leaves that out. Neither trains nor writes "
      "anything.");
  command->footer("silc plan experiments/ablation.toml\nsilc plan experiments/ablation.toml --no-measure --json");
  const auto options = std::make_shared<PlanOptions>();
  add_experiment_flags(*command, options->experiment);
  add_thread_flags(*command, options->threads);
  command->add_flag("--no-measure", options->no_measure, "without predictions: at once, and without starting training");
  command->callback(
      [options, &session] { session.command = [options, &session] { return plan_command(*options, session); }; });
}

}  // namespace silc
