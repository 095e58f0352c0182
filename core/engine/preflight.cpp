#include "engine/preflight.h"

#include <ATen/ATen.h>
#include <c10/util/StringUtil.h>
#include <torch/utils.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <typeinfo>
#include <utility>

#include "engine/assembly.h"
#include "engine/evaluation.h"
#include "engine/excerpt.h"
#include "engine/failure.h"
#include "engine/measure.h"
#include "engine/needs.h"
#include "engine/parameters.h"
#include "engine/shapes_only.h"
#include "engine/start.h"
#include "engine/unreadable.h"
#include "plugin/loader.h"
#include "plugin/option_values.h"

namespace silc {
namespace {

using Json = nlohmann::json;

// Samples that an evaluation is tried on, and a batch that a step is tried with: more of them where it fails with few,
// before that is called a fault.
constexpr std::array<int64_t, 3> kSampleCounts = {4, 64, 512};
constexpr std::array<int64_t, 2> kBatches = {2, 64};

struct Candidate {
  ResolvedCell cell;
  RunFolder folder;
};

// Where a fault belongs: a key of a cell's settings, as in "evaluate.0.dataset".
struct Use {
  std::size_t cell = 0;
  std::string key;
};

std::string key_of(PluginKind kind) {
  switch (kind) {
    case PluginKind::objective:
      return "objective";
    case PluginKind::image_backbone:
      return "model.image";
    case PluginKind::text_backbone:
      return "model.text";
    case PluginKind::tokenizer:
      return "model.text.tokenizer";
    case PluginKind::dataset:
      return "data.train";
    case PluginKind::evaluator:
      return "evaluate";
  }
  return "";
}

std::string item_of(const Evaluation& evaluation) {
  return "evaluation " + Json{{"evaluator", evaluation.evaluator.name},
                              {"options", options_to_json(evaluation.evaluator.options)},
                              {"data", source_item(evaluation.data)}}
                             .dump();
}

std::string item_of(std::size_t cell) { return c10::str("cell ", cell); }

std::string title_of(const DataSource& source) {
  return plugin_title(PluginKind::dataset, source.dataset.name) + ", split \"" + source.split + "\"";
}

// Which of the needs that concern data a dataset can satisfy, as a set.
uint32_t offered_by(const Dataset& dataset, bool skip) {
  const auto bit = [](Need need, bool there) { return there ? 1u << static_cast<uint32_t>(need) : 0u; };
  uint32_t offered = bit(Need::classes, !dataset.classes().empty());
  constexpr int64_t kLooks = 3;
  const int64_t size = dataset.size();
  for (int64_t k = 0; k < std::min(kLooks, size); ++k) {
    Sample sample;
    try {
      sample = read_decoded(dataset, spread(k, kLooks, size));
    } catch (const Error&) {
      if (!skip) throw;
      continue;
    }
    if (sample.image.width < 1 || sample.image.height < 1 ||
        static_cast<int64_t>(sample.image.rgb.size()) != sample.image.width * sample.image.height * 3)
      throw Error(c10::str("picture ", spread(k, kLooks, size), " has ", sample.image.rgb.size(), " bytes and is ",
                           sample.image.width, " × ", sample.image.height, " pixels large"));
    offered |= bit(Need::labels, sample.label != kNoLabel) | bit(Need::masks, !sample.mask.empty()) |
               bit(Need::boxes, !sample.boxes.empty()) | bit(Need::several_captions, sample.captions.size() > 1);
  }
  return offered;
}

constexpr uint32_t kNeedsOfData =
    detail::need_bits(Need::classes, Need::labels, Need::masks, Need::boxes, Need::several_captions);

struct OpenSource {
  std::shared_ptr<Dataset> dataset;  // null: cannot be used
  uint32_t offered = 0;
};

// What a plugin needs of the data and does not find there; empty: nothing.
std::string missing_data(const PluginInfo& plugin, const DataSource& source, uint32_t offered) {
  std::string missing;
  for (const Need need : needs_in(plugin.needs.needed & kNeedsOfData & ~offered))
    missing += (missing.empty() ? "" : " and ") + std::string(need_name(need));
  if (missing.empty()) return "";
  return c10::str(plugin_title(plugin.kind, plugin.name), " needs ", missing, ", which ", title_of(source),
                  ", does not have; ", plugin.kind == PluginKind::evaluator ? "evaluate" : "train",
                  " on data that have them, or leave it out");
}

class Preflight {
 public:
  using Emit = std::function<void(const Json& line)>;

  Preflight(std::vector<Candidate> candidates, std::set<std::string> skip, const Catalogue& catalogue, const Emit& emit)
      : candidates_(std::move(candidates)), skip_(std::move(skip)), catalogue_(catalogue), emit_(emit) {}

  void run() {
    check_sources();
    check_evaluations();
    for (std::size_t i = 0; i < candidates_.size(); ++i)
      if (!skip_.contains(item_of(i))) check_cell(i);
  }

 private:
  // Says what is looked at next, so that whoever reads knows what a silence or an end is about.
  void begin(const std::string& item, const std::string& title, const std::vector<Use>& uses) {
    Json list = Json::array();
    for (const Use& use : uses) list.push_back({{"cell", use.cell}, {"key", use.key}});
    emit_({{"begin", item}, {"title", title}, {"uses", list}});
  }

  // Of the cell that was begun last, in a key of its own.
  void enter(const PluginChoice& plugin) {
    emit_({{"in", plugin_title(plugin.kind, plugin.name)}, {"key", key_of(plugin.kind)}});
  }

  // `key`: empty for that with which the item was begun.
  void fault(const std::string& message, const std::string& key = "") { emit_({{"fault", message}, {"key", key}}); }

  // Runs `work`; its failure is a fault of `key`, or of the plugin that fails, if that is another one. False if it
  // failed.
  template <class Work>
  bool attempt(const std::string& key, Work&& work) {
    try {
      work();
      return true;
    } catch (const PluginFailure& failure) {
      const bool elsewhere = !key.empty() && failure.kind() != PluginKind::evaluator && key.find("evaluate") != 0;
      fault(failure.what(), elsewhere ? key_of(failure.kind()) : key);
    } catch (const std::exception& error) {
      fault(one_line(error), key);
    }
    return false;
  }

  void check_sources() {
    std::map<std::string, std::pair<const DataSource*, std::vector<Use>>> sources;
    std::vector<std::string> order;
    const auto add = [&](const DataSource& source, std::size_t cell, const std::string& key) {
      const auto [entry, fresh] = sources.try_emplace(source_item(source), &source, std::vector<Use>{});
      if (fresh) order.push_back(entry->first);
      entry->second.second.push_back({cell, key});
    };
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      const ResolvedCell& cell = candidates_[i].cell;
      for (const DataSource* source : {&cell.train, &cell.start.captions})
        if (is_there(*source)) add(*source, i, "data.train");
      for (std::size_t e = 0; e < cell.evaluations.size(); ++e)
        add(cell.evaluations[e].data, i, c10::str("evaluate.", e, ".dataset"));
    }
    for (const std::string& item : order) {
      const auto& [source, uses] = sources.at(item);
      OpenSource& open = sources_[item];
      if (skip_.contains(item)) continue;
      begin(item, title_of(*source), uses);
      attempt("", [&] { open = open_source(*source); });
    }
  }

  OpenSource open_source(DataSource source) {
    source.fingerprint.clear();  // compared when the cell starts
    for (DataSource& part : source.parts) part.fingerprint.clear();
    OpenSource open;
    const auto dataset = load_dataset(source, catalogue_);
    in_plugin(PluginKind::dataset, source.dataset.name, [&] {
      if (dataset->size() < 1) throw Error("there are no samples in the split \"" + source.split + "\"");
      open.offered = offered_by(*dataset, may_skip(source));
    });
    open.dataset = dataset;
    return open;
  }

  // What can be said of an evaluation whatever the model.
  void check_evaluations() {
    std::map<std::string, std::pair<const Evaluation*, std::vector<Use>>> evaluations;
    for (std::size_t i = 0; i < candidates_.size(); ++i)
      for (std::size_t e = 0; e < candidates_[i].cell.evaluations.size(); ++e) {
        const Evaluation& evaluation = candidates_[i].cell.evaluations[e];
        const auto entry = evaluations.try_emplace(item_of(evaluation), &evaluation, std::vector<Use>{}).first;
        entry->second.second.push_back({i, c10::str("evaluate.", e)});
      }
    for (const auto& [item, what] : evaluations) {
      const auto& [evaluation, uses] = what;
      if (skip_.contains(item)) continue;
      const PluginInfo& plugin = catalogue_.require(PluginKind::evaluator, evaluation->evaluator.name);
      begin(item, plugin_title(plugin.kind, plugin.name), uses);
      const OpenSource& source = sources_.at(source_item(evaluation->data));
      const std::string missing =
          source.dataset ? missing_data(plugin, evaluation->data, source.offered) : std::string();
      if (!missing.empty()) fault(missing);
      if (!missing.empty() || !source.dataset) skip_.insert(item);
    }
  }

  void check_cell(std::size_t index) {
    const ResolvedCell& cell = candidates_[index].cell;
    begin(item_of(index), "row \"" + cell.row + "\"", {{index, ""}});
    if (sound_by_its_shapes(index)) return;
    Assembly assembly;
    std::optional<at::Device> device;
    if (!attempt("engine.device", [&] { device = parse_device(cell.engine.device); })) return;
    assembly.device = *device;
    if (build(candidates_[index], assembly)) try_out(index, assembly);
  }

  // Steps of a large model take long here. It is looked at with shapes alone where all its plugins are silc's own,
  // which can be computed so; what does not get through is tried for real, and its faults are told then.
  bool sound_by_its_shapes(std::size_t index) {
    constexpr int64_t kLarge = 50'000'000;  // parameters
    const Candidate& candidate = candidates_[index];
    if (has_checkpoint(candidate) || !uses_own_plugins(candidate.cell)) return false;
    const std::string model = model_of(candidate.cell).dump();
    if (small_.contains(model)) return false;
    const auto skipped = skip_;
    const auto evaluated = evaluated_;
    bool sound = false, faultless = true;
    std::vector<Json> found;
    const Emit emit = std::exchange(emit_, [&](const Json& line) {
      if (line.contains("fault")) faultless = false;
      if (line.contains("gives") || line.contains("not_applicable")) found.push_back(line);
    });
    const auto is_large = [&](const Assembly& assembly) {
      const bool large = parameter_count(*assembly.model) >= kLarge;
      if (!large) small_.insert(model);
      return large;
    };
    {
      const ShapesOnly shapes;
      Assembly assembly;
      assembly.device = at::kMeta;
      {
        const ShapesOnly::Building building;
        sound = build(candidate, assembly) && is_large(assembly);
      }
      if (sound) try_out(index, assembly);
    }
    emit_ = emit;
    if (sound && faultless) {
      for (const Json& line : found) emit_(line);
      return true;
    }
    skip_ = skipped;
    evaluated_ = evaluated;
    return false;
  }

  [[nodiscard]] bool uses_own_plugins(const ResolvedCell& cell) const {
    const auto folders = plugin_folders({});  // the last are those beside the program
    std::vector<PluginChoice> choices = {cell.objective, cell.image.backbone, cell.text.backbone, cell.text.tokenizer};
    for (const Evaluation& evaluation : cell.evaluations) choices.push_back(evaluation.evaluator);
    return std::ranges::all_of(choices, [&](const PluginChoice& choice) {
      const PluginInfo* plugin = catalogue_.find(choice.kind, choice.name);
      return plugin != nullptr && !folders.empty() && plugin->library.parent_path() == folders.back();
    });
  }

  void try_out(std::size_t index, const Assembly& assembly) {
    const ResolvedCell& cell = candidates_[index].cell;
    bool sound = attempt("evaluation.weights", [&] { check_weights(cell, *assembly.objective); });
    if (!is_evaluated_only(cell)) sound = check_views(cell, assembly) && try_training(cell, assembly) && sound;
    if (!sound) return;
    for (std::size_t e = 0; e < cell.evaluations.size(); ++e) check_evaluation(index, e, assembly);
  }

  // As assemble() does it, part by part, so that faults of several parts are found together.
  bool build(const Candidate& candidate, Assembly& assembly) {
    const ResolvedCell& cell = candidate.cell;
    const DataSource& captions = captions_of(cell);
    const auto opened = [&](const DataSource& source) {
      return is_there(source) ? sources_.at(source_item(source)) : OpenSource{};
    };
    const OpenSource train = opened(cell.train), words = opened(captions);
    if ((is_there(cell.train) && !train.dataset) || (is_there(captions) && !words.dataset))
      return false;  // a fault already
    assembly.dataset = train.dataset;
    torch::manual_seed(static_cast<uint64_t>(cell.seed));

    std::shared_ptr<ImageTower> image;
    std::shared_ptr<TextTower> text;
    ImageFeatures features;  // of two pictures
    enter(cell.image.backbone);
    attempt("model.image", [&] { image = try_image_tower(cell, assembly.device, features); });
    enter(cell.text.tokenizer);
    attempt("model.text.tokenizer", [&] { assembly.tokenizer = tokenizer(cell.text.tokenizer, captions, words); });
    enter(cell.text.backbone);
    if (assembly.tokenizer)
      attempt("model.text", [&] { text = try_text_tower(cell, *assembly.tokenizer, assembly.device); });
    const PluginInfo& plugin = catalogue_.require(PluginKind::objective, cell.objective.name);
    bool satisfied = true;
    if (const std::string missing = missing_data(plugin, cell.train, train.offered);
        !missing.empty() && !is_evaluated_only(cell)) {
      fault(missing, "objective");
      satisfied = false;
    }
    if (image && !satisfy(plugin, cell, *image, features, assembly.device)) satisfied = false;
    if (!image || !text || !satisfied) return false;

    assembly.model = std::make_shared<DualEncoder>(std::move(image), std::move(text));
    std::unique_ptr<const StartWeights> start;
    const std::string key = cell.start.files.empty() ? "" : "checkpoint";
    if (has_checkpoint(candidate) && !attempt(key, [&] { start = load_start(candidate, *assembly.model); }))
      return false;
    enter(cell.objective);
    return attempt("objective", [&] {
      assembly.objective = build_objective(cell, catalogue_, assembly);
      if (start) start_objective(*start, *assembly.model, *assembly.objective);
    });
  }

  // A phase before that is not trained yet leaves nothing to look at.
  static bool has_checkpoint(const Candidate& candidate) {
    return !candidate.cell.start.files.empty() ||
           (!candidate.cell.start.cell.empty() && std::filesystem::exists(folder_before(candidate).metrics()));
  }

  static std::unique_ptr<const StartWeights> load_start(const Candidate& candidate, DualEncoder& model) {
    auto start = open_start(candidate.cell, candidate.folder);
    if (!candidate.cell.start.files.empty()) {
      start_model(*start, model);
      return start;
    }
    try {
      start_model(*start, model);
    } catch (const Error& error) {
      throw Error("the checkpoint in " + folder_before(candidate).path.string() +
                  ", from which this phase starts, does not fit the model: " + error.what() +
                  "; train that phase anew with silc run --fresh");
    }
    return start;
  }

  static RunFolder folder_before(const Candidate& candidate) {
    return candidate.folder.sibling(candidate.cell.start.folder);
  }

  std::shared_ptr<Tokenizer> tokenizer(const PluginChoice& choice, const DataSource& captions,
                                       const OpenSource& source) {
    const std::string key =
        Json{{"tokenizer", choice.name}, {"options", options_to_json(choice.options)}}.dump() + source_item(captions);
    std::shared_ptr<Tokenizer>& known = tokenizers_[key];
    if (!known) known = load_tokenizer(choice, catalogue_, captions, source.dataset);
    return known;
  }

  std::shared_ptr<ImageTower> try_image_tower(const ResolvedCell& cell, const at::Device& device,
                                              ImageFeatures& features) {
    auto tower = build_image_tower(cell, catalogue_);
    place(*tower, device);
    in_plugin(PluginKind::image_backbone, cell.image.backbone.name,
              [&] { features = see(*tower, cell.image.image_size, device); });
    return tower;
  }

  std::shared_ptr<TextTower> try_text_tower(const ResolvedCell& cell, const Tokenizer& tokenizer,
                                            const at::Device& device) {
    auto tower = build_text_tower(cell, catalogue_, tokenizer);
    place(*tower, device);
    const std::vector<int64_t> ids = in_plugin(PluginKind::tokenizer, cell.text.tokenizer.name,
                                               [&] { return tokenizer.encode("a text", cell.text.context_length); });
    const torch::NoGradGuard no_grad;
    in_plugin(PluginKind::text_backbone, cell.text.backbone.name, [&] {
      tower->embed(at::tensor(ids).view({1, -1}).repeat({2, 1}).to(device));
    });
    return tower;
  }

  static ImageFeatures see(ImageTower& tower, int64_t size, const at::Device& device) {
    const torch::NoGradGuard no_grad;
    return tower.forward(at::zeros({2, 3, size, size}, device));
  }

  // Whether the image tower has what the objective needs of it.
  bool satisfy(const PluginInfo& objective, const ResolvedCell& cell, ImageTower& tower, const ImageFeatures& features,
               const at::Device& device) {
    const std::string needs = plugin_title(objective.kind, objective.name) + " needs ";
    const bool has_patches = has_patch_tokens(features);
    if (contains(objective.needs.needed, Need::patch_tokens) && !has_patches) {
      fault(needs + "patch tokens, and " + plugin_title(PluginKind::image_backbone, cell.image.backbone.name) +
                " gives none",
            "objective");
      return false;
    }
    if (!contains(objective.needs.needed, Need::masked_input) || !has_patches) return true;
    try {
      const torch::NoGradGuard no_grad;
      const at::Tensor mask = at::zeros({2, features.patches.size(1)}, at::TensorOptions(device).dtype(at::kBool));
      in_plugin(PluginKind::image_backbone, cell.image.backbone.name, [&] {
        tower.forward_masked(at::zeros({2, 3, cell.image.image_size, cell.image.image_size}, device), mask,
                             at::zeros({tower.width()}, device));
      });
      return true;
    } catch (const std::exception& error) {
      fault(needs + "masked input: " + one_line(error), "objective");
      return false;
    }
  }

  // Whether the image tower takes crops of all sizes that the objective cuts.
  bool check_views(const ResolvedCell& cell, const Assembly& assembly) {
    bool sound = true;
    std::vector<ViewSpec> views;
    if (!attempt("objective", [&] {
          views = in_plugin(PluginKind::objective, cell.objective.name, [&] { return assembly.objective->views(); });
        }))
      return false;
    std::set<int64_t> seen = {0, cell.image.image_size};
    for (const ViewSpec& view : views) {
      if (view.size < 0 || !seen.insert(view.size).second) continue;
      try {
        in_plugin(PluginKind::image_backbone, cell.image.backbone.name,
                  [&] { see(*assembly.model->image, view.size, assembly.device); });
      } catch (const std::exception& error) {
        // Objectives call the size of their crops so: local_size of "local".
        fault(c10::str(plugin_title(PluginKind::objective, cell.objective.name), " cuts crops \"", view.name, "\" of ",
                       view.size, " pixels, which is a size that the image tower cannot take: ", one_line(error)),
              "objective." + view.name + "_size");
        sound = false;
      }
    }
    return sound;
  }

  // A step in each part of training.
  bool try_training(const ResolvedCell& cell, const Assembly& assembly) {
    enter(cell.objective);
    return attempt("objective", [&] {
      for (const int64_t batch : kBatches) {
        const bool last = batch == kBatches.back() || cell.optimizer.batch <= batch;
        try {
          step(cell, assembly, std::min(batch, std::max<int64_t>(cell.optimizer.batch, 2)));
          return;
        } catch (const std::exception& error) {
          if (!last) continue;
          // Few pictures may be too few for an objective; one that says so is believed.
          const bool too_few =
              batch < cell.optimizer.batch && std::string(error.what()).find("optimizer.batch") != std::string::npos;
          if (!too_few) throw;
        }
      }
    });
  }

  static void step(ResolvedCell cell, const Assembly& assembly, int64_t batch) {
    cell.optimizer.batch = batch;
    cell.optimizer.accumulate = 1;
    try_steps(cell, assembly);
  }

  void check_evaluation(std::size_t index, std::size_t number, const Assembly& assembly) {
    const ResolvedCell& cell = candidates_[index].cell;
    const Evaluation& evaluation = cell.evaluations[number];
    const std::string item = item_of(evaluation);
    if (skip_.contains(item)) return;
    const auto [known, fresh] = evaluated_.try_emplace(item + sight_of(cell, assembly));
    std::string& reason = known->second;
    if (fresh) {
      const PluginInfo& plugin = catalogue_.require(PluginKind::evaluator, evaluation.evaluator.name);
      const std::string key = c10::str("evaluate.", number);
      begin(item, "row \"" + cell.row + "\", " + plugin_title(plugin.kind, plugin.name), {{index, key}});
      emit_({{"in", plugin_title(plugin.kind, plugin.name)}, {"key", key}});
      const bool sound = attempt(key, [&] {
        reason = why_not_applicable(plugin, cell, assembly);
        if (!reason.empty()) return;
        const std::vector<std::string> names = try_evaluation(cell, evaluation, plugin, assembly);
        emit_({{"gives", names}, {"evaluation", evaluation.name}});
      });
      if (!sound) skip_.insert(item);  // one model is enough to show it
    }
    if (!reason.empty()) emit_({{"not_applicable", evaluation.name}, {"cell", index}, {"reason", reason}});
  }

  // What decides a model's shape.
  static Json model_of(const ResolvedCell& cell) {
    const auto plugin = [](const PluginChoice& choice) {
      return Json{{"name", choice.name}, {"options", options_to_json(choice.options)}};
    };
    return {{"image", plugin(cell.image.backbone)},       {"image_size", cell.image.image_size},
            {"text", plugin(cell.text.backbone)},         {"tokenizer", plugin(cell.text.tokenizer)},
            {"context_length", cell.text.context_length}, {"embed_dim", cell.embed_dim}};
  }

  // What an evaluator can see of a model but for its weights.
  static std::string sight_of(const ResolvedCell& cell, const Assembly& assembly) {
    const auto& head = assembly.model->image->patch_head();
    const auto captioner = assembly.objective->captioner();
    const PatchHead* head_object = head.get();
    const Captioner* captioner_object = captioner.get();
    Json sight = model_of(cell);
    sight["resize_mode"] = cell.image.resize_mode;
    sight["patch_head"] = head_object != nullptr ? typeid(*head_object).name() : "";
    sight["captioner"] = captioner_object != nullptr ? typeid(*captioner_object).name() : "";
    return sight.dump();
  }

  static Excerpt excerpt(const std::shared_ptr<Dataset>& whole, const DataSource& source, int64_t count) {
    if (!may_skip(source)) return {whole, count};
    std::vector<int64_t> places;
    for (int64_t k = 0; k < std::min(count, whole->size()); ++k)
      places.push_back(spread(k, std::min(count, whole->size()), whole->size()));
    auto readable = std::make_shared<Subset>(whole, find_readable(*whole, places, 1).places);
    if (readable->size() == 0) throw Error("none of the " + std::to_string(places.size()) + " samples can be read");
    return {readable, readable->size()};
  }

  // The names of its metrics.
  std::vector<std::string> try_evaluation(const ResolvedCell& cell, const Evaluation& evaluation,
                                          const PluginInfo& plugin, const Assembly& assembly) {
    const std::shared_ptr<Dataset>& whole = sources_.at(source_item(evaluation.data)).dataset;
    TowerEncoder encoder = make_encoder(cell, assembly, cell.weights.front());
    for (const int64_t count : kSampleCounts) {
      const bool last = count == kSampleCounts.back() || whole->size() <= count;
      try {
        return evaluate_excerpt(evaluation.evaluator, plugin, excerpt(whole, evaluation.data, count), encoder);
      } catch (const std::exception&) {
        // What an evaluator looks for may be rare.
        if (last) throw;
      }
    }
    return {};
  }

  std::vector<Candidate> candidates_;
  std::set<std::string> skip_;  // items that are not to be looked at, or have shown their fault
  const Catalogue& catalogue_;
  Emit emit_;
  std::map<std::string, OpenSource> sources_;                     // by item
  std::map<std::string, std::shared_ptr<Tokenizer>> tokenizers_;  // by their settings and source
  std::set<std::string> small_;                                   // models that are tried as they are
  std::map<std::string, std::string> evaluated_;                  // why not applicable, by item and model; empty: tried
};

at::Device device_of(const std::vector<Candidate>& candidates) {
  for (const Candidate& candidate : candidates) try {
      if (const at::Device device = parse_device(candidate.cell.engine.device); device.is_cuda()) return device;
    } catch (const Error&) {
      // A fault, which is said of the cell.
    }
  return at::kCPU;
}

}  // namespace

void preflight(const PreflightRequest& request, const Catalogue& catalogue,
               const std::function<void(const Json& line)>& emit) {
  std::vector<Candidate> candidates;
  std::set<std::string> skip;
  try {
    for (const Json& cell : request.question.at("cells"))
      candidates.push_back({parse_cell(cell.at("toml").get<std::string>(), "cell.toml", catalogue),
                            {std::filesystem::path(cell.at("folder").get<std::string>())}});
    for (const Json& item : request.question.at("skip")) skip.insert(item.get<std::string>());
  } catch (const Json::exception& error) {
    throw Error(std::string("a question to silc-engine preflight is malformed: ") + error.what());
  }
  prepare_torch(request.threads, device_of(candidates));
  Preflight(std::move(candidates), std::move(skip), catalogue, emit).run();
  emit({{"done", true}});
}

}  // namespace silc
