#include "engine/training.h"

#include <c10/util/StringUtil.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>

#include "engine/accelerator.h"
#include "engine/batches.h"
#include "engine/cpu_energy.h"
#include "engine/failure.h"
#include "engine/flop_counter.h"
#include "engine/health.h"
#include "engine/learning_rate.h"
#include "engine/log.h"
#include "engine/prefetcher.h"
#include "engine/process_ranks.h"
#include "engine/rank_report.h"
#include "engine/repeats.h"
#include "engine/stop_signal.h"
#include "engine/training_step.h"
#include "engine/unreadable.h"
#include "nn/ranks.h"

namespace silc {
namespace {

// Progress::fraction stays below 1 even where the clock passes the end of the budget between two looks at it.
constexpr double kAlmostDone = 0x1.fffffep-1;

// How far a fraction may be behind a multiple of evaluate_every by rounding.
constexpr double kRounding = 1e-9;

// Removes whatever lies in the checkpoint folder but `kept`: earlier checkpoints, and what a crash left half done.
void remove_others(const std::filesystem::path& checkpoints, const std::filesystem::path& kept) {
  std::vector<std::filesystem::path> others;
  for (const auto& entry : std::filesystem::directory_iterator(checkpoints))
    if (entry.path().filename() != kept.filename()) others.push_back(entry.path());
  for (const auto& other : others) std::filesystem::remove_all(other);
}

// A batch with what is found out about it while it is still on the CPU.
struct PreparedBatch {
  Batch batch;
  BatchKeys keys;
  std::vector<Unreadable> skipped;
};

HealthMonitor make_monitor(const ResolvedCell& cell, Objective& objective) {
  return in_plugin(PluginKind::objective, cell.objective.name, [&] {
    return HealthMonitor(objective.health({.size = cell.optimizer.batch}), objective.milestones());
  });
}

class Training {
 public:
  Training(const ResolvedCell& cell, const Assembly& assembly, const RunFolder& folder, EventLog& events,
           const AlongTraining& along)
      : cell_(cell),
        along_(along),
        id_(cell_id(cell)),
        folder_(folder),
        events_(events),
        device_(assembly.device),
        meter_(assembly.device),
        total_steps_(known_steps(cell)),
        step_(assembly, cell),
        source_(make_batch_source(cell, assembly, total_steps_.value_or(0))),
        monitor_(make_monitor(cell, *assembly.objective)),
        unreadable_(cell.train) {}

  TrainingOutcome run(const std::function<bool()>& stop) {
    resume();
    check_alike(ranks(), {{"the step that they go on from", std::to_string(state_.step)}},
                "all must see the same run folder");
    append_started();
    watch_ = Stopwatch();
    meter_ = DeviceMeter(device_);
    energy_ = CpuEnergyMeter();
    const TrainingEnd end = train(stop);
    if (state_.step > saved_step_) save();
    ranks().barrier();
    return {.end = end, .state = state_, .cost = cost(), .evaluation = evaluation_};
  }

 private:
  void resume() {
    std::filesystem::create_directories(folder_.checkpoints());
    const std::optional<ResumePoint> point = find_resume_point(folder_);
    if (writes_) remove_others(folder_.checkpoints(), point ? point->file : std::filesystem::path());
    if (!point) return;
    state_ = load_checkpoint(point->file, step_.state(), id_);
    monitor_.restore(state_.health);
    unreadable_.restore(state_.unreadable);
    earlier_ = point->cost;
    saved_step_ = state_.step;
    recall_evaluations();
    log_info("going on from step " + std::to_string(state_.step));
  }

  // Those along training that earlier attempts left and the checkpoint has not made void.
  void recall_evaluations() {
    uint64_t offset = 0;
    std::vector<Event> events;
    for (Event& event : read_events(folder_.events(), offset)) {
      const std::string kind = event.value("event", "");
      if (kind == "started")
        std::erase_if(events, [&](const Event& each) { return each.value("step", int64_t{0}) > event["step"]; });
      if (kind == "evaluated_along") events.push_back(std::move(event));
    }
    for (const Event& event : events) {
      if (event.value("step", int64_t{0}) > state_.step) continue;
      evaluated_step_ = event.value("step", int64_t{0});
      evaluated_fraction_ = event.value("fraction", 0.0);
      evaluation_ += {.core_seconds = event.value("evaluation_core_seconds", 0.0),
                      .seconds = event.value("evaluation_seconds", 0.0),
                      .peak_memory = 0};
    }
  }

  void append_started() {
    Event event = {{"pid", getpid()},
                   {"step", state_.step},
                   {"total_steps", total_steps_ ? Event(*total_steps_) : Event(nullptr)}};
    if (!ranks().alone()) event["ranks"] = ranks().size();
    if (device_.is_cuda()) {
      event["device"] = gpu_name(device_);
      event["gpu"] = visible_name(device_);
    }
    events_.append("started", event);
  }

  [[nodiscard]] PreparedBatch prepare(int64_t number) const {
    ReadBatch read = source_.read(number);
    BatchKeys keys = keys_of(read.batch);
    return {std::move(read.batch), std::move(keys), std::move(read.skipped)};
  }

  // Until the budget is used up, training shall pause, or `stop` says so.
  TrainingEnd train(const std::function<bool()>& stop) {
    if (const auto end = look_around(stop)) return *end;
    const int64_t per_update = cell_.optimizer.accumulate;
    const int64_t end = total_steps_ ? *total_steps_ * per_update : std::numeric_limits<int64_t>::max();
    const int64_t threads = data_threads(cell_.engine, device_);
    Prefetcher<PreparedBatch> batches(state_.step * per_update, end, threads, threads + 1,
                                      [this](int64_t number) { return prepare(number); });
    RankReport report;  // of an update
    DeviceCopier copier(device_);
    std::deque<PreparedBatch> copied;  // without what is copied
    const auto copy = [&](PreparedBatch prepared) {
      copier.begin(std::move(prepared.batch));
      copied.push_back(std::move(prepared));
    };
    const auto next_batch = [&] {
      if (copier.begun() == 0) {
        const double asked = elapsed().seconds;
        PreparedBatch prepared = *batches.next();
        waited_ += elapsed().seconds - asked;
        copy(std::move(prepared));
      }
      Batch batch = copier.finish();
      // The batch after it is copied while the device computes with this one, if it is made already.
      if (!device_.is_cpu())
        if (auto following = batches.try_next()) copy(*std::move(following));
      PreparedBatch& known = copied.front();
      report.keys.push_back(std::move(known.keys));
      report.skipped.insert(report.skipped.end(), known.skipped.begin(), known.skipped.end());
      copied.pop_front();
      state_.examples += batch.size * ranks().size();
      return batch;
    };
    flops_.emplace();
    const int64_t flops_before = state_.flops;
    double saved = watch_.elapsed().seconds;
    rate_from_ = elapsed();
    rate_from_examples_ = state_.examples;
    const auto share = [&](StepFigures figures) {
      report.figures = std::move(figures);
      report.flops = flops_->total() - apart_flops_;
      report.cost = cost_here();
      report.stop = !ranks().alone() && stop();
      report.bytes_sent = ranks().bytes_sent();
      together_ = share_reports(report);
      return together_.figures;
    };
    for (;;) {
      const Progress progress{.step = state_.step,
                              .fraction = std::min(fraction(), kAlmostDone),
                              .total_steps = total_steps_.value_or(0),
                              .seed = training_seed(cell_)};
      const double lr = learning_rate(cell_.optimizer, progress.fraction, fraction_of_update());
      report = {};
      const StepFigures figures = step_.run(next_batch, progress, lr, share);
      ++state_.step;
      state_.flops = flops_before + together_.flops;
      const bool done = fraction() >= 1;
      if (done || state_.step % cell_.engine.log_every == 0) log(figures, lr);
      watch(figures, progress.fraction);
      watch(together_.skipped);
      if (!done && watch_.elapsed().seconds - saved >= cell_.engine.checkpoint_seconds) {
        save();
        saved = watch_.elapsed().seconds;
      }
      if (const auto end = look_around(stop)) return *end;
    }
  }

  // Between updates: evaluates along where it is time to, and says whether to go on.
  std::optional<TrainingEnd> look_around(const std::function<bool()>& stop) {
    const bool done = fraction() >= 1;
    const bool pause = !done && fraction() >= along_.until;
    try {
      if (along_.evaluate && is_evaluation_due(pause)) evaluate_along(done);
    } catch (const Interrupted&) {
      return TrainingEnd::interrupted;
    }
    if (done) return TrainingEnd::finished;
    if (pause) return TrainingEnd::paused;
    // All ranks stop at the same step: the one after which each knows that one of them shall.
    if (ranks().alone() ? stop() : together_.stop) return TrainingEnd::interrupted;
    return std::nullopt;
  }

  // Whether a multiple of evaluate_every was passed since the last evaluation, by whichever attempt; evaluate_every may
  // have changed meanwhile.
  [[nodiscard]] bool is_evaluation_due(bool pause) const {
    if (pause && evaluated_step_ != state_.step) return true;
    const double every = cell_.engine.evaluate_every;
    if (every <= 0) return false;
    const auto passed = [&](double part) { return std::floor(std::min(part, 1.0) / every + kRounding); };
    return passed(fraction()) > passed(evaluated_fraction_);
  }

  // The others wait. Throws Interrupted on all of them.
  nlohmann::json evaluate_on_first_rank(bool ended) {
    if (ranks().alone()) return along_.evaluate(state_.step, ended);
    nlohmann::json metrics;
    auto was_interrupted = at::zeros({1}, at::kByte);
    try {
      if (writes_) metrics = along_.evaluate(state_.step, ended);
    } catch (const Interrupted&) {
      was_interrupted.fill_(1);
    }
    ranks().broadcast(was_interrupted);
    if (was_interrupted.item<uint8_t>() != 0) throw Interrupted();
    return metrics;
  }

  void evaluate_along(bool ended) {
    const Stopwatch watch;
    const DeviceMeter meter(device_);
    energy_.update();
    const Cost trained = cost();
    const std::optional<double> energy_before = energy_.joules();
    const int64_t flops_before = flops_ ? flops_->total() : 0;
    const nlohmann::json metrics = evaluate_on_first_rank(ended);
    if (flops_) apart_flops_ += flops_->total() - flops_before;
    Cost spent = watch.elapsed();
    spent.device = meter.elapsed();
    spent.cpu_energy = used_energy(energy_before);
    if (writes_) evaluation_ += spent;
    apart_ += spent;
    evaluated_step_ = state_.step;
    evaluated_fraction_ = fraction();
    if (metrics.empty()) return;
    Event event = {{"step", state_.step},
                   {"fraction", std::min(fraction(), 1.0)},
                   {"examples", state_.examples},
                   {"flops", state_.flops},
                   {"core_seconds", trained.core_seconds},
                   {"seconds", trained.seconds},
                   {"evaluation_core_seconds", spent.core_seconds},
                   {"evaluation_seconds", spent.seconds},
                   {"metrics", metrics}};
    write_measured(trained, event);
    events_.append("evaluated_along", event);
    log_info(c10::str("evaluated at step ", state_.step, " in ", std::lround(spent.seconds), " s"));
  }

  // Part of the budget that is used up.
  [[nodiscard]] double fraction() const {
    switch (cell_.budget.unit) {
      case BudgetUnit::examples:
        return static_cast<double>(state_.step) / static_cast<double>(*total_steps_);
      case BudgetUnit::flops:
        return static_cast<double>(state_.flops) / cell_.budget.amount;
      case BudgetUnit::core_seconds:
        return cost().core_seconds / cell_.budget.amount;
    }
    return 1;
  }

  // Part of the budget that the next update uses up. Where steps cost what they cost it is the mean of those before.
  [[nodiscard]] double fraction_of_update() const {
    if (total_steps_) return 1 / static_cast<double>(*total_steps_);
    return state_.step > 0 ? fraction() / static_cast<double>(state_.step) : 0;
  }

  [[nodiscard]] Cost cost() const {
    Cost total = earlier_;
    total += ranks().alone() ? cost_here() : together_.cost;
    return total;
  }

  // Of this attempt and process.
  [[nodiscard]] Cost cost_here() const {
    Cost here = watch_.elapsed();
    here.device = meter_.elapsed();
    here.cpu_energy = energy_.joules();
    here -= apart_;
    return here;
  }

  // Of this attempt, without what evaluating took.
  [[nodiscard]] Cost elapsed() const {
    Cost here = watch_.elapsed();
    here -= apart_;
    return here;
  }

  // Since it was that much.
  std::optional<double> used_energy(std::optional<double> before) {
    energy_.update();
    return before ? std::optional(*energy_.joules() - *before) : std::nullopt;
  }

  void log(const StepFigures& figures, double lr) {
    energy_.update();
    const Cost now = elapsed();
    const Cost total = cost();
    const double rate =
        static_cast<double>(state_.examples - rate_from_examples_) / std::max(now.seconds - rate_from_.seconds, 1e-9);
    const double data_wait = std::min(waited_ / std::max(now.seconds - rate_from_.seconds, 1e-9), 1.0);
    waited_ = 0;
    rate_from_ = now;
    rate_from_examples_ = state_.examples;
    Event values = Event::object();
    values["gradient_norm"] = figures.gradient_norm;
    for (const auto& [name, value] : figures.values) values[name] = value;
    events_.append("step", {{"step", state_.step},
                            {"examples", state_.examples},
                            {"flops", state_.flops},
                            {"fraction", std::min(fraction(), 1.0)},
                            {"core_seconds", total.core_seconds},
                            {"seconds", total.seconds},
                            {"rate", rate},
                            {"data_wait", data_wait},
                            {"lr", lr},
                            {"loss", figures.loss},
                            {"values", values}});
    log_info(c10::str("step ", state_.step, " of ", total_steps_ ? std::to_string(*total_steps_) : "?", ": loss ",
                      figures.loss, ", ", std::lround(rate), " pictures/s"));
  }

  // `before`: part of the budget that was used up before the update of these figures.
  void watch(const StepFigures& figures, double before) {
    for (const HealthWarning& warning : monitor_.observe(state_.step, before, fraction(), figures)) warn(warning);
  }

  void watch(const std::vector<Unreadable>& skipped) {
    for (const Unreadable& unreadable : skipped) {
      log_info(c10::str("skipped: ", unreadable.reason));
      if (const auto warning = unreadable_.add(unreadable, state_.step)) warn(*warning);
    }
  }

  void warn(const HealthWarning& warning) {
    if (!writes_) return;
    events_.append("warning", event_of(warning));
    log_warning(c10::str("step ", state_.step, ": ", warning.message));
  }

  void save() {
    saved_step_ = state_.step;
    if (!writes_) return;
    state_.health = monitor_.state();
    state_.unreadable = unreadable_.state();
    const std::string name = checkpoint_name(state_.step);
    write_checkpoint(folder_.checkpoints() / name, step_.state(), state_, id_);
    energy_.update();
    const Cost total = cost();
    Event event = {{"step", state_.step},
                   {"file", (folder_.checkpoints().filename() / name).string()},
                   {"examples", state_.examples},
                   {"flops", state_.flops},
                   {"core_seconds", total.core_seconds},
                   {"seconds", total.seconds},
                   {"peak_memory", total.peak_memory}};
    write_measured(total, event);
    events_.append("checkpointed", event);
    remove_others(folder_.checkpoints(), name);
  }

  const ResolvedCell& cell_;
  const AlongTraining& along_;
  const std::string id_;
  const RunFolder folder_;
  EventLog& events_;
  const bool writes_ = ranks().rank() == 0;  // into the run folder
  const at::Device device_;
  DeviceMeter meter_;      // of this attempt
  CpuEnergyMeter energy_;  // likewise
  const std::optional<int64_t> total_steps_;
  TrainingStep step_;
  const BatchSource source_;
  HealthMonitor monitor_;
  UnreadableSamples unreadable_;
  TrainingState state_;
  Cost earlier_;         // of earlier attempts, up to the checkpoint
  Stopwatch watch_;      // of this attempt
  RankReport together_;  // of all ranks, after the last update
  int64_t saved_step_ = -1;
  std::optional<FlopCounter> flops_;  // of this attempt
  Cost apart_;                        // of this attempt, which evaluating along took
  int64_t apart_flops_ = 0;           // likewise
  Cost evaluation_;                   // along training, over all attempts
  int64_t evaluated_step_ = -1;
  double evaluated_fraction_ = 0;
  Cost rate_from_;
  int64_t rate_from_examples_ = 0;
  double waited_ = 0;  // seconds for batches, since then
};

}  // namespace

std::optional<int64_t> known_steps(const ResolvedCell& cell) {
  if (cell.budget.unit != BudgetUnit::examples) return std::nullopt;
  const auto per_update = static_cast<double>(cell.optimizer.batch * cell.optimizer.accumulate);
  return std::max<int64_t>(1, static_cast<int64_t>(std::ceil(cell.budget.amount / per_update)));
}

TrainingOutcome train(const ResolvedCell& cell, const Assembly& assembly, const RunFolder& folder, EventLog& events,
                      const std::function<bool()>& stop, const AlongTraining& along) {
  return Training(cell, assembly, folder, events, along).run(stop);
}

}  // namespace silc
