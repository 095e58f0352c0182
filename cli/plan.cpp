// silc plan: what run would do, and what it would cost.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "cli/detect.h"
#include "cli/device_plan.h"
#include "cli/experiment_plan.h"
#include "cli/session.h"
#include "cli/slurm_launch.h"
#include "cli/text.h"
#include "schedule/prediction.h"
#include "silc/error.h"
#include "text/display.h"
#include "text/names.h"

namespace silc {

namespace {

struct PlanOptions {
  ExperimentRequest experiment;
  ThreadRequest threads;
  bool no_measure = false;
  int64_t ranks = 0;  // 0: as the experiment says
  DeviceRequest device;
  bool sbatch = false;
  std::optional<double> detect;
};

struct RowPlan {
  std::string name;
  std::map<FolderState, int64_t> states;
  int64_t cells = 0;
  int64_t unfinished = 0;
  int64_t threads = 0;  // of each rank
  int64_t ranks = 1;
  std::optional<Prediction> prediction;
  std::optional<DeviceRow> on_device;
  std::string fault;  // why it could not be measured

  [[nodiscard]] double seconds_left() const {
    return prediction ? prediction->seconds * static_cast<double>(unfinished) : 0;
  }
};

// The trials of a searched row.
struct SearchPlan {
  std::string row;
  std::size_t trials = 0;  // 0: as many as its FLOPs pay for, which is not known
  std::map<FolderState, int64_t> states;
  std::size_t left = 0;    // of the trials
  bool predicted = false;  // whether all that is trained could be measured
  double flops = 0;
  double seconds = 0;
  double flops_left = 0;
  double seconds_left = 0;
  std::vector<std::string> waits_for = {};  // rows whose search must have chosen before
};

struct RowPlans {
  std::vector<SearchPlan> searches;
  std::vector<RowPlan> rows;
  std::vector<size_t> queue;  // for each unfinished cell its row, in the order in which they start
};

RowPlans rows_of(const ExperimentPlan& plan, const ThreadPlan& threads) {
  RowPlans plans;
  std::vector<RowPlan>& rows = plans.rows;
  std::vector<CellTask> tasks = plan.chosen;
  tasks.insert(tasks.end(), plan.provisional.begin(), plan.provisional.end());
  for (const CellTask& task : tasks) {
    const std::string name = row_label(task.cell);
    auto row = std::find_if(rows.begin(), rows.end(), [&](const RowPlan& each) { return each.name == name; });
    if (row == rows.end()) {
      rows.emplace_back();
      row = std::prev(rows.end());
      row->name = name;
      row->threads = threads.of(task.cell);
      row->ranks = task.cell.engine.ranks;
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
  return fmt::format("{} {} {} {} {} {} {}", cell_id(cell), engine.device, engine.chunk, engine.recompute,
                     engine.data_threads, engine.ranks, threads);
}

// One cell of a row: its others differ in the seed alone.
const CellTask& cell_of(const ExperimentPlan& plan, const RowPlan& row) {
  const auto is_of_row = [&](const CellTask& each) { return row_label(each.cell) == row.name; };
  const auto task = std::find_if(plan.chosen.begin(), plan.chosen.end(), is_of_row);
  return task != plan.chosen.end() ? *task : *std::find_if(plan.provisional.begin(), plan.provisional.end(), is_of_row);
}

// Ranks are processes that compute at the same time.
void check_can_be_measured(const RowPlan& row) {
  const int64_t most = std::max<int64_t>(available_threads(), 2) * 4;
  if (row.ranks > most)
    throw Error(
        fmt::format("{} ranks are more than this machine can start to measure them ({} at most); --device NAME "
                    "predicts them from figures",
                    row.ranks, most));
}

void measure(const Session& session, const ExperimentPlan& plan, std::vector<RowPlan>& rows) {
  std::map<std::string, std::pair<std::optional<Prediction>, std::string>> measured;
  std::set<std::string> of_trials;
  for (const PlacedSearch& search : plan.open_searches())
    for (const TunedRow* tuned = find_tuned(*plan.experiment.search, search.row); tuned != nullptr;
         tuned = find_tuned(*plan.experiment.search, tuned->after))
      for (const ResolvedCell& phase : unchained(tuned->candidates.front())) of_trials.insert(row_label(phase));
  for (RowPlan& row : rows) {
    if (row.unfinished == 0 && !of_trials.contains(row.name)) continue;
    const ResolvedCell& cell = cell_of(plan, row).cell;
    auto [entry, fresh] = measured.try_emplace(cost_key(cell, row.threads));
    if (fresh) {
      note(session, "measuring " + row.name);
      try {
        check_can_be_measured(row);
        entry->second.first = predict(plan.engine, cell, row.threads);
      } catch (const Error& error) {
        entry->second.second = error.what();
      }
    }
    std::tie(row.prediction, row.fault) = entry->second;
  }
}

// The same for devices that are not here, also of rows that are finished here.
void calculate(const Session& session, const ExperimentPlan& plan, const Device& device, const DeviceRequest& request,
               std::vector<RowPlan>& rows) {
  std::map<std::string, std::pair<std::optional<DeviceRow>, std::string>> known;
  for (RowPlan& row : rows) {
    const ResolvedCell& cell = cell_of(plan, row).cell;
    auto [entry, fresh] = known.try_emplace(cost_key(cell, 0));
    auto& [planned, fault] = entry->second;
    if (fresh) {
      note(session, "counting " + row.name);
      try {
        planned = plan_on_device(plan.engine, cell, device, request);
      } catch (const Error& error) {
        fault = error.what();
      }
    }
    row.on_device = planned;
    row.fault = fault;
    if (!planned) continue;
    row.on_device->name = row.name;
    row.on_device->cells = row.cells;
    row.prediction = Prediction{.parameters = planned->training.parameters,
                                .steps = planned->training.steps,
                                .flops = planned->training.flops,
                                .seconds = planned->forecast.seconds,
                                .peak_memory = std::nullopt,
                                .device_peak_memory = std::nullopt,
                                .device_memory = std::nullopt};
  }
}

std::vector<DeviceRow> on_device(const std::vector<RowPlan>& rows) {
  std::vector<DeviceRow> planned;
  for (const RowPlan& row : rows)
    if (row.on_device) planned.push_back(*row.on_device);
  return planned;
}

// What share of the part of its budget from `from` to `to` a trial is expected to train: by halving few train it whole.
double expected_share(const SearchSettings& search, double from, double to) {
  if (search.method != SearchMethod::halving) return 1;
  double trained = 0, going = 1, before = 0;
  for (const double rung : rungs_of(search)) {
    trained += going * std::max(0.0, std::min(rung, to) - std::max(before, from));
    going /= static_cast<double>(search.reduction);
    before = rung;
  }
  return trained / (to - from);
}

struct TrialCost {
  double flops = 0;
  double seconds = 0;

  // Nothing where a row could not be measured.
  static std::optional<TrialCost> of(const std::vector<RowPlan>& rows, const ResolvedCell& phase, double share) {
    const auto row = std::ranges::find(rows, row_label(phase), &RowPlan::name);
    if (row == rows.end() || !row->prediction) return std::nullopt;
    return TrialCost{share * row->prediction->flops, share * row->prediction->seconds};
  }
};

// What a trial is expected to cost, and, the first time, what all trials go on from, unless another search trains it.
std::optional<TrialCost> expected_cost(const ExperimentPlan& plan, const std::string& searched,
                                       const std::vector<RowPlan>& rows, bool first) {
  const SearchSettings& settings = plan.experiment.search->settings;
  const TunedRow& tuned = *find_tuned(*plan.experiment.search, searched);
  const std::vector<double> parts = parts_of(tuned.candidates.front(), tuned.others);
  const std::vector<ResolvedCell> phases = unchained(tuned.candidates.front());
  TrialCost cost;
  const auto add = [&](const ResolvedCell& phase, double share) {
    const auto one = TrialCost::of(rows, phase, settings.budget * share);
    if (!one) return false;
    cost.flops += one->flops;
    cost.seconds += one->seconds;
    return true;
  };
  const TunedRow* start = first ? find_tuned(*plan.experiment.search, tuned.after) : nullptr;
  for (; start != nullptr && start->by != start->row; start = find_tuned(*plan.experiment.search, start->after))
    for (const ResolvedCell& phase : unchained(start->candidates.front()))
      if (!add(phase, 1)) return std::nullopt;
  double from = 0;
  for (std::size_t i = first ? 0 : tuned.others; i < phases.size(); ++i) {
    const double part = i < tuned.others ? 0 : parts[i - tuned.others];
    const double share = i < tuned.others ? 1 : expected_share(settings, from, from + part);
    from += part;
    if (!add(phases[i], share)) return std::nullopt;
  }
  return cost;
}

// Trials of rows whose own settings cost the same are predicted to cost the same part of a cell.
std::vector<SearchPlan> searches_of(const ExperimentPlan& plan, const std::vector<RowPlan>& rows) {
  std::vector<SearchPlan> searches;
  if (!plan.experiment.search) return searches;
  const SearchSettings& settings = plan.experiment.search->settings;
  for (const std::string& name : plan.searched) {
    const PlacedSearch& placed = *plan.find_search(name);
    SearchPlan& search = searches.emplace_back();
    search.row = name;
    search.waits_for = placed.waits_for;
    const auto one = expected_cost(plan, name, rows, false);
    const auto first = expected_cost(plan, name, rows, true);
    search.predicted = one && first;
    std::size_t most = placed.tasks.size();
    if (settings.flops > 0 && search.predicted)
      most = std::min(most, static_cast<std::size_t>(std::ceil(settings.flops / one->flops)));
    search.trials = settings.flops > 0 && !search.predicted ? 0 : most;
    std::size_t looked_at = 0;
    for (const auto& [number, tasks] : placed.tasks) {
      if (looked_at++ == most) break;
      const FolderState state = inspect(tasks.back().folder).state;
      ++search.states[state];
      const TrialCost cost = (looked_at == 1 ? first : one).value_or(TrialCost{});
      search.flops += cost.flops;
      search.seconds += cost.seconds;
      if (state == FolderState::finished || plan.choices.contains(name)) continue;
      ++search.left;
      search.flops_left += cost.flops;
      search.seconds_left += cost.seconds;
    }
  }
  return searches;
}

std::string describe(const std::map<FolderState, int64_t>& states) {
  std::string text;
  for (const auto& [state, number] : states)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", number, state_name(state));
  return text;
}

std::string memory_text(const std::optional<int64_t>& bytes) {
  return bytes ? format_bytes(static_cast<double>(*bytes)) : "–";
}

bool measured_on_gpu(const RowPlan& row) { return row.prediction && row.prediction->device_memory; }

std::string table_of(const std::vector<RowPlan>& rows) {
  const bool on_gpu = std::any_of(rows.begin(), rows.end(), measured_on_gpu);
  std::vector<std::string> head = {"ROW", "CELLS", "STATE", "PARAMETERS", "STEPS", "FLOP", "MEMORY"};
  if (on_gpu) head.emplace_back("GPU MEMORY");
  head.insert(head.end(), {"TIME", "LEFT"});
  std::vector<bool> right(head.size(), true);
  right[0] = right[2] = false;
  TextTable table(head, right);
  for (const RowPlan& row : rows) {
    std::vector<std::string> line = {row.name, std::to_string(row.cells), describe(row.states)};
    if (row.prediction) {
      const Prediction& cell = *row.prediction;
      line.insert(line.end(), {format_quantity(static_cast<double>(cell.parameters)), std::to_string(cell.steps),
                               format_quantity(cell.flops), memory_text(cell.peak_memory)});
      if (on_gpu)
        line.push_back(memory_text(cell.device_peak_memory) + (cell.device_memory ? " of " : "") +
                       (cell.device_memory ? memory_text(cell.device_memory) : ""));
      line.insert(line.end(), {format_duration(cell.seconds), format_duration(row.seconds_left())});
    }
    line.resize(head.size(), "–");
    table.add(std::move(line));
  }
  return table.format();
}

std::string table_of(const std::vector<SearchPlan>& searches) {
  TextTable table({"SEARCH", "TRIALS", "STATE", "FLOP", "TIME", "LEFT"}, {false, true, false, true, true, true});
  for (const SearchPlan& search : searches) {
    std::vector<std::string> line = {search.row, search.trials == 0 ? "–" : std::to_string(search.trials),
                                     search.waits_for.empty()
                                         ? describe(search.states)
                                         : fmt::format("waits for {}", quoted_list(search.waits_for, "and"))};
    if (search.predicted)
      line.insert(line.end(), {format_quantity(search.flops), format_duration(search.seconds),
                               format_duration(search.seconds_left)});
    line.resize(6, "–");
    table.add(std::move(line));
  }
  return searches.empty() ? "" : table.format() + "\n";
}

// Cells that may be on one GPU at the same time.
int64_t cells_on_a_gpu(int64_t cells, int64_t jobs, std::size_t gpus) {
  const auto places = std::max<int64_t>(1, static_cast<int64_t>(gpus));
  return (std::min(cells, jobs) + places - 1) / places;
}

// Rows of which as many cells as there will be on a GPU do not fit its memory.
std::string that_do_not_fit(const std::vector<RowPlan>& rows, int64_t cells, int64_t jobs, std::size_t gpus) {
  constexpr double kOfCuda = 0.5e9;  // that a process takes beside what LibTorch does
  const int64_t together = cells_on_a_gpu(cells, jobs, gpus);
  std::string text;
  for (const RowPlan& row : rows) {
    if (!measured_on_gpu(row) || !row.prediction->device_peak_memory) continue;
    const double needed =
        static_cast<double>(together) * (static_cast<double>(*row.prediction->device_peak_memory) + kOfCuda);
    if (needed <= static_cast<double>(*row.prediction->device_memory)) continue;
    text += fmt::format(
        "\"{}\" does not fit: {} at once on a GPU need about {} of its {}. Fewer --jobs, a smaller optimizer.batch or "
        "model, engine.chunk and engine.recompute need less.\n",
        row.name, count(together, "cell"), format_bytes(needed), memory_text(row.prediction->device_memory));
  }
  return text;
}

struct Totals {
  int64_t cells = 0;
  int64_t unfinished = 0;
  int64_t trials = 0;  // that are not finished
  double flops = 0;    // with trials
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
  for (const SearchPlan& search : plans.searches) {
    totals.flops += search.flops_left;
    for (std::size_t i = 0; i < search.left; ++i)
      seconds.push_back(search.seconds_left / static_cast<double>(search.left));
    totals.trials += static_cast<int64_t>(search.left);
  }
  for (const size_t row : plans.queue)
    if (const auto& prediction = plans.rows[row].prediction) seconds.push_back(prediction->seconds);
  totals.seconds = side_by_side_seconds(seconds, threads.jobs);
  return totals;
}

nlohmann::ordered_json json_or_null(const std::optional<int64_t>& value) {
  return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
}

nlohmann::ordered_json gpus_json(const std::vector<Gpu>& gpus) {
  auto json = nlohmann::ordered_json::array();
  for (const Gpu& gpu : gpus)
    json.push_back(
        {{"gpu", gpu.visible}, {"name", gpu.name}, {"memory", gpu.memory}, {"free_memory", gpu.free_memory}});
  return json;
}

nlohmann::ordered_json to_json(const ExperimentPlan& plan, const RowPlans& plans, const ThreadPlan& threads,
                               const std::optional<Device>& device) {
  const Totals totals = totals_of(plans, threads);
  auto json_rows = nlohmann::ordered_json::array();
  for (const RowPlan& row : plans.rows) {
    auto states = nlohmann::ordered_json::object();
    for (const auto& [state, number] : row.states) states[std::string(state_name(state))] = number;
    nlohmann::ordered_json json = {{"row", row.name},        {"cells", row.cells}, {"states", states},
                                   {"threads", row.threads}, {"ranks", row.ranks}, {"predicted", nullptr},
                                   {"fault", row.fault}};
    if (row.on_device)
      json["predicted"] = json_of(*row.on_device);
    else if (row.prediction)
      json["predicted"] = {{"parameters", row.prediction->parameters},
                           {"steps", row.prediction->steps},
                           {"flops", row.prediction->flops},
                           {"seconds", row.prediction->seconds},
                           {"peak_memory", json_or_null(row.prediction->peak_memory)},
                           {"device_peak_memory", json_or_null(row.prediction->device_peak_memory)},
                           {"device_memory", json_or_null(row.prediction->device_memory)},
                           {"extrapolated", row.prediction->extrapolated}};
    json_rows.push_back(json);
  }
  auto searches = nlohmann::ordered_json::array();
  for (const SearchPlan& search : plans.searches) {
    auto states = nlohmann::ordered_json::object();
    for (const auto& [state, number] : search.states) states[std::string(state_name(state))] = number;
    const auto if_known = [&](double value) {
      return search.predicted ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
    };
    searches.push_back({{"row", search.row},
                        {"trials", search.trials},
                        {"states", states},
                        {"waits_for", search.waits_for},
                        {"flops", if_known(search.flops)},
                        {"seconds", if_known(search.seconds)},
                        {"seconds_left", if_known(search.seconds_left)}});
  }
  auto not_applicable = nlohmann::ordered_json::array();
  for (const InapplicableRows& rows : plan.not_applicable)
    not_applicable.push_back({{"evaluation", rows.evaluation}, {"reason", rows.reason}, {"rows", rows.rows}});
  nlohmann::ordered_json json = {
      {"experiment", plan.experiment.name},
      {"jobs", threads.jobs},
      {"threads", threads.threads},
      {"gpus", gpus_json(plan.gpus)},
      {"rows", json_rows},
      {"not_applicable", not_applicable},
      {"left", {{"cells", totals.unfinished}, {"flops", totals.flops}, {"seconds", totals.seconds}}}};
  if (device) json["device"] = json_of(*device);
  if (!plan.experiment.search) return json;
  json["search"] = searches;
  json["left"]["trials"] = totals.trials;
  return json;
}

// "2 threads", "2 ranks of 1 thread", or "1 to 2 threads" where rows differ.
std::string threads_of_cells(const std::vector<RowPlan>& rows) {
  const auto range = [&](int64_t RowPlan::*number, const char* what) {
    const auto [least, most] =
        std::minmax_element(rows.begin(), rows.end(),
                            [&](const RowPlan& one, const RowPlan& other) { return one.*number < other.*number; });
    return (*least).*number == (*most).*number ? count((*most).*number, what)
                                               : fmt::format("{} to {} {}s", (*least).*number, (*most).*number, what);
  };
  const bool alone = std::all_of(rows.begin(), rows.end(), [](const RowPlan& row) { return row.ranks == 1; });
  return (alone ? "" : range(&RowPlan::ranks, "rank") + " of ") + range(&RowPlan::threads, "thread");
}

std::string extrapolated_rows(const std::vector<RowPlan>& rows) {
  std::string names;
  for (const RowPlan& row : rows)
    if (row.prediction && row.prediction->extrapolated) names += (names.empty() ? "\"" : ", \"") + row.name + "\"";
  return names;
}

std::string summary(const RowPlans& plans, const ThreadPlan& threads, std::size_t gpus, bool measured) {
  const Totals totals = totals_of(plans, threads);
  if (totals.unfinished + totals.trials == 0)
    return fmt::format("\nnothing left to do: {} finished\n", count(totals.cells, "cell"));
  std::string text = fmt::format("\n{} of {}{} left", totals.unfinished, count(totals.cells, "cell"),
                                 totals.trials == 0 ? "" : " and " + count(totals.trials, "trial"));
  if (measured)
    text += fmt::format(": {}FLOP, {} with {} at a time on {}{}", format_quantity(totals.flops),
                        format_duration(totals.seconds), threads.jobs, count(threads.threads, "thread"),
                        gpus == 0 ? "" : " and " + count(static_cast<int64_t>(gpus), "GPU"));
  text += "\n";
  if (measured)
    text += paragraph(
        fmt::format(
            "PARAMETERS, STEPS, FLOP, MEMORY and TIME are of one cell, predicted from a few steps on {}; LEFT is "
            "the time of the row's cells that are not finished, one after the other. Training only, without "
            "evaluation; what else the machine does makes it longer.",
            threads_of_cells(plans.rows)),
        96, 0);
  if (measured && std::any_of(plans.rows.begin(), plans.rows.end(), measured_on_gpu))
    text += paragraph(
        "GPU MEMORY is what LibTorch took of the GPU's; CUDA itself takes about half a GB more for each cell.", 96, 0);
  text += that_do_not_fit(plans.rows, totals.unfinished, threads.jobs, gpus);
  const std::string extrapolated = extrapolated_rows(plans.rows);
  if (!extrapolated.empty())
    text += paragraph(fmt::format("Of {}, FLOP and TIME are extrapolated from steps with batches of 2 and 4 pictures, "
                                  "because one with the whole batch would take too long here; MEMORY is not known.",
                                  extrapolated),
                      96, 0);
  return text;
}

// What the registry knows of the spread, and the time of a cell of each row as it was measured now.
DetectionPlan detection(const Session& session, const ExperimentPlan& plan, const RowPlans& rows,
                        const ThreadPlan& threads, double difference) {
  std::map<std::string, double> seconds;
  for (const RowPlan& row : rows.rows)
    if (row.prediction) seconds[row.name] = row.prediction->seconds;
  return plan_detection(session, plan.planned(), difference, seconds, threads.jobs);
}

std::string notes(const ExperimentPlan& plan) {
  std::string text;
  for (const InapplicableRows& rows : plan.not_applicable) text += paragraph(describe(rows), 96, 0);
  return text;
}

// The scripts of the jobs that silc run --launcher slurm would begin with.
int print_scripts(const ExperimentPlan& plan, const ThreadRequest& threads) {
  const SlurmOrder order = slurm_order(plan, threads);
  std::string text;
  for (const SlurmSubmission& submission : plan_submissions(order, plan.chosen))
    text += (text.empty() ? "" : "\n") + render_script(submission, order.settings);
  print(text);
  return 0;
}

int plan_command(const PlanOptions& options, Session& session) {
  ExperimentRequest wanted = options.experiment;
  if (options.ranks > 0) wanted.sets.push_back(fmt::format("engine.ranks={}", options.ranks));
  const std::optional<Device> device = chosen_device(options.device);
  const ExperimentPlan plan = plan_experiment(session, wanted, false, "local");
  if (options.sbatch) return print_scripts(plan, options.threads);
  ThreadPlan threads = plan_threads(options.threads, plan.chosen_cells(), plan.gpus.size());
  if (device) threads.jobs = 1;
  RowPlans plans = rows_of(plan, threads);
  if (device)
    calculate(session, plan, *device, options.device, plans.rows);
  else if (!options.no_measure)
    measure(session, plan, plans.rows);
  plans.searches = searches_of(plan, plans.rows);
  std::optional<DetectionPlan> detected;
  if (options.detect) detected = detection(session, plan, plans, threads, *options.detect);
  if (session.json) {
    auto json = to_json(plan, plans, threads, device);
    if (detected) json["detect"] = json_of(*detected);
    print_json(json);
  } else if (device) {
    print(table_of(plans.searches) + describe(on_device(plans.rows), *device, options.device) + notes(plan) +
          (detected ? "\n" + describe(*detected) : ""));
  } else {
    print(table_of(plans.searches) + table_of(plans.rows) +
          summary(plans, threads, plan.gpus.size(), !options.no_measure) + notes(plan) +
          (detected ? "\n" + describe(*detected) : ""));
  }
  bool faults = false;
  for (const RowPlan& row : plans.rows) {
    if (row.fault.empty()) continue;
    faults = true;
    complain(row.name + " could not be " + (device ? "counted" : "measured") + ": " + row.fault);
  }
  return faults ? 1 : 0;
}

}  // namespace

void add_plan(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand(
      "plan",
      "what run would do: cells, which are done, predicted FLOPs, memory and time\n\nRuns a few steps of each row, in "
      "an engine of its own, to predict what a cell costs; --no-measure leaves that out, and --device NAME calculates "
      "what "
      "it would cost elsewhere. Neither trains nor writes anything.");
  command->footer(
      "silc plan experiments/ablation.toml\nsilc plan experiments/ablation.toml --no-measure --json\n"
      "silc plan experiments/ablation.toml --no-measure --detect 1.0\n"
      "silc plan experiments/paper-b16.toml --rows CLIP,SILC --ranks 256 --device h100");
  const auto options = std::make_shared<PlanOptions>();
  add_experiment_flags(*command, options->experiment);
  add_thread_flags(*command, options->threads);
  command
      ->add_option("--ranks", options->ranks,
                   "processes that train each cell together (default: what the experiment says, else 1); the same as "
                   "--set engine.ranks=N")
      ->option_text("N")
      ->check(CLI::Range(1, 4096));
  add_device_flags(*command, options->device);
  command->add_flag(
      "--sbatch", options->sbatch,
      "instead the scripts that silc run --launcher slurm would submit, also where there is no Slurm; the "
      "jobs that others wait for are numbered 1, 2, …");
  command->add_flag("--no-measure", options->no_measure, "without predictions: at once, and without starting training");
  command
      ->add_option("--detect", options->detect,
                   "also how many seeds it takes to see a difference of this size, in the unit of the tables (points "
                   "for percentages), and how much time, from the spread of the cells that are finished")
      ->option_text("DIFFERENCE")
      ->check(CLI::PositiveNumber);
  command->callback(
      [options, &session] { session.command = [options, &session] { return plan_command(*options, session); }; });
}

}  // namespace silc
