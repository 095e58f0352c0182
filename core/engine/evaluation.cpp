#include "engine/evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/failure.h"
#include "engine/log.h"
#include "engine/needs.h"
#include "engine/prefetcher.h"
#include "engine/stop_signal.h"
#include "engine/tensor_file.h"
#include "engine/unreadable.h"
#include "plugin/loader.h"

namespace silc {
namespace {

constexpr int64_t kBatch = 64;  // samples read at once

std::string key_of(const std::string& evaluator, const std::string& weights) { return evaluator + '\n' + weights; }

// `evaluated` events that hold for the trained weights, by evaluation and weights: a start from an earlier step makes
// those before it void.
std::map<std::string, Event> finished_evaluations(const RunFolder& folder, int64_t trained_steps) {
  std::map<std::string, Event> finished;
  uint64_t offset = 0;
  for (const Event& event : read_events(folder.events(), offset)) {
    const std::string kind = event.value("event", "");
    if (kind == "started" && event.value("step", int64_t{0}) < trained_steps) finished.clear();
    if (kind == "evaluated") finished[key_of(event.value("evaluator", ""), event.value("weights", ""))] = event;
  }
  return finished;
}

// Reads the samples ahead, in order, a batch at a time.
void visit_batches(const Dataset& dataset, const std::string& name, int64_t threads,
                   const std::function<void(std::span<const Sample>, int64_t)>& visit) {
  const int64_t size = dataset.size();
  Prefetcher<std::vector<Sample>> batches(0, (size + kBatch - 1) / kBatch, threads, threads + 1, [&](int64_t batch) {
    return in_plugin(PluginKind::dataset, name, [&] {
      std::vector<Sample> samples;
      for (int64_t i = batch * kBatch; i < std::min(size, (batch + 1) * kBatch); ++i)
        samples.push_back(read_decoded(dataset, i));
      return samples;
    });
  });
  int64_t first = 0;
  while (const auto samples = batches.next()) {
    if (stop_requested()) throw Interrupted{};
    visit(*samples, first);
    first += static_cast<int64_t>(samples->size());
  }
}

Scores run_evaluator(const Evaluation& evaluation, const Catalogue& catalogue, const Dataset& dataset, Encoder& encoder,
                     int64_t threads) {
  const PluginChoice& choice = evaluation.evaluator;
  const PluginInfo& plugin = catalogue.require(choice.kind, choice.name);
  return in_plugin(choice.kind, choice.name, [&] {
    const auto evaluator = make_evaluator(plugin, {.options = choice.options});
    Scores scores = evaluator->evaluate(
        {.options = choice.options, .dataset = dataset, .encoder = encoder, .for_each_batch = [&](const auto& visit) {
           visit_batches(dataset, evaluation.data.dataset.name, threads, visit);
         }});
    check_metrics(scores.metrics);
    return scores;
  });
}

// What can be read of a dataset, where some of it cannot; null where all can, so that what failed was something else.
// Says what is left out. Throws silc::Error beyond the limit.
std::shared_ptr<Dataset> without_unreadable(const std::shared_ptr<Dataset>& dataset, const DataSource& source,
                                            int64_t threads, int64_t step, EventLog& events) {
  std::vector<int64_t> all(static_cast<size_t>(dataset->size()));
  std::iota(all.begin(), all.end(), 0);
  const Readable readable = find_readable(*dataset, all, threads);
  if (readable.others.empty()) return nullptr;
  if (static_cast<int64_t>(readable.others.size()) > source.skip_limit || readable.places.empty())
    throw Error(fmt::format(
        "dataset \"{}\", split \"{}\": {} samples cannot be read, more than skip_limit allows ({}); "
        "the first: {}",
        source.dataset.name, source.split, readable.others.size(), source.skip_limit, readable.others.front().reason));
  for (const Unreadable& unreadable : readable.others)
    log_info(fmt::format("left out of evaluation: sample {}: {}", unreadable.sample, unreadable.reason));
  const HealthWarning warning{
      .step = step,
      .check = fmt::format("unreadable_samples/{}/{}", source.dataset.name, source.split),
      .metric = "unreadable_samples",
      .value = static_cast<double>(readable.others.size()),
      .message = fmt::format(
          "evaluated without {} of {} samples of dataset \"{}\", split \"{}\", which cannot be read; "
          "the first: {} (engine.log names all)",
          readable.others.size(), all.size(), source.dataset.name, source.split, readable.others.front().reason)};
  events.append("warning", event_of(warning));
  log_warning(warning.message);
  return std::make_shared<Subset>(dataset, readable.places);
}

// As run_evaluator, without what cannot be read where the data's settings allow that: `dataset` is then what is left.
Scores score(const Evaluation& evaluation, const ResolvedCell& cell, const Catalogue& catalogue,
             const Assembly& assembly, const std::string& weights, std::shared_ptr<Dataset>& dataset, int64_t step,
             EventLog& events) {
  TowerEncoder encoder = make_encoder(cell, assembly, weights);
  const int64_t threads = data_threads(cell.engine, assembly.device);
  const auto run = [&] { return run_evaluator(evaluation, catalogue, *dataset, encoder, threads); };
  try {
    return run();
  } catch (const PluginFailure& failure) {
    if (!may_skip(evaluation.data) || failure.kind() != PluginKind::dataset) throw;
    const auto readable = without_unreadable(dataset, evaluation.data, threads, step, events);
    if (!readable) throw;
    dataset = readable;
    return run();
  }
}

// Of `size` samples, `count` that lie evenly: data that are sorted by class keep their classes.
std::vector<int64_t> spread_evenly(int64_t count, int64_t size) {
  std::vector<int64_t> places(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) places[static_cast<size_t>(i)] = (2 * i + 1) * size / (2 * count);
  return places;
}

// Puts the modes of all modules back that evaluating changes.
class KeptModes {
 public:
  explicit KeptModes(const Assembly& assembly) {
    for (const auto& root : {std::static_pointer_cast<torch::nn::Module>(assembly.model),
                             std::static_pointer_cast<torch::nn::Module>(assembly.objective)})
      for (const auto& module : root->modules()) modes_.emplace_back(module, module->is_training());
  }
  // A module's mode is set with those of its parts, which come after it.
  ~KeptModes() {
    for (const auto& [module, training] : modes_) module->train(training);
  }
  KeptModes(const KeptModes&) = delete;
  KeptModes& operator=(const KeptModes&) = delete;

 private:
  std::vector<std::pair<std::shared_ptr<torch::nn::Module>, bool>> modes_;
};

// Adds metrics of an `evaluated` event, to whose evaluation and weights `about` belongs, to a list as in metrics.json.
void add_metrics(const Event& about, const nlohmann::json& metrics, nlohmann::json& list) {
  for (const auto& metric : metrics) {
    nlohmann::json whole = about;
    whole.update(metric);
    list.push_back(std::move(whole));
  }
}

Event about(const Evaluation& evaluation, const std::string& weights) {
  return {{"evaluator", evaluation.name}, {"dataset", evaluation.data.dataset.name}, {"weights", weights}};
}

nlohmann::json metrics_json(const std::vector<Metric>& metrics) {
  auto list = nlohmann::json::array();
  for (const Metric& metric : metrics)
    list.push_back({{"name", metric.name}, {"value", metric.value}, {"n", metric.n}});
  return list;
}

std::shared_ptr<ImageTower> image_tower(const Assembly& assembly, const std::string& weights) {
  if (weights == "student") return assembly.model->image;
  if (weights == "teacher") return assembly.objective->teacher();
  throw Error("weights \"" + weights + "\" are unknown; use \"student\" or \"teacher\"");
}

}  // namespace

void check_metrics(const std::vector<Metric>& metrics) {
  for (const Metric& metric : metrics)
    if (!std::isfinite(metric.value)) throw Error("its metric \"" + metric.name + "\" is not finite");
}

TowerEncoder make_encoder(const ResolvedCell& cell, const Assembly& assembly, const std::string& weights) {
  return TowerEncoder({.image = image_tower(assembly, weights),
                       .text = assembly.model->text,
                       .captioner = assembly.objective->captioner(),
                       .tokenizer = assembly.tokenizer,
                       .tokenizer_name = cell.text.tokenizer.name,
                       .device = assembly.device,
                       .image_size = cell.image.image_size,
                       .transform = image_transform(cell.image),
                       .context_length = cell.text.context_length});
}

EvaluationOutcome evaluate(const ResolvedCell& cell, const Catalogue& catalogue, const Assembly& assembly,
                           const RunFolder& folder, EventLog& events, int64_t trained_steps) {
  const std::map<std::string, Event> finished = finished_evaluations(folder, trained_steps);
  std::filesystem::create_directories(folder.samples());
  EvaluationOutcome outcome{.metrics = nlohmann::json::array(), .not_applicable = nlohmann::json::array(), .cost = {}};
  for (const Evaluation& evaluation : cell.evaluations) {
    std::shared_ptr<Dataset> dataset;
    const std::string reason =
        why_not_applicable(catalogue.require(evaluation.evaluator.kind, evaluation.evaluator.name), cell, assembly);
    for (const std::string& weights : cell.weights) {
      if (stop_requested()) throw Interrupted{};
      const Event subject = about(evaluation, weights);
      if (!reason.empty()) {
        Event record = subject;
        record["reason"] = reason;
        outcome.not_applicable.push_back(record);
        record["metrics"] = Event::array();
        if (!finished.contains(key_of(evaluation.name, weights))) events.append("evaluated", record);
        continue;
      }
      const std::filesystem::path samples =
          folder.samples() / (path_name(evaluation.name) + "-" + weights + ".safetensors");
      const auto earlier = finished.find(key_of(evaluation.name, weights));
      Event record;
      if (earlier != finished.end() && std::filesystem::exists(samples)) {
        record = earlier->second;
      } else {
        events.append("evaluating", subject);
        log_info("evaluating " + evaluation.name + " on " + evaluation.data.dataset.name + ", weights: " + weights);
        const Stopwatch watch;
        if (!dataset) dataset = load_dataset(evaluation.data, catalogue);
        const Scores scores = score(evaluation, cell, catalogue, assembly, weights, dataset, trained_steps, events);
        write_tensors(samples, scores.samples,
                      {{"evaluator", evaluation.name},
                       {"dataset", evaluation.data.dataset.name},
                       {"split", evaluation.data.split},
                       {"weights", weights}});
        const Cost cost = watch.elapsed();
        record = subject;
        record["metrics"] = metrics_json(scores.metrics);
        record["core_seconds"] = cost.core_seconds;
        record["seconds"] = cost.seconds;
        events.append("evaluated", record);
      }
      add_metrics(subject, record["metrics"], outcome.metrics);
      outcome.cost += {.core_seconds = record.value("core_seconds", 0.0),
                       .seconds = record.value("seconds", 0.0),
                       .peak_memory = process_peak_memory()};
    }
  }
  return outcome;
}

AlongEvaluator::AlongEvaluator(const ResolvedCell& cell, const Catalogue& catalogue, const Assembly& assembly,
                               EventLog& events)
    : cell_(cell), catalogue_(catalogue), assembly_(assembly), events_(events) {
  for (const Evaluation& evaluation : cell.evaluations) {
    const PluginInfo& plugin = catalogue.require(evaluation.evaluator.kind, evaluation.evaluator.name);
    if (why_not_applicable(plugin, cell, assembly).empty()) tasks_.push_back({.evaluation = &evaluation});
  }
}

nlohmann::json AlongEvaluator::evaluate(int64_t step, bool ended) {
  const KeptModes modes(assembly_);
  auto metrics = nlohmann::json::array();
  for (Task& task : tasks_) {
    const Evaluation& evaluation = *task.evaluation;
    if (!task.dataset) {
      task.dataset = load_dataset(evaluation.data, catalogue_);
      const int64_t size = task.dataset->size();
      const int64_t most = cell_.engine.evaluate_samples;
      task.is_part = most > 0 && most < size;
      if (task.is_part) task.dataset = std::make_shared<Subset>(task.dataset, spread_evenly(most, size));
    }
    if (ended && !task.is_part) continue;
    for (const std::string& weights : cell_.weights) {
      if (stop_requested()) throw Interrupted{};
      const Scores scores = score(evaluation, cell_, catalogue_, assembly_, weights, task.dataset, step, events_);
      add_metrics(about(evaluation, weights), metrics_json(scores.metrics), metrics);
    }
  }
  return metrics;
}

}  // namespace silc
