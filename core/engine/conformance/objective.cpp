#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <c10/util/StringUtil.h>
#include <torch/utils.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <optional>
#include <set>

#include "engine/batches.h"
#include "engine/checkpoint.h"
#include "engine/conformance/bits.h"
#include "engine/conformance/conformance.h"
#include "engine/conformance/gradients.h"
#include "engine/conformance/heap.h"
#include "engine/conformance/practice.h"
#include "engine/conformance/thread_ranks.h"
#include "engine/cost.h"
#include "engine/flop_counter.h"
#include "engine/gradient_reducer.h"
#include "engine/health.h"
#include "engine/training.h"
#include "engine/training_step.h"

namespace silc::conformance {
namespace {

constexpr double kLearningRate = 1e-3;
constexpr int64_t kStepsOfPart = 3;

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "silc-check-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw Error(name + " cannot be made; TMPDIR names another place");
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// One process's worth of training: everything made anew.
class Trainer {
 public:
  // `lacking`: what data and model do not have, a set of Need.
  Trainer(const ResolvedCell& cell, const PluginInfo& plugin, uint32_t lacking = 0)
      : cell_(cell),
        assembly_(practice_assembly(cell, plugin, lacking)),
        source_(make_batch_source(cell, assembly_, *known_steps(cell))),
        step_(assembly_, cell) {}

  [[nodiscard]] Progress progress(int64_t step) const {
    const int64_t total = *known_steps(cell_);
    return {.step = step,
            .fraction = static_cast<double>(step) / static_cast<double>(total),
            .total_steps = total,
            .seed = static_cast<uint64_t>(cell_.seed)};
  }
  [[nodiscard]] Batch batch(int64_t step) const { return source_.batch(step); }
  // Once more, of a batch that was changed.
  void prepare(Batch& batch, int64_t step) const {
    batch.prepared.clear();
    batch.host.clear();
    assembly_.objective->prepare(batch, progress(step));
  }
  StepFigures run(int64_t step) { return run(step, batch(step)); }
  StepFigures run(int64_t step, const Batch& batch) {
    return step_.run([&] { return batch; }, progress(step), kLearningRate);
  }
  [[nodiscard]] NamedTensors state() const { return step_.state(); }
  [[nodiscard]] const Assembly& assembly() const { return assembly_; }

 private:
  ResolvedCell cell_;
  Assembly assembly_;
  BatchSource source_;
  TrainingStep step_;
};

struct Outcomes {
  std::vector<double> losses;
  NamedTensors state;
};

class ObjectiveChecks {
 public:
  explicit ObjectiveChecks(const Subject& subject) : subject_(subject) {}

  // Whether the other checks can be made.
  [[nodiscard]] bool planned() const { return !steps_.empty(); }

  // Comes first: it finds out the parts of training. The defaults must at least give an objective.
  Outcome runs() {
    const std::vector<double> milestones = practice_assembly(cell(), subject_.plugin).objective->milestones();
    if (!std::is_sorted(milestones.begin(), milestones.end()) ||
        std::any_of(milestones.begin(), milestones.end(), [](double at) { return at <= 0 || at >= 1; }))
      return failed(c10::str("milestones() gives ", milestones, ", which do not ascend within (0, 1)"));
    plan_steps(milestones);
    practice_assembly(practice_cell(subject_.plugin, subject_.full), subject_.plugin);
    Trainer trainer(cell(), subject_.plugin);
    for (const int64_t step : steps_) trainer.run(step);
    if (const std::string name = first_not_finite(trainer.state()); !name.empty())
      return failed("after " + std::to_string(steps_.size()) + " steps \"" + name + "\" holds NaN or infinity");
    return passed("", {{"parts", parts_.size()}, {"steps", steps_.size()}});
  }

  Outcome repeatable() {
    const Outcomes first = train(), second = train();
    return compare(first, second, "from the same seed", 0);
  }

  Outcome resumable() {
    const Outcomes whole = train();
    for (const std::size_t split : {std::size_t{1}, steps_.size() / 2, steps_.size() - 1}) {
      const Outcome outcome = compare(whole, train_resumed(split), "when training goes on from a checkpoint", split);
      if (outcome.verdict == Verdict::failed) return outcome;
    }
    return passed();
  }

  Outcome gradients() {
    nlohmann::json figures = nlohmann::json::object();
    std::string remark;
    for (const int64_t step : parts_) {
      const Outcome outcome = gradients_at(step);
      if (outcome.verdict == Verdict::failed) return failed(at(step) + outcome.message, outcome.figures);
      remark = outcome.message;
      if (!figures.contains("relative_error") || figures["relative_error"] < outcome.figures["relative_error"])
        figures = outcome.figures;
    }
    return passed(remark, figures);
  }

  Outcome parameters() {
    Trainer trainer(cell(), subject_.plugin);
    for (const int64_t step : steps_) trainer.run(step);
    const NamedTensors state = trainer.state();
    std::vector<std::string> idle;
    int64_t trained = 0;
    for (const NamedTensor& parameter :
         trainable_parameters(*trainer.assembly().model, *trainer.assembly().objective)) {
      ++trained;
      // Adam's second moment is zero as long as no gradient but zero has come.
      const auto moment = state.find("optimizer.exp_avg_sq." + parameter.name);
      if (moment == state.end() || moment->second.count_nonzero().item<int64_t>() == 0) idle.push_back(parameter.name);
    }
    if (idle.empty()) return passed("", {{"parameters", trained}});
    std::string names;
    for (std::size_t i = 0; i < std::min<std::size_t>(idle.size(), 3); ++i)
      names += (i == 0 ? "\"" : ", \"") + idle[i] + "\"";
    if (idle.size() > 3) names += " and " + std::to_string(idle.size() - 3) + " more";
    return failed("never get a gradient, or only zeros, in " + std::to_string(steps_.size()) +
                      " steps over all parts of training: " + names +
                      "; use them, leave them out, or clear requires_grad in the constructor",
                  {{"parameters", trained}, {"without_gradient", idle.size()}});
  }

  Outcome extremes() {
    struct Case {
      std::string name;
      void (*change_batch)(Batch&);
      bool large_weights = false;
    };
    const std::vector<Case> cases = {
        {"all pictures white and all captions the same", [](Batch& batch) { make_constant(batch, 1); }},
        {"all pictures grey and all captions the same", [](Batch& batch) { make_constant(batch, 0); }},
        {"all pairs of a batch identical", make_identical},
        {"weights ten times as large and temperatures at their limit", [](Batch&) {}, true}};
    for (const Case& each : cases)
      for (const int64_t step : parts_) {
        try {
          Trainer trainer(cell(), subject_.plugin);
          if (each.large_weights) enlarge(trainer.assembly());
          Batch batch = trainer.batch(step);
          each.change_batch(batch);
          trainer.prepare(batch, step);
          for (int64_t i = 0; i < 2; ++i) trainer.run(step + i, batch);
          if (const std::string name = first_not_finite(trainer.state()); !name.empty())
            return failed("with " + each.name + at(step, ", ") + " \"" + name + "\" becomes NaN or infinite");
        } catch (const std::exception& error) {
          return failed("with " + each.name + at(step, ", ") + " " + error.what());
        }
      }
    return passed("", {{"cases", cases.size()}});
  }

  Outcome small_batches() {
    std::string remark;
    for (const int64_t size : {int64_t{3}, int64_t{1}}) {
      try {
        Trainer trainer(practice_cell(subject_.plugin, subject_.options, size), subject_.plugin);
        for (const int64_t step : steps_) trainer.run(step);
      } catch (const std::exception& error) {
        const std::string what = error.what();
        if (what.find("optimizer.batch") == std::string::npos || what.find("memory") != std::string::npos)
          return failed("a batch of " + std::to_string(size) + ": " + what +
                        " (a batch that cannot be used is refused by a message that names optimizer.batch)");
        remark = "a batch of " + std::to_string(size) + " is refused: " + what;
      }
    }
    return passed(remark);
  }

  Outcome bf16() {
    ResolvedCell mixed = cell();
    mixed.engine.precision = "bf16";
    Trainer trainer(mixed, subject_.plugin), exact(cell(), subject_.plugin);
    std::optional<double> difference;
    for (const int64_t step : steps_) {
      const double loss = trainer.run(step).loss;
      if (!difference) difference = std::abs(loss - exact.run(step).loss);
    }
    for (const auto& [name, tensor] : trainer.state())
      if (tensor.is_floating_point() && tensor.scalar_type() != at::kFloat)
        return failed("\"" + name + "\" became " + c10::toString(tensor.scalar_type()) +
                      ": weights and state stay in fp32");
    if (const std::string name = first_not_finite(trainer.state()); !name.empty())
      return failed("\"" + name + "\" holds NaN or infinity");
    return passed("", {{"difference_of_first_loss", difference.value_or(0)}});
  }

  Outcome memory() {
    Trainer trainer(cell(), subject_.plugin);
    constexpr int64_t kWarm = 5;
    constexpr int64_t kWatched = 12;
    const int64_t first = parts_.back();
    std::vector<int64_t> in_use;
    in_use.reserve(kWatched + 1);
    for (int64_t i = 0; i < kWarm + kWatched + 1; ++i) {
      trainer.run(first + i % kStepsOfPart);
      if (i >= kWarm) in_use.push_back(heap_in_use());
    }
    const std::string growth = describe_growth(in_use);
    return growth.empty() ? passed("", {{"steps", in_use.size() - 1}}) : failed(growth);
  }

  Outcome teacher() {
    Trainer trainer(cell(), subject_.plugin);
    for (const int64_t step : steps_) trainer.run(step);
    const std::shared_ptr<ImageTower> teacher = trainer.assembly().objective->teacher();
    if (!teacher) return not_applicable("it keeps no teacher");
    const auto expected = trainer.assembly().model->image->named_parameters();
    const auto own = teacher->named_parameters();
    for (const auto& parameter : own)
      if (parameter.value().requires_grad() && teacher != trainer.assembly().model->image)
        return failed("its parameter \"" + parameter.key() + "\" wants a gradient: clear requires_grad");
    for (const auto& parameter : expected) {
      const at::Tensor* found = own.find(parameter.key());
      if (found == nullptr || found->sizes() != parameter.value().sizes())
        return failed("it lacks \"" + parameter.key() + "\" of the student, or has it in another shape");
    }
    const torch::NoGradGuard no_grad;
    const at::Tensor images = at::zeros({2, 3, kPracticeImageSize, kPracticeImageSize});
    const at::Tensor embedded = teacher->embed_image(teacher->forward(images));
    if (embedded.sizes() != at::IntArrayRef({2, trainer.assembly().model->image->embed_dim()}))
      return failed(c10::str("it embeds two pictures as ", embedded.sizes()));
    return passed("", {{"parameters", own.size()}});
  }

  Outcome captioner() {
    constexpr int64_t kPictures = 3;
    Trainer trainer(cell(), subject_.plugin);
    for (const int64_t step : steps_) trainer.run(step);
    const Assembly& assembly = trainer.assembly();
    const std::shared_ptr<Captioner> captioner = assembly.objective->captioner();
    if (!captioner) return not_applicable("it trains no caption decoder");
    const torch::NoGradGuard no_grad;
    const int64_t vocabulary = assembly.tokenizer->vocabulary_size();
    const at::Tensor patches =
        assembly.model->image->forward(at::zeros({kPictures, 3, kPracticeImageSize, kPracticeImageSize})).patches;
    const at::Tensor written = captioner->write(patches, 1, vocabulary - 1);
    if (written.sizes() != at::IntArrayRef({kPictures, kPracticeContext}) || written.scalar_type() != at::kLong)
      return failed(c10::str("it writes ", written.sizes(), " ", written.scalar_type(), ", not [B, T] int64"));
    if (written.min().item<int64_t>() < 0 || written.max().item<int64_t>() >= vocabulary)
      return failed(c10::str("it writes ids outside of [0, ", vocabulary, ")"));
    if (!written.select(1, 0).eq(1).all().item<bool>()) return failed("its captions do not begin with the start token");
    const at::Tensor each = captioner->log_likelihoods(patches, written);
    if (each.sizes() != at::IntArrayRef({kPictures, kPracticeContext - 1}))
      return failed(c10::str("its log-likelihoods are ", each.sizes(), ", not [B, T - 1]"));
    if (!at::isfinite(each).all().item<bool>() || each.max().item<double>() > 0)
      return failed("a log-likelihood is above 0 or not finite");
    return passed("", {{"vocabulary", vocabulary}});
  }

  Outcome health() {
    Trainer trainer(cell(), subject_.plugin);
    const std::vector<HealthCheck> checks = trainer.assembly().objective->health({.size = kPracticeBatch});
    if (checks.empty()) return not_applicable("it declares none");
    std::set<std::string> names;
    for (const HealthCheck& check : checks)
      if (const std::string fault = fault_of(check, names); !fault.empty())
        return failed("check \"" + check.name + "\": " + fault);
    std::set<std::string> metrics = {"loss", "gradient_norm", "duplicate_pictures", "duplicate_captions"};
    HealthMonitor monitor(checks, {});
    for (const int64_t step : steps_) {
      const StepFigures figures = trainer.run(step);
      for (const auto& [name, value] : figures.values) metrics.insert(name);
      const double fraction = trainer.progress(step).fraction;
      for (const HealthWarning& warning :
           monitor.observe(step + 1, fraction, trainer.progress(step + 1).fraction, figures))
        return failed("check \"" + warning.check + "\" warns of a healthy step: " + warning.message);
    }
    for (const HealthCheck& check : checks)
      if (!metrics.contains(check.metric))
        return failed("check \"" + check.name + "\" looks at \"" + check.metric + "\", which no step reports");
    return passed("", {{"checks", checks.size()}});
  }

  Outcome needs() {
    return check_needs(subject_.plugin, [&](uint32_t lacking) {
      Trainer trainer(cell(), subject_.plugin, lacking);
      for (const int64_t step : parts_) trainer.run(step);
    });
  }

  // Two ranks with half a batch each, against one with the whole.
  Outcome ranks() {
    constexpr double kTolerance = 1e-3;
    double greatest = 0;
    for (const int64_t step : parts_) {
      const StepOverRanks whole = step_over_ranks(1, step);
      if (whole.draws)
        return not_applicable("it draws from LibTorch's generator in step(), so that each rank draws for its part");
      if (step_over_ranks(1, step).loss != whole.loss) return not_applicable("its loss is not the same twice");
      const StepOverRanks halves = step_over_ranks(2, step);
      const double loss = std::abs(halves.loss - whole.loss) / std::max(std::abs(whole.loss), 1.0);
      const double gradient = (halves.gradient - whole.gradient).norm().item<double>() /
                              std::max(whole.gradient.norm().item<double>(), 1e-6);
      greatest = std::max({greatest, loss, gradient});
      if (loss <= kTolerance && gradient <= kTolerance) continue;
      return failed(
          c10::str(at(step), " with two ranks the loss is ", halves.loss, ", and with one ", whole.loss,
                   "; the gradients differ by ", 100 * gradient,
                   " % of their norm. step() compares pictures, or takes statistics, of its rank's part of the "
                   "batch alone: whole_batch() and the like of nn/ranks.h bring the others' (docs/ranks.md)"),
          {{"relative_difference", std::max(loss, gradient)}});
    }
    return passed("", {{"relative_difference", greatest}});
  }

  Outcome speed() {
    Trainer trainer(cell(), subject_.plugin);
    for (const int64_t step : steps_) trainer.run(step);
    double fastest = 1e300;
    int64_t flops = 0;
    for (int64_t i = 0; i < kStepsOfPart; ++i) {
      const FlopCounter counter;
      const Stopwatch watch;
      trainer.run(parts_.back() + i);
      fastest = std::min(fastest, watch.elapsed().seconds);
      flops = counter.total();
    }
    return passed(
        "", {{"milliseconds_per_step", 1e3 * fastest}, {"megaflops_per_step", 1e-6 * static_cast<double>(flops)}});
  }

 private:
  [[nodiscard]] ResolvedCell cell() const { return practice_cell(subject_.plugin, subject_.options); }

  // Of each part kStepsOfPart steps at its beginning, one in its middle and its last one: what is frozen or weighted
  // with 0 for a while is not for ever.
  void plan_steps(std::vector<double> milestones) {
    const int64_t total = *known_steps(cell());
    steps_.clear();
    parts_.clear();
    milestones.insert(milestones.begin(), 0);
    milestones.push_back(1);
    for (std::size_t i = 0; i + 1 < milestones.size(); ++i) {
      const int64_t begin = first_step_from(milestones[i], total), end = first_step_from(milestones[i + 1], total);
      std::set<int64_t> steps;
      for (int64_t k = 0; k < kStepsOfPart; ++k) steps.insert(begin + k);
      steps.insert({(begin + end) / 2, end - 1});
      std::erase_if(steps, [&](int64_t step) { return step < begin || step >= end; });
      if (!steps.empty()) parts_.push_back(begin);
      steps_.insert(steps_.end(), steps.begin(), steps.end());
    }
  }

  // The first step whose fraction of training is `fraction` or more.
  static int64_t first_step_from(double fraction, int64_t total) {
    auto step = static_cast<int64_t>(fraction * static_cast<double>(total));
    while (static_cast<double>(step) / static_cast<double>(total) < fraction) ++step;
    return step;
  }

  // "from step 300 of 1000 on: ", where there are several parts.
  [[nodiscard]] std::string at(int64_t step, const std::string& before = "") const {
    if (parts_.size() == 1) return before.empty() ? "" : ":";
    return before + "in the part from step " + std::to_string(step) + " of " + std::to_string(*known_steps(cell())) +
           (before.empty() ? ": " : ":");
  }

  // Of a declaration; empty if it is sound. `names`: those of the checks before.
  static std::string fault_of(const HealthCheck& check, std::set<std::string>& names) {
    if (check.name.empty() || !names.insert(check.name).second) return "a check needs a name that no other has";
    if (check.steps < 1) return "steps must be 1 or more";
    if (check.share < 0 || check.share > 1 || check.from < 0 || check.from >= 1)
      return "share must lie in [0, 1], and from in [0, 1)";
    if (!std::isfinite(check.value) || check.tolerance < 0) return "value must be finite, and tolerance 0 or more";
    if (check.message.empty()) return "it has no message that says what it means and what to do";
    return "";
  }

  Outcomes train() {
    Trainer trainer(cell(), subject_.plugin);
    Outcomes outcomes;
    for (const int64_t step : steps_) outcomes.losses.push_back(trainer.run(step).loss);
    outcomes.state = copy_of(trainer.state());
    return outcomes;
  }

  // As train(), with everything made anew, and the state from a checkpoint, before the step `split`.
  Outcomes train_resumed(std::size_t split) {
    const TemporaryFolder folder;
    const std::filesystem::path file = folder.path() / checkpoint_name(static_cast<int64_t>(split));
    Outcomes outcomes;
    {
      Trainer before(cell(), subject_.plugin);
      for (std::size_t i = 0; i < split; ++i) outcomes.losses.push_back(before.run(steps_[i]).loss);
      write_checkpoint(file, before.state(), {.step = static_cast<int64_t>(split)}, "check");
    }
    Trainer after(cell(), subject_.plugin);
    load_checkpoint(file, after.state(), "check");
    for (std::size_t i = split; i < steps_.size(); ++i) outcomes.losses.push_back(after.run(steps_[i]).loss);
    outcomes.state = copy_of(after.state());
    return outcomes;
  }

  [[nodiscard]] Outcome compare(const Outcomes& expected, const Outcomes& found, const std::string& when,
                                std::size_t split) const {
    const std::string resumed =
        split == 0 ? ""
                   : " (checkpoint after " + std::to_string(split) + " of " + std::to_string(steps_.size()) + " steps)";
    for (std::size_t i = 0; i < expected.losses.size(); ++i)
      if (expected.losses[i] != found.losses[i])
        return failed(c10::str("other results ", when, resumed, ": the loss of step ", i + 1, " is ",
                               expected.losses[i], " one time and ", found.losses[i],
                               " the other; what decides it is neither a parameter "
                               "nor a buffer, nor drawn from Progress::random() or LibTorch's generator"));
    if (const std::string name = first_difference(expected.state, found.state); !name.empty())
      return failed(c10::str("other results ", when, resumed, ": the losses agree, but not \"", name, "\""));
    return passed("", {{"steps", steps_.size()}, {"tensors", expected.state.size()}});
  }

  Outcome gradients_at(int64_t step) {
    Assembly assembly = practice_assembly(cell(), subject_.plugin);
    const BatchSource source = make_batch_source(cell(), assembly, *known_steps(cell()));
    Batch batch = source.batch(step);
    for (auto& [name, view] : batch.views) view = view.to(at::kDouble);
    to_double(*assembly.model);
    to_double(*assembly.objective);
    assembly.model->train();
    assembly.objective->train();
    const int64_t total = *known_steps(cell());
    const Progress progress{.step = step,
                            .fraction = static_cast<double>(step) / static_cast<double>(total),
                            .total_steps = total,
                            .seed = static_cast<uint64_t>(cell().seed)};
    DifferentiableProblem problem;
    problem.parameters = trainable_parameters(*assembly.model, *assembly.objective);
    // What step() changes (a centre, a queue) must not carry over from one evaluation to the next.
    NamedTensors buffers;
    for (const auto& [name, tensor] : module_state(*assembly.model, *assembly.objective))
      if (!tensor.requires_grad()) buffers.emplace(name, tensor);
    const NamedTensors start = copy_of(buffers);
    problem.value = [&] {
      {
        const torch::NoGradGuard no_grad;
        for (auto& [name, tensor] : buffers) tensor.copy_(start.at(name));
      }
      torch::manual_seed(static_cast<uint64_t>(step));
      at::Tensor sum;
      for (const LossTerm& term : assembly.objective->step(batch, progress).terms) {
        const at::Tensor weighted = term.value.to(at::kDouble).reshape({}) * term.weight;
        sum = sum.defined() ? sum + weighted : weighted;
      }
      if (!sum.defined()) throw Error("step() gave no loss term");
      return sum;
    };
    return check_gradients(problem);
  }

  struct StepOverRanks {
    double loss = 0;
    at::Tensor gradient;  // of all parameters, in fp64
    bool draws = false;   // from LibTorch's generator, in step()
  };

  // The step number `step` on its batch of all ranks, with fresh weights.
  [[nodiscard]] StepOverRanks step_over_ranks(int64_t size, int64_t step) const {
    const ResolvedCell cell = this->cell();
    // One after the other: all are to draw the same weights.
    std::vector<Assembly> assemblies;
    for (int64_t rank = 0; rank < size; ++rank) assemblies.push_back(practice_assembly(cell, subject_.plugin));
    std::vector<StepOverRanks> outcomes(static_cast<std::size_t>(size));
    as_ranks(size, [&](int64_t rank) {
      outcomes[static_cast<std::size_t>(rank)] = step_of(assemblies[static_cast<std::size_t>(rank)], cell, step);
    });
    StepOverRanks outcome = outcomes.front();
    outcome.loss = 0;
    for (const StepOverRanks& each : outcomes) outcome.loss += each.loss / static_cast<double>(size);
    return outcome;
  }

  static StepOverRanks step_of(const Assembly& assembly, const ResolvedCell& cell, int64_t step) {
    const int64_t total = *known_steps(cell);
    const Progress progress{.step = step,
                            .fraction = static_cast<double>(step) / static_cast<double>(total),
                            .total_steps = total,
                            .seed = static_cast<uint64_t>(cell.seed)};
    assembly.model->train();
    assembly.objective->train();
    const BatchSource source = make_batch_source(cell, assembly, total);
    const auto parameters = trainable_parameters(*assembly.model, *assembly.objective);
    GradientReducer reducer(parameters);
    const Batch batch = source.batch(step);
    const auto drawn = [] { return at::detail::getDefaultCPUGenerator().get_state(); };
    const at::Tensor before = drawn();
    at::Tensor loss;
    for (const LossTerm& term : assembly.objective->step(batch, progress).terms) {
      const at::Tensor weighted = term.value.to(at::kDouble).reshape({}) * term.weight;
      loss = loss.defined() ? loss + weighted : weighted;
    }
    if (!loss.defined()) throw Error("step() gave no loss term");
    StepOverRanks outcome{.loss = loss.item<double>(), .gradient = {}, .draws = !at::equal(before, drawn())};
    reducer.begin();
    loss.backward();
    reducer.finish();
    std::vector<at::Tensor> gradients;
    for (const NamedTensor& parameter : parameters) {
      const at::Tensor& gradient = parameter.value.grad();
      gradients.push_back((gradient.defined() ? gradient : at::zeros_like(parameter.value)).to(at::kDouble).flatten());
    }
    outcome.gradient = at::cat(gradients).detach();
    return outcome;
  }

  static void make_constant(Batch& batch, double value) {
    for (auto& [name, view] : batch.views) view.fill_(value);
    make_identical(batch);
  }

  // Every pair of the batch as its first one.
  static void make_identical(Batch& batch) {
    const auto repeat_first = [&](at::Tensor& rows) {
      for (const at::Tensor& view : rows.split(batch.size)) view.copy_(view.select(0, 0).clone().expand_as(view));
    };
    for (auto& [name, view] : batch.views) repeat_first(view);
    for (auto& [name, mask] : batch.masks) repeat_first(mask);
    const at::Tensor caption = batch.tokens[0].clone();
    batch.tokens.copy_(caption.expand_as(batch.tokens));
    batch.labels.fill_(batch.labels[0].item<int64_t>());
  }

  void enlarge(const Assembly& assembly) const {
    const torch::NoGradGuard no_grad;
    for (const NamedTensor& parameter : trainable_parameters(*assembly.model, *assembly.objective)) {
      if (parameter.value.dim() >= 2) parameter.value.detach().mul_(10);
      // Far beyond what CLIP allows (log 100); after_update() brings it back to the objective's own limit.
      if (parameter.name.ends_with("logit_scale")) parameter.value.detach().fill_(10);
    }
    assembly.objective->after_update({.step = parts_.back(), .fraction = 0.5});
  }

  const Subject& subject_;
  std::vector<int64_t> steps_;
  std::vector<int64_t> parts_;
};

}  // namespace

void check_objective(const Subject& subject, Report& report) {
  ObjectiveChecks checks(subject);
  const auto check = [&](const std::string& name, const std::string& rule, Outcome (ObjectiveChecks::*work)()) {
    report.check(name, rule, [&] { return checks.planned() ? (checks.*work)() : not_applicable("it does not run"); });
  };
  report.check("runs", "objective.h: milestones() are where the work of a step changes", [&] { return checks.runs(); });
  check("repeatable", "objective.h: random numbers come from Progress::random() and LibTorch's generator",
        &ObjectiveChecks::repeatable);
  check("resumable", "objective.h: \"It keeps no other state between steps\" than parameters and buffers",
        &ObjectiveChecks::resumable);
  check("gradients", "in double precision, against finite differences (core/engine/conformance/gradients.h)",
        &ObjectiveChecks::gradients);
  check("parameters", "objective.h: what requires a gradient is trained", &ObjectiveChecks::parameters);
  check("extremes", "loss, gradients and state stay finite", &ObjectiveChecks::extremes);
  check("small batches", "batches of 3 and 1, captions of 9 tokens", &ObjectiveChecks::small_batches);
  check("bf16", "objective.h: \"under autocast where the precision is bf16\"", &ObjectiveChecks::bf16);
  check("memory", "a step leaves nothing behind", &ObjectiveChecks::memory);
  check("teacher", "objective.h: teacher() is an image tower beside the trained one", &ObjectiveChecks::teacher);
  check("captioner", "captioner.h: shapes, ids and log-likelihoods", &ObjectiveChecks::captioner);
  check("health", "health.h: checks of metrics that the steps report, none of which warns of a healthy step",
        &ObjectiveChecks::health);
  check("needs", "plugin.h: needs() and may_need() say what it wants of data and model", &ObjectiveChecks::needs);
  check("ranks", "ranks.h: \"N ranks give the loss and the gradients that one process gives with the whole batch\"",
        &ObjectiveChecks::ranks);
  check("speed", "reported, not judged", &ObjectiveChecks::speed);
}

}  // namespace silc::conformance
