#include "engine/run.h"

#include "engine/assembly.h"
#include "engine/environment.h"
#include "engine/evaluation.h"
#include "engine/event_log.h"
#include "engine/failure.h"
#include "engine/log.h"
#include "engine/parameters.h"
#include "engine/plugin_scope.h"
#include "engine/rank_membership.h"
#include "engine/start.h"
#include "engine/stop_signal.h"
#include "engine/training.h"
#include "files/run_folder.h"

namespace silc {
namespace {

constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kPaused = 3;
constexpr int kInterrupted = 130;

std::string text_of(const nlohmann::json& json) {
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

int interrupted(EventLog& events, int64_t step) {
  events.append("interrupted", {{"step", step}});
  log_info("interrupted after step " + std::to_string(step) + "; silc run goes on from there");
  return kInterrupted;
}

int paused(EventLog& events, int64_t step) {
  events.append("paused", {{"step", step}});
  log_info("paused after step " + std::to_string(step));
  return kPaused;
}

int failed(EventLog& events, const std::string& message, const Event& plugin) {
  events.append("failed", {{"message", message}, {"plugin", plugin}});
  log_error(message);
  return kFailed;
}

int finish(const RunFolder& folder, EventLog& events, const EvaluationOutcome& evaluated, const nlohmann::json& cost) {
  write_file_durably(
      folder.metrics(),
      text_of({{"metrics", evaluated.metrics}, {"not_applicable", evaluated.not_applicable}, {"cost", cost}}));
  events.append("finished");
  return kDone;
}

// What training cost whoever did it is not known, which is something else than nothing.
int evaluate_only(const ResolvedCell& cell, const Catalogue& catalogue, const Assembly& assembly,
                  const RunFolder& folder, EventLog& events) {
  events.append("started", {{"step", 0}});
  EvaluationOutcome evaluated;
  try {
    evaluated = evaluate(cell, catalogue, assembly, folder, events, 0);
  } catch (const Interrupted&) {
    return interrupted(events, 0);
  }
  return finish(folder, events, evaluated,
                {{"evaluation_core_seconds", evaluated.cost.core_seconds},
                 {"parameters", parameter_count(*assembly.model)},
                 {"device", device_name(assembly.device)}});
}

int train_and_evaluate(const ResolvedCell& cell, const Catalogue& catalogue, const RunRequest& request,
                       RankMembership& membership, EventLog& events) {
  const RunFolder folder{request.folder};
  const bool writes = membership.rank() == 0;
  const at::Device device = parse_device(cell.engine.device);
  prepare_torch(request.threads, device);
  membership.join(cell, catalogue, device, events);
  if (writes) write_file_durably(folder.environment(), text_of(describe_environment(device)));
  const auto start = open_start(cell, folder);
  const Assembly assembly = assemble(cell, catalogue, start.get());

  if (is_evaluated_only(cell)) return writes ? evaluate_only(cell, catalogue, assembly, folder, events) : kDone;
  AlongEvaluator along(cell, catalogue, assembly, events);
  const TrainingOutcome trained = train(
      cell, assembly, folder, events, stop_requested,
      {.evaluate = [&](int64_t step, bool ended) { return along.evaluate(step, ended); }, .until = request.until});
  membership.leave();
  if (trained.end == TrainingEnd::interrupted) return interrupted(events, trained.state.step);
  if (trained.end == TrainingEnd::paused) return paused(events, trained.state.step);
  if (!writes) return kDone;
  EvaluationOutcome evaluated;
  try {
    evaluated = evaluate(cell, catalogue, assembly, folder, events, trained.state.step);
  } catch (const Interrupted&) {
    return interrupted(events, trained.state.step);
  }
  nlohmann::json cost = {{"examples", trained.state.examples},
                         {"flops", trained.state.flops},
                         {"core_seconds", trained.cost.core_seconds},
                         {"seconds", trained.cost.seconds},
                         {"evaluation_core_seconds", evaluated.cost.core_seconds},
                         {"peak_memory", trained.cost.peak_memory},
                         {"parameters", parameter_count(*assembly.model)},
                         {"steps", trained.state.step},
                         {"device", device_name(device)}};
  if (trained.evaluation.core_seconds > 0) cost["evaluation_along_core_seconds"] = trained.evaluation.core_seconds;
  write_measured(trained.cost, cost);
  return finish(folder, events, evaluated, cost);
}

// The account of plugins in the run folder, for the time that the engine runs.
class PublishedActivity {
 public:
  explicit PublishedActivity(const RunFolder& folder) : file_(folder.activity()) { publish_activity(file_); }
  ~PublishedActivity() {
    std::error_code ignored;
    std::filesystem::remove(file_, ignored);
  }
  PublishedActivity(const PublishedActivity&) = delete;
  PublishedActivity& operator=(const PublishedActivity&) = delete;

 private:
  std::filesystem::path file_;
};

}  // namespace

int run_cell(const RunRequest& request) {
  watch_stop_signals();
  const RunFolder folder{request.folder};
  const Catalogue catalogue = Catalogue::scan(plugin_folders(request.plugin_path));
  const ResolvedCell cell = read_cell(folder.cell(), catalogue);
  RankMembership membership(rank_environment());
  EventLog events(membership.rank() == 0 ? std::optional(folder.events()) : std::nullopt);
  std::optional<PublishedActivity> activity;
  if (membership.rank() == 0) activity.emplace(folder);
  const auto give_up = [&](const std::string& message, const Event& plugin, const std::string& word) {
    const int code = failed(events, message, plugin);
    activity.reset();
    membership.end_process(word, code);
    return code;
  };
  try {
    return train_and_evaluate(cell, catalogue, request, membership, events);
  } catch (const RankLost& lost) {
    return give_up(lost.what(), nullptr, "");
  } catch (const PluginFailure& failure) {
    return give_up(failure.what(), failure.plugin(), failure.what());
  } catch (const Error& error) {
    return give_up(error.what(), nullptr, error.what());
  } catch (const std::exception& error) {
    const std::string message = (is_out_of_memory(error) ? "" : "silc-engine has a fault: ") + one_line(error);
    return give_up(message, nullptr, message);
  }
}

}  // namespace silc
