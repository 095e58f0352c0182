#include "engine/start.h"

#include <ATen/ATen.h>
#include <c10/util/StringUtil.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>

#include "engine/checkpoint.h"
#include "engine/log.h"
#include "engine/parameters.h"
#include "engine/tensor_file.h"
#include "files/content_hash.h"
#include "silc/error.h"
#include "weights/model_file.h"

namespace silc {
namespace {

constexpr const char* kTrainAnew = "; train that phase anew with silc run --fresh";

using NamedTensors = std::map<std::string, at::Tensor>;
using Shapes = std::map<std::string, std::vector<int64_t>>;

class CheckpointWeights : public StartWeights {
 public:
  explicit CheckpointWeights(SafetensorsFile file) : file_(std::move(file)) {
    for (const auto& [name, view] : file_.tensors())
      if (!name.starts_with("optimizer.")) shapes_[name] = view.shape;
  }
  void copy(const std::string& name, at::Tensor target) const override {
    const auto found = file_.tensors().find(name);
    if (found == file_.tensors().end())
      throw Error("the phase before has no tensor \"" + name + "\", so that this one cannot start from it");
    copy_tensor(found->second, name, std::move(target));
  }
  [[nodiscard]] std::string title() const override { return "the phase before"; }

 private:
  SafetensorsFile file_;
};

// The side of a square grid of positions, of those behind `others`; 0: there is none.
int64_t grid_of(int64_t positions, int64_t others) {
  const auto side = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(positions - others))));
  return side * side == positions - others ? side : 0;
}

// positions: [(1 +) n², D] → [(1 +) m², D] as open_clip's resize_pos_embed: bicubic with antialiasing, a class token's
// as it is. Undefined where these are no such grids.
at::Tensor resampled_positions(const at::Tensor& positions, int64_t wanted) {
  for (const int64_t others : {0, 1}) {
    const int64_t from = grid_of(positions.size(0), others), to = grid_of(wanted, others);
    if (from == 0 || to == 0) continue;
    const at::Tensor grid =
        positions.slice(0, others).view({1, from, from, positions.size(1)}).permute({0, 3, 1, 2});  // [1, D, n, n]
    const at::Tensor resized = at::_upsample_bicubic2d_aa(grid, {to, to}, /*align_corners=*/false);
    return at::cat({positions.slice(0, 0, others), resized.permute({0, 2, 3, 1}).reshape({to * to, -1})});
  }
  return {};
}

class ImportedWeights : public StartWeights {
 public:
  explicit ImportedWeights(const std::vector<StartFile>& files) {
    for (const StartFile& file : files) {
      ModelFile model = read_model_file(file.path);
      if (content_hash(model.files) != file.hash)
        throw Error(file.path + " has changed since this cell was planned; start silc run again");
      if (file.weights == "teacher") model = with_teacher(std::move(model));
      for (const auto& [name, recipe] : model.tensors) shapes_[name] = recipe.shape;
      models_.push_back(std::move(model));
      shares_.push_back(file.share);
    }
  }

  void copy(const std::string& name, at::Tensor target) const override {
    HostTensor mixed = part(0, name);
    if (models_.size() > 1 || shares_[0] != 1) {
      const double share = shares_[0];
      for (float& value : mixed.values) value = static_cast<float>(share * value);
      for (std::size_t i = 1; i < models_.size(); ++i) {
        const HostTensor other = part(i, name);
        if (other.shape != mixed.shape) refuse(name, other.shape, mixed.shape);
        for (std::size_t k = 0; k < mixed.values.size(); ++k)
          mixed.values[k] += static_cast<float>(shares_[i] * other.values[k]);
      }
    }
    at::Tensor values = at::from_blob(mixed.values.data(), mixed.shape, at::kFloat);
    const torch::NoGradGuard no_grad;
    if (mixed.shape != target.sizes().vec()) values = resized(values, name, target);
    target.copy_(values);
  }

  [[nodiscard]] std::string title() const override {
    return models_.front().path.string() +
           (models_.size() > 1 ? c10::str(" and ", models_.size() - 1, " more") : std::string());
  }

 private:
  [[nodiscard]] HostTensor part(std::size_t model, const std::string& name) const {
    const auto recipe = models_[model].tensors.find(name);
    if (recipe == models_[model].tensors.end())
      throw Error(models_[model].path.string() + " has nothing for the tensor \"" + name +
                  "\", which the model with these settings has");
    try {
      return follow(recipe->second, *models_[model].weights);
    } catch (const Error& error) {
      throw Error(models_[model].path.string() + ": " + error.what());
    }
  }

  [[noreturn]] void refuse(const std::string& name, at::IntArrayRef is, at::IntArrayRef wanted) const {
    std::string remedy = "; leave the settings of [model] as they come with the file";
    if (name == "model.text.backbone.token_embedding.weight")
      remedy = "; the tokenizer has another vocabulary than the one that the text tower was trained with";
    if (name == "model.text.backbone.positional_embedding")
      remedy = "; model.text.context_length must be that of the file";
    throw Error(title() + ": its tensor for \"" + name + "\" is " + shape_text(is) + " where " + shape_text(wanted) +
                " is expected" + remedy);
  }

  at::Tensor resized(const at::Tensor& values, const std::string& name, const at::Tensor& target) const {
    const bool positions = name.starts_with("model.image.") && name.ends_with("positional_embedding");
    const bool alike = values.dim() == 2 && target.dim() == 2 && values.size(1) == target.size(1);
    const at::Tensor result = positions && alike ? resampled_positions(values, target.size(0)) : at::Tensor();
    if (!result.defined()) refuse(name, values.sizes(), target.sizes());
    log_info("the position embeddings " + name + " are resampled from " + shape_text(values.sizes()) + " to " +
             shape_text(target.sizes()));
    return result;
  }

  std::vector<ModelFile> models_;
  std::vector<double> shares_;
};

// All tensors of the start are in `state` and the other way round, of the same shapes.
bool has_same_tensors(const Shapes& start, const NamedTensors& state) {
  if (start.size() != state.size()) return false;
  return std::all_of(state.begin(), state.end(), [&](const auto& named) {
    const auto found = start.find(named.first);
    return found != start.end() && found->second == named.second.sizes().vec();
  });
}

// "logit_scale" and "logit_bias", by that last part of their names.
template <class Named>
std::map<std::string, std::string> temperatures(const std::map<std::string, Named>& tensors) {
  std::map<std::string, std::string> found;
  for (const auto& [name, tensor] : tensors) {
    const std::string last = name.substr(name.rfind('.') + 1);
    if (name.starts_with("objective.") && (last == "logit_scale" || last == "logit_bias")) found[last] = name;
  }
  return found;
}

bool have_same_keys(const std::map<std::string, std::string>& one, const std::map<std::string, std::string>& other) {
  return std::equal(one.begin(), one.end(), other.begin(), other.end(),
                    [](const auto& a, const auto& b) { return a.first == b.first; });
}

}  // namespace

bool StartWeights::has_text() const {
  const auto first = shapes_.lower_bound("model.text.");
  return first != shapes_.end() && first->first.starts_with("model.text.");
}

std::unique_ptr<const StartWeights> weights_of(SafetensorsFile checkpoint) {
  return std::make_unique<const CheckpointWeights>(std::move(checkpoint));
}

std::unique_ptr<const StartWeights> weights_of(const std::vector<StartFile>& files) {
  return std::make_unique<const ImportedWeights>(files);
}

std::unique_ptr<const StartWeights> open_start(const ResolvedCell& cell, const RunFolder& folder) {
  if (!cell.start.files.empty()) return weights_of(cell.start.files);
  if (cell.start.cell.empty()) return nullptr;
  const RunFolder before = folder.sibling(cell.start.folder);
  const std::optional<ResumePoint> point = find_resume_point(before);
  if (!point)
    throw Error("there is no checkpoint in " + before.path.string() + ", of the phase that this one starts from" +
                kTrainAnew);
  SafetensorsFile file(point->file);
  try {
    check_owner(file, cell.start.cell);
  } catch (const Error& error) {
    throw Error(point->file.string() + ": " + error.what() + kTrainAnew);
  }
  return weights_of(std::move(file));
}

void start_model(const StartWeights& start, DualEncoder& model) {
  const bool whole = start.has_text();
  for (const auto& [name, tensor] : module_state(model, torch::nn::Module()))
    if (whole || name.starts_with("model.image.backbone.")) start.copy(name, tensor);
  if (!whole) log_info("starting with the image tower of " + start.title() + "; the text tower is drawn at random");
}

void start_objective(const StartWeights& start, const DualEncoder& model, const torch::nn::Module& objective) {
  const NamedTensors state = module_state(model, objective);
  if (has_same_tensors(start.shapes(), state)) {
    for (const auto& [name, tensor] : state) start.copy(name, tensor);
    log_info("going on with the model and the objective's state of " + start.title());
    return;
  }
  const auto learnt = temperatures(start.shapes());
  const auto fresh = temperatures(state);
  if (have_same_keys(learnt, fresh))
    for (const auto& [last, name] : fresh) start.copy(learnt.at(last), state.at(name));
  log_info("going on with the model of " + start.title());
}

}  // namespace silc
