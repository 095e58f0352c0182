#include "engine/assembly.h"

#include <torch/cuda.h>

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "engine/channels_last.h"
#include "engine/failure.h"
#include "engine/mixture.h"
#include "engine/process_ranks.h"
#include "engine/shapes_only.h"
#include "engine/start.h"
#include "engine/unreadable.h"
#include "nn/ranks.h"
#include "nn/recompute.h"
#include "nn/transformer.h"
#include "plugin/loader.h"

namespace silc {
namespace {

// The plugin that a cell names, given to `make`; whatever goes wrong there is the plugin's fault.
template <class Make>
auto with_plugin(const Catalogue& catalogue, const PluginChoice& choice, Make make) {
  const PluginInfo& plugin = catalogue.require(choice.kind, choice.name);
  return in_plugin(choice.kind, choice.name, [&] { return make(plugin); });
}

// Applies the settings that trade time for memory.
template <class Tower>
std::shared_ptr<Tower> spare_memory(std::shared_ptr<Tower> tower, const PluginChoice& backbone,
                                    const EngineSettings& engine) {
  const auto batch_norm = find_batch_norm(*tower);
  if (engine.chunk > 0 && batch_norm)
    throw Error(std::string(kind_name(backbone.kind)) + " \"" + backbone.name + "\" normalises over the batch (its " +
                *batch_norm + "), so that computing it in chunks would change the results; set engine.chunk to 0 or " +
                "choose a backbone without batch norm");
  tower->set_chunk(engine.chunk);
  if (engine.recompute == "blocks") recompute_blocks(*tower);
  return tower;
}

// Throws silc::Error for a tokenizer from whose rows no decoder can learn to write captions.
void check_captions(const ResolvedCell& cell, const Tokenizer& tokenizer) {
  const bool no_start = tokenizer.start_id() == Tokenizer::kNoStart;
  if (!no_start && tokenizer.padding_id() != tokenizer.end_id()) return;
  throw Error("objective \"" + cell.objective.name + "\" learns to write captions, but tokenizer \"" +
              cell.text.tokenizer.name + "\" " +
              (no_start ? "begins no row with a start token (sentencepiece: start = true)"
                        : "pads with the end token (sentencepiece: padding = \"model\")"));
}

}  // namespace

void place(torch::nn::Module& module, const at::Device& device) {
  if (device.is_meta()) {
    forget_values(module);
    return;
  }
  module.to(device);
  if (device.is_cuda()) lay_out_channels_last(module);
}

namespace {

// Ranks on one machine take a GPU each, where whoever started them does not show each its own alone.
int own_gpu() {
  const auto environment = rank_environment();
  const auto found = static_cast<int64_t>(torch::cuda::device_count());
  const bool one_shown = found == 1 && std::getenv("CUDA_VISIBLE_DEVICES") != nullptr;
  if (!environment || one_shown) return 0;
  if (environment->local_rank >= found)
    throw Error("rank " + std::to_string(environment->rank) + " is number " + std::to_string(environment->local_rank) +
                " on its machine (LOCAL_RANK), which has " + std::to_string(found) +
                " GPU(s), one for a rank each; use fewer ranks or engine.device = \"cpu\"");
  return static_cast<int>(environment->local_rank);
}

}  // namespace

at::Device parse_device(const std::string& name) {
  if (name == "auto")
    return torch::cuda::is_available() ? at::Device(at::kCUDA, static_cast<at::DeviceIndex>(own_gpu()))
                                       : at::Device(at::kCPU);
  if (name == "cpu") return at::kCPU;
  if (name != "cuda" && name.rfind("cuda:", 0) != 0)
    throw Error("engine.device is \"" + name + "\"; use \"auto\", \"cpu\", \"cuda\" or \"cuda:N\"");
  const at::Device device =
      name == "cuda" ? at::Device(at::kCUDA, static_cast<at::DeviceIndex>(own_gpu())) : at::Device(name);
  if (!torch::cuda::is_available() || device.index() >= static_cast<int>(torch::cuda::device_count()))
    throw Error("engine.device is \"" + name + "\", but LibTorch finds " +
                (torch::cuda::is_available() ? std::to_string(torch::cuda::device_count()) : std::string("no")) +
                " CUDA device(s); use \"cpu\" or \"auto\"");
  return device;
}

void prepare_torch(int64_t threads, const at::Device& device) {
  if (threads > 0) at::set_num_threads(static_cast<int>(threads));
  at::set_num_interop_threads(1);
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  at::globalContext().setDeterministicFillUninitializedMemory(false);
  if (device.is_cuda()) {
    setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", 0);
    at::globalContext().setBenchmarkCuDNN(false);
    at::globalContext().setDeterministicCuDNN(true);
    // fp32 is fp32: TF32's ten bits of mantissa would make a row's values those of another precision.
    at::globalContext().setAllowTF32CuBLAS(false);
    at::globalContext().setAllowTF32CuDNN(false);
  }
}

std::shared_ptr<Dataset> load_dataset(const DataSource& source, const Catalogue& catalogue) {
  if (!source.parts.empty()) {
    std::vector<Mixture::Part> parts;
    for (std::size_t i = 0; i < source.parts.size(); ++i)
      parts.push_back({load_dataset(source.parts[i], catalogue), source.parts[i].dataset.name, source.weights[i]});
    return std::make_shared<Mixture>(std::move(parts));
  }
  const char* directory = std::getenv("SILC_DATA");
  const DatasetContext context{
      .options = source.dataset.options, .split = source.split, .directory = directory == nullptr ? "" : directory};
  auto dataset =
      with_plugin(catalogue, source.dataset, [&](const PluginInfo& plugin) { return make_dataset(plugin, context); });
  const auto fingerprint = [&] {
    return in_plugin(PluginKind::dataset, source.dataset.name, [&] { return dataset->fingerprint(); });
  };
  if (source.fingerprint.empty()) return dataset;
  if (const std::string found = fingerprint(); found != source.fingerprint) {
    const std::string which = "the data of dataset \"" + source.dataset.name + "\", split \"" + source.split + "\", ";
    if (ranks().alone()) throw Error(which + "have changed since this cell was planned; silc run plans it anew");
    throw Error(which + "are not those that the cell was planned with: their fingerprint is " + found + " on rank " +
                std::to_string(ranks().rank()) + ", and " + source.fingerprint +
                " in cell.toml; all ranks must see the same data");
  }
  return dataset;
}

std::shared_ptr<Tokenizer> load_tokenizer(const PluginChoice& choice, const Catalogue& catalogue,
                                          const DataSource& source, const std::shared_ptr<Dataset>& dataset) {
  if (!dataset) {
    const TokenizerContext nothing{.options = choice.options, .caption_count = 0, .caption = {}};
    return with_plugin(catalogue, choice, [&](const PluginInfo& plugin) {
      if (plugin.learns_from_captions)
        throw Error(
            "its vocabulary is learnt from the captions of training, and there are none; choose the tokenizer "
            "that the weights were trained with");
      return make_tokenizer(plugin, nothing);
    });
  }
  // Captions are numbered sample by sample, then by their place in the sample; the first sample says how many there
  // are.
  const int64_t samples = dataset->size();
  if (samples < 1)
    throw Error("dataset \"" + source.dataset.name + "\" has no samples in the split that is trained on");
  const auto per_sample = std::max<int64_t>(1, static_cast<int64_t>(dataset->captions(0).size()));
  TokenizerContext context{.options = choice.options, .caption_count = samples * per_sample, .caption = {}};
  context.caption = [&source, dataset, samples](int64_t index) {
    return in_plugin(PluginKind::dataset, source.dataset.name, [&]() -> std::string {
      std::vector<std::string> captions;
      try {
        captions = dataset->captions(index % samples);
      } catch (const Error&) {
        if (!may_skip(source)) throw;
      }
      if (captions.empty() && may_skip(source)) return "";
      return captions.at(static_cast<size_t>(index / samples) % std::max<size_t>(captions.size(), 1));
    });
  };
  return with_plugin(catalogue, choice, [&](const PluginInfo& plugin) { return make_tokenizer(plugin, context); });
}

std::shared_ptr<ImageTower> build_image_tower(const ResolvedCell& cell, const Catalogue& catalogue) {
  const PluginChoice& choice = cell.image.backbone;
  const ImageBackboneContext context{.options = choice.options, .image_size = cell.image.image_size};
  auto backbone =
      with_plugin(catalogue, choice, [&](const PluginInfo& plugin) { return make_image_backbone(plugin, context); });
  return spare_memory(std::make_shared<ImageTower>(std::move(backbone), cell.embed_dim, cell.image.projection_bias),
                      choice, cell.engine);
}

std::shared_ptr<TextTower> build_text_tower(const ResolvedCell& cell, const Catalogue& catalogue,
                                            const Tokenizer& tokenizer) {
  const PluginChoice& choice = cell.text.backbone;
  const TextBackboneContext context{.options = choice.options,
                                    .vocabulary_size = tokenizer.vocabulary_size(),
                                    .context_length = cell.text.context_length,
                                    .padding_id = tokenizer.padding_id(),
                                    .end_id = tokenizer.end_id()};
  auto backbone =
      with_plugin(catalogue, choice, [&](const PluginInfo& plugin) { return make_text_backbone(plugin, context); });
  return spare_memory(std::make_shared<TextTower>(std::move(backbone), cell.embed_dim, cell.text.projection_bias),
                      choice, cell.engine);
}

void check_weights(const ResolvedCell& cell, const Objective& objective) {
  for (const std::string& weights : cell.weights)
    if (weights == "teacher" && objective.teacher() == nullptr)
      throw Error("row \"" + cell.row + "\" evaluates the weights \"teacher\", but the objective \"" +
                  cell.objective.name +
                  "\" keeps no teacher with these options; take \"teacher\" out of the row's weights or choose options "
                  "with a teacher");
}

std::shared_ptr<Objective> build_objective(const ResolvedCell& cell, const Catalogue& catalogue,
                                           const Assembly& assembly) {
  const ObjectiveContext context{.options = cell.objective.options,
                                 .model = assembly.model,
                                 .make_image_tower =
                                     [&] {
                                       auto tower = build_image_tower(cell, catalogue);
                                       place(*tower, assembly.device);
                                       return tower;
                                     },
                                 .image_size = cell.image.image_size,
                                 .context_length = cell.text.context_length,
                                 .vocabulary_size = assembly.tokenizer->vocabulary_size(),
                                 .padding_id = assembly.tokenizer->padding_id()};
  auto objective =
      with_plugin(catalogue, cell.objective, [&](const PluginInfo& plugin) { return make_objective(plugin, context); });
  place(*objective, assembly.device);
  if (objective->captioner()) check_captions(cell, *assembly.tokenizer);
  return objective;
}

Assembly assemble(const ResolvedCell& cell, const Catalogue& catalogue, const StartWeights* start) {
  return assemble_on(parse_device(cell.engine.device), cell, catalogue, start);
}

Assembly assemble_on(const at::Device& device, const ResolvedCell& cell, const Catalogue& catalogue,
                     const StartWeights* start) {
  // Where warnings were enough, attention would take kernels on a GPU that are faster and not deterministic.
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/!cell.engine.deterministic);
  std::optional<ShapesOnly::Building> without_values;
  if (device.is_meta()) without_values.emplace();
  Assembly assembly;
  assembly.device = device;
  if (is_there(cell.train)) assembly.dataset = load_dataset(cell.train, catalogue);
  // A later phase reads words as the first one learnt them.
  const DataSource& captions = captions_of(cell);
  const bool own = !is_there(captions) || &captions == &cell.train;
  assembly.tokenizer = load_tokenizer(cell.text.tokenizer, catalogue, captions,
                                      own ? assembly.dataset : load_dataset(captions, catalogue));

  torch::manual_seed(static_cast<uint64_t>(cell.seed));
  assembly.model = std::make_shared<DualEncoder>(build_image_tower(cell, catalogue),
                                                 build_text_tower(cell, catalogue, *assembly.tokenizer));
  place(*assembly.model, assembly.device);
  if (start != nullptr) start_model(*start, *assembly.model);
  assembly.objective = build_objective(cell, catalogue, assembly);
  if (start != nullptr) start_objective(*start, *assembly.model, *assembly.objective);
  check_weights(cell, *assembly.objective);
  return assembly;
}

}  // namespace silc
