#include "engine/start.h"

#include <c10/util/StringUtil.h>

#include <algorithm>
#include <map>

#include "engine/checkpoint.h"
#include "engine/log.h"
#include "engine/parameters.h"
#include "engine/tensor_file.h"
#include "silc/error.h"

namespace silc {
namespace {

constexpr const char* kTrainAnew = "; train that phase anew with silc run --fresh";

using NamedTensors = std::map<std::string, at::Tensor>;

void copy(const SafetensorsFile& start, const std::string& from, const std::string& to, const at::Tensor& target) {
  const auto found = start.tensors().find(from);
  if (found == start.tensors().end())
    throw Error("the phase before has no tensor \"" + to + "\", so that this one cannot start from it");
  copy_tensor(found->second, to, target);
}

bool has_same_shape(const TensorView& view, const at::Tensor& tensor) {
  return std::equal(view.shape.begin(), view.shape.end(), tensor.sizes().begin(), tensor.sizes().end());
}

// All tensors of the file are in `state` and the other way round, of the same shapes; the optimizer's do not count.
bool has_same_tensors(const SafetensorsFile& start, const NamedTensors& state) {
  const auto is_optimizers = [](const auto& named) { return named.first.starts_with("optimizer."); };
  const auto& tensors = start.tensors();
  const auto others = static_cast<std::size_t>(std::count_if(tensors.begin(), tensors.end(), is_optimizers));
  if (tensors.size() - others != state.size()) return false;
  return std::all_of(state.begin(), state.end(), [&](const auto& named) {
    const auto found = tensors.find(named.first);
    return found != tensors.end() && has_same_shape(found->second, named.second);
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

std::unique_ptr<const SafetensorsFile> open_start(const ResolvedCell& cell, const RunFolder& folder) {
  if (cell.start.cell.empty()) return nullptr;
  const RunFolder before = folder.sibling(cell.start.folder);
  const std::optional<ResumePoint> point = find_resume_point(before);
  if (!point)
    throw Error("there is no checkpoint in " + before.path.string() + ", of the phase that this one starts from" +
                kTrainAnew);
  auto start = std::make_unique<const SafetensorsFile>(point->file);
  try {
    check_owner(*start, cell.start.cell);
  } catch (const Error& error) {
    throw Error(point->file.string() + ": " + error.what() + kTrainAnew);
  }
  return start;
}

void start_model(const SafetensorsFile& start, DualEncoder& model) {
  for (const auto& [name, tensor] : module_state(model, torch::nn::Module())) copy(start, name, name, tensor);
}

void start_objective(const SafetensorsFile& start, const DualEncoder& model, const torch::nn::Module& objective) {
  const NamedTensors state = module_state(model, objective);
  if (has_same_tensors(start, state)) {
    for (const auto& [name, tensor] : state) copy(start, name, name, tensor);
    log_info("going on with the model and the objective's state of the phase before");
    return;
  }
  const auto learnt = temperatures(start.tensors());
  const auto fresh = temperatures(state);
  if (have_same_keys(learnt, fresh))
    for (const auto& [last, name] : fresh) copy(start, learnt.at(last), name, state.at(name));
  log_info("going on with the model of the phase before");
}

}  // namespace silc
