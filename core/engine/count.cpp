#include "engine/count.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/batches.h"
#include "engine/failure.h"
#include "engine/flop_counter.h"
#include "engine/learning_rate.h"
#include "engine/parameters.h"
#include "engine/shapes_only.h"
#include "engine/training_parts.h"
#include "engine/training_step.h"
#include "nn/ranks.h"
#include "plugin/loader.h"

namespace silc {
namespace {

// Rank 0 of several of which there is no other: operations have the shapes of their results, and are written down.
class ImaginaryRanks : public Ranks {
 public:
  struct Transfer {
    int64_t after = 0;      // FLOPs of this rank's in the update
    int64_t bytes = 0;      // that this rank sends
    int64_t latencies = 0;  // of a message, one after the other: of a tree over all ranks, or to a neighbour
    bool beside = false;    // the computation, which goes on until the update's gradients are wanted
  };

  explicit ImaginaryRanks(int64_t size)
      : Ranks(0, size), depth_(std::bit_width(static_cast<uint64_t>(std::max<int64_t>(size, 1) - 1))) {}

  // From now on, of an update that `flops` counts.
  void begin(std::function<int64_t()> flops) {
    flops_ = std::move(flops);
    transfers_.clear();
    noted_ = bytes_sent();
  }
  [[nodiscard]] const std::vector<Transfer>& transfers() const { return transfers_; }

 private:
  void note(int64_t latencies, bool beside = false) const {
    const int64_t bytes = bytes_sent() - std::exchange(noted_, bytes_sent());
    if (flops_) transfers_.push_back({flops_(), bytes, latencies, beside});
  }

  at::Tensor do_sum(const at::Tensor& x) const override { return taken(x.clone()); }
  at::Tensor do_max(const at::Tensor& x) const override { return taken(x.clone()); }
  at::Tensor do_pass(const at::Tensor& x) const override {
    note(1);
    return x.clone();
  }
  at::Tensor do_gather(const at::Tensor& rows) const override {
    std::vector<int64_t> times(static_cast<std::size_t>(rows.dim()), 1);
    times.front() = size();
    return taken(rows.repeat(times));
  }
  at::Tensor do_scatter_sum(const at::Tensor& rows) const override {
    return taken(rows.narrow(0, 0, rows.size(0) / size()).clone());
  }
  void do_broadcast(at::Tensor& /*x*/) const override { note(depth_); }

  at::Tensor taken(at::Tensor result) const {
    note(depth_);
    return result;
  }

  class Imagined : public Pending {
   public:
    void wait() override {}
  };
  std::unique_ptr<Pending> do_begin_sum(at::Tensor& /*x*/) const override {
    note(depth_, true);
    return std::make_unique<Imagined>();
  }

  int64_t depth_;  // of a binary tree
  std::function<int64_t()> flops_;
  mutable std::vector<Transfer> transfers_;
  mutable int64_t noted_ = 0;
};

int64_t bytes_of(const std::vector<at::Tensor>& tensors) {
  int64_t bytes = 0;
  for (const at::Tensor& tensor : tensors) bytes += static_cast<int64_t>(tensor.nbytes());
  return bytes;
}

// What a rank has in memory for the whole of training, in bytes.
struct State {
  int64_t trained = 0;  // weights that have a gradient
  int64_t kept = 0;     // teachers, frozen towers and buffers
  int64_t checkpoint = 0;
};

State state_of(const Assembly& assembly, const TrainingStep& step) {
  State state;
  std::vector<at::Tensor> trained, all;
  for (const NamedTensor& parameter : trainable_parameters(*assembly.model, *assembly.objective))
    trained.push_back(parameter.value);
  for (const auto& [name, value] : module_state(*assembly.model, *assembly.objective)) all.push_back(value);
  state.trained = bytes_of(trained);
  state.kept = bytes_of(all) - state.trained;
  for (const auto& [name, value] : step.state()) state.checkpoint += static_cast<int64_t>(value.nbytes());
  return state;
}

// An encoding of a caption for each row, in turn those of the first samples.
at::Tensor captions_of_batch(const ResolvedCell& cell, const Assembly& assembly, int64_t rows) {
  constexpr int64_t kMostSamples = 64;
  const int64_t T = cell.text.context_length;
  std::vector<std::vector<int64_t>> ids;
  const int64_t samples = std::min({kMostSamples, rows, assembly.dataset->size()});
  for (int64_t i = 0; i < samples; ++i) {
    const auto captions =
        in_plugin(PluginKind::dataset, cell.train.dataset.name, [&] { return assembly.dataset->captions(i); });
    ids.push_back(in_plugin(PluginKind::tokenizer, cell.text.tokenizer.name, [&] {
      return assembly.tokenizer->encode(captions.empty() ? "a text" : captions.front(), T);
    }));
  }
  const at::Tensor tokens = at::empty({rows, T}, at::kLong);
  auto* row = tokens.mutable_data_ptr<int64_t>();
  for (int64_t i = 0; i < rows; ++i) {
    const auto& own = ids[static_cast<std::size_t>(i % samples)];
    row = std::copy_n(own.begin(), T, row);
  }
  return tokens;
}

struct Counted {
  int64_t flops = 0;  // of this rank in an update
  int64_t peak = 0;   // bytes
  int64_t input = 0;  // bytes of a batch on the device
  std::vector<ImaginaryRanks::Transfer> transfers;
};

Counted count_update(const TrainingPart& part, const ResolvedCell& cell, const Assembly& assembly, TrainingStep& step,
                     ImaginaryRanks& others, int64_t number) {
  const Progress progress = progress_in(part, cell, number);
  const int64_t size = cell.optimizer.batch / others.size();
  Counted counted;
  Progress now = progress;
  restart_shape_peak();
  const FlopCounter flops;
  others.begin([&] { return flops.total(); });
  step.update(
      [&] {
        const int64_t before = shape_memory();
        Batch batch = to_device(shape_batch(cell, assembly, size, now), assembly.device);
        ++now.micro_batch;
        counted.input = shape_memory() - before;
        return batch;
      },
      progress, learning_rate(cell.optimizer, progress.fraction, 0));
  // What ranks tell each other after an update (engine/rank_report.h) is short: one message of fixed length.
  (void)others.gather_text("");
  counted.flops = flops.total();
  counted.transfers = others.transfers();
  others.begin(nullptr);
  counted.peak = shape_peak();
  return counted;
}

nlohmann::json to_json(const std::vector<ImaginaryRanks::Transfer>& transfers) {
  auto json = nlohmann::json::array();
  for (const auto& each : transfers)
    json.push_back(
        {{"after", each.after}, {"bytes", each.bytes}, {"latencies", each.latencies}, {"beside", each.beside}});
  return json;
}

}  // namespace

Batch shape_batch(const ResolvedCell& cell, const Assembly& assembly, int64_t size, const Progress& progress) {
  Batch batch;
  batch.size = size;
  const auto in_objective = [&](auto&& work) { return in_plugin(PluginKind::objective, cell.objective.name, work); };
  for (const ViewSpec& view : in_objective([&] { return assembly.objective->views(); })) {
    if (progress.fraction < view.from && progress.total_steps > 0) continue;
    const int64_t side = view.size == 0 ? cell.image.image_size : view.size, rows = view.count * size;
    const at::TensorOptions shape(at::kMeta);
    batch.views.emplace(view.name, at::empty({rows, 3, side, side}, shape.dtype(at::kFloat)));
    if (view.masks) batch.masks.emplace(view.name, at::empty({rows, side, side}, shape.dtype(at::kByte)));
  }
  batch.tokens = captions_of_batch(cell, assembly, size * in_objective([&] { return assembly.objective->captions(); }));
  batch.labels = at::zeros({size}, at::kLong);
  for (int64_t i = 0; i < size; ++i) batch.samples.push_back(i % assembly.dataset->size());
  in_objective([&] { assembly.objective->prepare(batch, progress); });
  return batch;
}

nlohmann::json count(const CountRequest& request) {
  const Catalogue catalogue = Catalogue::scan(plugin_folders(request.plugin_path));
  const ResolvedCell cell = read_cell(request.cell, catalogue);
  if (cell.budget.unit == BudgetUnit::core_seconds)
    throw Error(
        "the budget is in core-seconds, which only the machine itself can tell; plan with budget.examples or "
        "budget.flops");
  const int64_t N = cell.engine.ranks;
  prepare_torch(1, at::kCPU);
  const ShapesOnly shapes;
  ImaginaryRanks others(N);
  const RanksScope scope(others);
  const Assembly assembly = assemble_on(at::kMeta, cell, catalogue);
  TrainingStep step(assembly, cell);
  const State state = state_of(assembly, step);
  const int64_t at_rest = shape_memory();

  double total_steps = 0, total_flops = 0;
  Counted most;
  auto described = nlohmann::json::array();
  int64_t number = 0;
  if (!is_evaluated_only(cell))
    for (const TrainingPart& part : parts_between(assembly.objective->milestones())) {
      const Counted counted = [&] {
        try {
          return count_update(part, cell, assembly, step, others, number++);
        } catch (const PluginFailure& failure) {
          throw Error(std::string(failure.what()) +
                      "; it was counted with shapes alone, where nothing can depend on values: without --device, silc "
                      "plan measures it");
        }
      }();
      const double flops = static_cast<double>(N) * static_cast<double>(counted.flops);
      const double steps = steps_in(part, cell, flops, 0);
      total_steps += steps;
      total_flops += steps * flops;
      most.peak = std::max(most.peak, counted.peak);
      most.input = std::max(most.input, counted.input);
      described.push_back({{"from", part.from},
                           {"to", part.to},
                           {"steps", steps},
                           {"flops_per_step", flops},
                           {"rank_flops", counted.flops},
                           {"input_bytes", counted.input},
                           {"transfers", to_json(counted.transfers)}});
    }
  const int64_t moments = 2 * state.trained, buckets = N > 1 ? state.trained : 0;
  const int64_t known = state.trained * 2 + state.kept + moments + buckets;
  const int64_t peak = std::max(most.peak, at_rest + state.trained);
  return {{"parameters", parameter_count(*assembly.model)},
          {"trained_parameters", state.trained / static_cast<int64_t>(sizeof(float))},
          {"total_steps", std::llround(std::ceil(total_steps - 1e-6))},
          {"total_flops", total_flops},
          {"precision", cell.engine.precision},
          {"parts", described},
          {"memory",
           {{"weights", state.trained},
            {"kept", state.kept},
            {"gradients", state.trained},
            {"optimizer", moments},
            {"buckets", buckets},
            {"activations", std::max<int64_t>(peak - known, 0)},
            {"peak", peak}}},
          {"checkpoint_bytes", state.checkpoint}};
}

}  // namespace silc
