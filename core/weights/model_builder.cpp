#include "weights/model_builder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <numeric>
#include <utility>

#include "files/durable_file.h"
#include "files/safetensors.h"
#include "silc/error.h"
#include "weights/element_types.h"

namespace silc {
namespace {

std::vector<int64_t> without_ones(const std::vector<int64_t>& shape) {
  std::vector<int64_t> rest;
  std::copy_if(shape.begin(), shape.end(), std::back_inserter(rest), [](int64_t extent) { return extent != 1; });
  return rest;
}

// "a", "b", "c" and 9 more
std::string some_of(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 6;
  std::string text;
  for (std::size_t i = 0; i < std::min(kShown, names.size()); ++i)
    text += fmt::format("{}\"{}\"", i == 0 ? "" : ", ", names[i]);
  if (names.size() > kShown) text += fmt::format(" and {} more", names.size() - kShown);
  return text;
}

// Beyond this, exp(scale) would be more than 8000: no contrastive loss gets there.
constexpr float kGreatestLogarithm = 9;

}  // namespace

const Preprocessing kClipPreprocessing{.mean = {0.48145466, 0.4578275, 0.40821073},
                                       .std = {0.26862954, 0.26130258, 0.27577711},
                                       .interpolation = "bicubic",
                                       .resize_mode = "shortest"};
const Preprocessing kHalfPreprocessing{
    .mean = {0.5, 0.5, 0.5}, .std = {0.5, 0.5, 0.5}, .interpolation = "bicubic", .resize_mode = "squash"};

ModelBuilder::ModelBuilder(std::filesystem::path path, std::shared_ptr<const WeightsFile> weights)
    : file_{.path = std::move(path), .family = "", .weights = std::move(weights)} {}

bool ModelBuilder::has(const std::string& source) const { return file_.weights->tensors().contains(prefix_ + source); }

const std::vector<int64_t>& ModelBuilder::shape(const std::string& source) const {
  const auto found = file_.weights->tensors().find(prefix_ + source);
  if (found == file_.weights->tensors().end())
    throw Error(fmt::format("{} has no tensor \"{}\", without which its model cannot be told", file_.path.string(),
                            prefix_ + source));
  return found->second.shape;
}

int64_t ModelBuilder::extent(const std::string& source, std::size_t index) const {
  const auto& extents = shape(source);
  if (index >= extents.size() || extents[index] < 1 || extents[index] > (int64_t{1} << 24))
    throw Error(fmt::format("{}: tensor \"{}\" has the shape {}, which is none of such a model", file_.path.string(),
                            prefix_ + source, shape_text(extents)));
  return extents[index];
}

std::size_t ModelBuilder::dimensions(const std::string& source) const {
  const auto found = file_.weights->tensors().find(prefix_ + source);
  return found == file_.weights->tensors().end() ? 0 : found->second.shape.size();
}

int64_t ModelBuilder::count(const std::string& before) const {
  std::set<int64_t> numbers;
  const std::string begin = prefix_ + before;
  const auto& tensors = file_.weights->tensors();
  for (auto it = tensors.lower_bound(begin); it != tensors.end() && it->first.starts_with(begin); ++it) {
    int64_t number = 0;
    const char* const text = it->first.data() + begin.size();
    const auto [end, error] = std::from_chars(text, it->first.data() + it->first.size(), number);
    if (error == std::errc() && end != it->first.data() + it->first.size() && (*end == '.' || *end == '/'))
      numbers.insert(number);
  }
  int64_t layers = 0;
  while (numbers.contains(layers)) ++layers;
  return layers;
}

bool ModelBuilder::use(const std::string& source) {
  if (!has(source)) {
    missing_.push_back(prefix_ + source);
    return false;
  }
  used_.insert(prefix_ + source);
  const std::string& type = file_.weights->tensors().at(prefix_ + source).dtype;
  if (!has_values(type))
    faults_.push_back(fmt::format("\"{}\" is of type {}, which holds no numbers", prefix_ + source, type));
  return true;
}

void ModelBuilder::add(const std::string& name, const std::string& source, const std::vector<int64_t>& wanted) {
  if (!use(source)) return;
  if (without_ones(shape(source)) != without_ones(wanted)) {
    faults_.push_back(fmt::format("\"{}\" is {} where {} is expected", prefix_ + source, shape_text(shape(source)),
                                  shape_text(wanted)));
    return;
  }
  file_.tensors[name] = {.parts = {{.source = prefix_ + source}}, .shape = wanted};
}

void ModelBuilder::add_transposed(const std::string& name, const std::string& source,
                                  const std::vector<int64_t>& wanted) {
  if (!use(source)) return;
  if (shape(source) != std::vector{wanted.at(1), wanted.at(0)}) {
    faults_.push_back(fmt::format("\"{}\" is {} where {} is expected", prefix_ + source, shape_text(shape(source)),
                                  shape_text(std::vector{wanted.at(1), wanted.at(0)})));
    return;
  }
  file_.tensors[name] = {.parts = {{.source = prefix_ + source, .permutation = {1, 0}}}, .shape = wanted};
}

void ModelBuilder::add(const std::string& name, Recipe recipe) {
  int64_t elements = 0;
  std::string found;
  for (TensorPart& part : recipe.parts) {
    const auto product = [](const std::vector<int64_t>& extents) {
      return std::accumulate(extents.begin(), extents.end(), int64_t{1}, std::multiplies<>());
    };
    if (part.source.empty()) {
      elements += product(part.shape);
      continue;
    }
    if (!use(part.source)) return;
    std::vector<int64_t> extents = shape(part.source);
    found += fmt::format("{}\"{}\" {}", found.empty() ? "" : ", ", prefix_ + part.source, shape_text(extents));
    if (part.count >= 0 && !extents.empty()) extents[0] = std::min(extents[0], part.count);
    elements += product(extents);
    part.source = prefix_ + part.source;
  }
  const int64_t wanted = std::accumulate(recipe.shape.begin(), recipe.shape.end(), int64_t{1}, std::multiplies<>());
  if (!recipe.parts.empty() && elements != wanted) {
    faults_.push_back(fmt::format("{} do not make {}", found, shape_text(recipe.shape)));
    return;
  }
  file_.tensors[name] = std::move(recipe);
}

void ModelBuilder::add_temperature(const std::string& scale, const std::string& bias, bool maybe_plain) {
  if (has(scale)) {
    add("objective.contrastive.logit_scale", scale, {});
    if (maybe_plain && file_.tensors.contains("objective.contrastive.logit_scale")) {
      const HostTensor value = read_floats(*file_.weights, prefix_ + scale);
      const bool plain = !value.values.empty() && value.values[0] > kGreatestLogarithm;
      file_.tensors["objective.contrastive.logit_scale"].logarithm = plain;
      if (plain)
        assume(fmt::format("{} is {:.4g}, which is the scale itself and not its logarithm", scale, value.values[0]));
    }
  }
  if (has(bias)) add("objective.contrastive.logit_bias", bias, {});
}

void ModelBuilder::leave_if(const std::function<bool(std::string_view)>& needless) {
  for (const auto& [name, about] : file_.weights->tensors())
    if (!used_.contains(name) && needless(name)) {
      used_.insert(name);
      file_.left.push_back(name);
    }
}

ModelFile ModelBuilder::finish(const std::string& family) {
  std::vector<std::string> unknown;
  for (const auto& [name, about] : file_.weights->tensors())
    if (!used_.contains(name)) unknown.push_back(name);
  std::string faults;
  const auto add_fault = [&](const std::string& fault) { faults += (faults.empty() ? "" : "; ") + fault; };
  if (!missing_.empty()) add_fault("missing: " + some_of(missing_));
  if (!unknown.empty()) add_fault("unknown: " + some_of(unknown));
  for (std::size_t i = 0; i < std::min<std::size_t>(faults_.size(), 6); ++i) add_fault(faults_[i]);
  if (!faults.empty())
    throw Error(fmt::format("{} looks like {}, but its tensors are not those of a model that silc has: {}",
                            file_.path.string(), family, faults));
  file_.family = family;
  return std::move(file_);
}

void add_norm(ModelBuilder& builder, const std::string& to, const std::string& from, int64_t width) {
  builder.add(to + ".weight", from + ".weight", {width});
  builder.add(to + ".bias", from + ".bias", {width});
}

void add_linear(ModelBuilder& builder, const std::string& to, const std::string& from, int64_t width, int64_t in) {
  builder.add(to + ".weight", from + ".weight", {width, in});
  builder.add(to + ".bias", from + ".bias", {width});
}

BlockShape add_blocks(ModelBuilder& builder, const std::string& to, const std::string& from, int64_t width,
                      const BlockNames& names) {
  const std::string first = from + "0.";
  BlockShape blocks{.layers = builder.count(from)};
  blocks.gated = !names.gated.empty() && builder.has(first + names.gated + ".weight");
  blocks.scaled = !names.scale_1.empty() && builder.has(first + names.scale_1);
  const std::string& hidden = blocks.gated ? names.gated : names.hidden;
  const std::string& hidden_out = blocks.gated ? names.gated_out : names.hidden_out;
  if (blocks.layers == 0) return blocks;
  const int64_t rows = builder.extent(first + hidden + ".weight", 0);
  blocks.hidden = blocks.gated ? rows / 2 : rows;
  for (int64_t i = 0; i < blocks.layers; ++i) {
    const std::string source = fmt::format("{}{}.", from, i);
    const std::string block = fmt::format("{}.{}.", to, i);
    add_norm(builder, block + "ln_1", source + names.norm_1, width);
    for (const std::string kind : {"weight", "bias"}) {
      std::vector<int64_t> shape{3 * width};
      if (kind == "weight") shape.push_back(width);
      if (!names.joined.empty()) {
        builder.add(block + "attn.in_proj_" + kind, source + names.joined + kind, shape);
        continue;
      }
      Recipe recipe{.parts = {}, .shape = shape};
      for (const std::string& part : {names.query, names.key, names.value})
        recipe.parts.push_back({.source = source + part + "." + kind});
      builder.add(block + "attn.in_proj_" + kind, std::move(recipe));
    }
    add_linear(builder, block + "attn.out_proj", source + names.out, width, width);
    add_norm(builder, block + "ln_2", source + names.norm_2, width);
    add_linear(builder, block + "mlp.c_fc", source + hidden, rows, width);
    add_linear(builder, block + "mlp.c_proj", source + hidden_out, width, blocks.hidden);
    if (blocks.scaled) {
      builder.add(block + "ls_1.gamma", source + names.scale_1, {width});
      builder.add(block + "ls_2.gamma", source + names.scale_2, {width});
    }
  }
  return blocks;
}

int64_t grid_side(int64_t positions, const std::string& name) {
  const auto side = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(positions))));
  if (side < 1 || side * side != positions)
    throw Error(fmt::format("\"{}\" has {} positions of patches, which are no square grid; models of one are known",
                            name, positions));
  return side;
}

int64_t usual_heads(ModelBuilder& builder, int64_t width, const std::string& tower) {
  // Shapes of Zhai 2022 and Alabdulmohsin 2023 (SO400M), whose heads are not of 64 channels.
  int64_t heads =
      width == 1152 || width == 1408 || width == 1536 || width == 1664 ? 16 : std::max<int64_t>(1, width / 64);
  if (width % heads != 0) heads = 1;
  builder.assume(fmt::format("the {} tower has {} heads of {} channels, as is usual; model.{}.heads says otherwise",
                             tower, heads, width / heads, tower));
  return heads;
}

int64_t checked_heads(int64_t heads, int64_t width, const std::string& setting) {
  if (heads < 1 || width % heads != 0)
    throw Error(
        fmt::format("{} makes {} attention heads of a width of {}, which they do not divide", setting, heads, width));
  return heads;
}

void set_preprocessing(nlohmann::json& image, const Preprocessing& preprocessing) {
  image["mean"] = preprocessing.mean;
  image["std"] = preprocessing.std;
  image["interpolation"] = preprocessing.interpolation;
  image["resize_mode"] = preprocessing.resize_mode;
}

nlohmann::json read_settings(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) return nullptr;
  try {
    nlohmann::json settings = nlohmann::json::parse(read_file(file));
    if (!settings.is_object()) throw Error(file.string() + " is no object of JSON");
    return settings;
  } catch (const nlohmann::json::exception&) {
    throw Error(file.string() + " is not JSON; it is damaged: fetch it again");
  }
}

}  // namespace silc
