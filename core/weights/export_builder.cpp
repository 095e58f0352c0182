#include "weights/export_builder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "silc/error.h"

namespace silc {
namespace {

constexpr std::string_view kObjective = "objective.";

std::string setting_text(const nlohmann::json& table, const std::string& key) {
  const auto found = table.find(key);
  return found == table.end() ? "its default" : found->dump();
}

}  // namespace

ExportBuilder::ExportBuilder(const ModelFile& file, const ExportRequest& request, std::string reader)
    : file_(file), request_(request), reader_(std::move(reader)) {
  if (!file.model.contains("image") || !file.model.contains("text"))
    throw Error(
        fmt::format("{}: {} takes models of an image and a text tower, and this has no {} tower; --format "
                    "safetensors takes it",
                    file.path.string(), reader_, file.model.contains("image") ? "text" : "image"));
}

const nlohmann::json& ExportBuilder::settings(const std::string& tower) const { return file_.model.at(tower); }

void ExportBuilder::refuse(const std::string& tower, const std::string& key, const std::string& why) {
  refuse(fmt::format("model.{}.{} = {}: {}", tower, key, setting_text(settings(tower), key), why));
}

const std::vector<int64_t>& ExportBuilder::shape(const std::string& name) const {
  const auto found = file_.tensors.find(name);
  if (found == file_.tensors.end()) throw_refusals();
  if (found == file_.tensors.end())
    throw Error(fmt::format("{} lacks the tensor \"{}\", which its settings speak of", file_.path.string(), name));
  return found->second.shape;
}

HostTensor ExportBuilder::values(const std::string& name) const {
  static_cast<void>(shape(name));
  return follow(file_.tensors.at(name), *file_.weights);
}

std::vector<std::string> ExportBuilder::below(const std::string& prefix) const {
  std::vector<std::string> names;
  for (auto tensor = file_.tensors.lower_bound(prefix); tensor != file_.tensors.end(); ++tensor) {
    if (!tensor->first.starts_with(prefix)) break;
    names.push_back(tensor->first.substr(prefix.size()));
  }
  return names;
}

void ExportBuilder::add(const std::string& to, Recipe recipe, const std::vector<std::string>& used) {
  used_.insert(used.begin(), used.end());
  export_.tensors[to] = std::move(recipe);
}

void ExportBuilder::copy(const std::string& to, const std::string& from) { copy(to, from, shape(from)); }

void ExportBuilder::copy(const std::string& to, const std::string& from, const std::vector<int64_t>& shape) {
  static_cast<void>(this->shape(from));
  add(to, {.parts = {{.source = from}}, .shape = shape}, {from});
}

void ExportBuilder::transpose(const std::string& to, const std::string& from) {
  const auto& extents = shape(from);
  add(to, {.parts = {{.source = from, .permutation = {1, 0}}}, .shape = {extents.at(1), extents.at(0)}}, {from});
}

void ExportBuilder::rows(const std::string& to, const std::string& from, int64_t begin, int64_t count) {
  std::vector<int64_t> extents = shape(from);
  extents.at(0) = count;
  add(to, {.parts = {{.source = from, .begin = begin, .count = count}}, .shape = extents}, {from});
}

void ExportBuilder::stack(const std::string& to, const std::vector<std::string>& from) {
  Recipe recipe{.parts = {}, .shape = shape(from.front())};
  recipe.shape.at(0) = 0;
  for (const std::string& name : from) {
    recipe.parts.push_back({.source = name});
    recipe.shape[0] += shape(name).at(0);
  }
  add(to, std::move(recipe), from);
}

void ExportBuilder::zeros(const std::string& to, const std::vector<int64_t>& shape) {
  add(to, {.parts = {{.source = "", .shape = shape}}, .shape = shape}, {});
}

std::optional<std::string> ExportBuilder::of_objective(const std::string& name) const {
  // Objectives call their contrastive loss one or the other; anything else is a loss beside it.
  for (const std::string loss : {"contrastive.", "loss."})
    if (const std::string whole = std::string(kObjective) + loss + name; has(whole)) return whole;
  return std::nullopt;
}

void ExportBuilder::add_json(const std::string& name, const nlohmann::ordered_json& content) {
  export_.files[name] = content.dump(2) + "\n";
}

void ExportBuilder::throw_refusals() const {
  if (!refusals_.empty())
    throw Error(fmt::format("{} cannot become a model of {}:\n  {}\n--format safetensors takes every model",
                            file_.path.string(), reader_, fmt::join(refusals_, "\n  ")));
}

ModelExport ExportBuilder::finish() {
  std::vector<std::string> unplaced;
  for (const std::string& name : below("model."))
    if (!used_.contains("model." + name)) unplaced.push_back("model." + name);
  // Where settings are refused, their tensors are as well.
  if (refusals_.empty() && !unplaced.empty())
    refuse(fmt::format(
        "{} tensors have no place there: {}{}", unplaced.size(),
        fmt::join(unplaced.begin(), unplaced.begin() + std::min<std::ptrdiff_t>(4, std::ssize(unplaced)), ", "),
        unplaced.size() > 4 ? ", …" : ""));
  throw_refusals();
  return std::move(export_);
}

void export_layer(ExportBuilder& builder, const std::string& to, const std::string& from) {
  for (const std::string part : {".weight", ".bias"}) builder.copy(to + part, from + part);
}

void export_blocks(ExportBuilder& builder, const std::string& to, const std::string& from, int64_t layers,
                   const ExportedBlockNames& names) {
  for (int64_t i = 0; i < layers; ++i) {
    const std::string block = fmt::format("{}.{}.", from, i), other = fmt::format("{}.{}.", to, i);
    export_layer(builder, other + names.norm_1, block + "ln_1");
    for (const std::string part : {"weight", "bias"}) {
      const std::string joined = block + "attn.in_proj_" + part;
      if (!names.joined.empty()) {
        builder.copy(other + names.joined + part, joined);
        continue;
      }
      const int64_t width = builder.shape(joined).at(0) / 3;
      for (std::size_t p = 0; p < names.projections.size(); ++p)
        builder.rows(other + names.projections[p] + "." + part, joined, static_cast<int64_t>(p) * width, width);
    }
    export_layer(builder, other + names.out, block + "attn.out_proj");
    export_layer(builder, other + names.norm_2, block + "ln_2");
    export_layer(builder, other + names.hidden, block + "mlp.c_fc");
    export_layer(builder, other + names.hidden_out, block + "mlp.c_proj");
  }
}

namespace {

// A file that somebody has changed may say anything of its transformers. Throws silc::Error.
void check_shape(const ExportBuilder& builder, const std::string& tower, int64_t width, int64_t heads) {
  width = builder.setting(tower, "width", width);
  heads = builder.setting(tower, "heads", heads);
  const auto layers = builder.setting<int64_t>(tower, "layers", 12);
  const std::string blocks = "model." + tower + ".backbone.transformer.resblocks.";
  const bool counted = builder.has(fmt::format("{}{}.ln_1.weight", blocks, layers - 1)) &&
                       !builder.has(fmt::format("{}{}.ln_1.weight", blocks, layers));
  if (!counted || heads < 1 || width % heads != 0 || builder.shape(blocks + "0.ln_1.weight") != std::vector{width})
    throw Error(
        fmt::format("{}: the {} tower's tensors are not those of width {}, {} layers and {} heads, as its "
                    "settings say",
                    builder.file().path.string(), tower, width, layers, heads));
}

}  // namespace

void check_towers(ExportBuilder& builder) {
  builder.require<std::string>("image", "backbone", "vit", "vit", "only a vision transformer is written");
  builder.require<std::string>("text", "backbone", "text_transformer", "text_transformer",
                               "only a text_transformer is written");
  builder.require<std::string>("image", "stem", "patch", "patch", "patches go through one linear layer there");
  builder.require<std::string>("image", "positions", "learned", "learned", "it has learned positions alone");
  builder.require<int64_t>("image", "registers", 0, 0, "it has no registers");
  for (const std::string tower : {"image", "text"})
    if (builder.text_setting(tower, "mlp", "gelu") == "swiglu") builder.refuse(tower, "mlp", "it has no gated MLP");
  if (builder.text_setting("text", "pooling", "eot") == "mean")
    builder.refuse("text", "pooling", "it reads the text out at one token");
  if (builder.text_setting("image", "backbone", "vit") == "vit") check_shape(builder, "image", 768, 12);
  if (builder.text_setting("text", "backbone", "text_transformer") == "text_transformer")
    check_shape(builder, "text", 512, 8);
  if (!builder.below("model.image.patch_head.").empty())
    builder.refuse("the objective's patch head, of which pictures have their embedding, has no place there");
  if (builder.request().decoder && has_caption_decoder(builder.file()))
    builder.refuse("the objective's caption decoder has no place there; --without-decoder leaves it out");
}

bool has_caption_decoder(const ModelFile& file) {
  // It alone attends to pictures.
  return std::any_of(file.tensors.begin(), file.tensors.end(), [](const auto& tensor) {
    return tensor.first.starts_with(kObjective) && tensor.first.find(".cross_attention.") != std::string::npos;
  });
}

Preprocessing preprocessing_of(const ExportBuilder& builder) {
  const std::vector<double> half = {.5, .5, .5};
  return {.mean = builder.setting("image", "mean", half),
          .std = builder.setting("image", "std", half),
          .interpolation = builder.text_setting("image", "interpolation", "bilinear"),
          .resize_mode = builder.text_setting("image", "resize_mode", "squash")};
}

bool is_identity(ExportBuilder& builder, const std::string& tower) {
  const HostTensor projection = builder.values("model." + tower + ".projection");
  if (projection.shape.at(0) != projection.shape.at(1)) return false;
  const auto width = static_cast<std::size_t>(projection.shape[0]);
  for (std::size_t i = 0; i < projection.values.size(); ++i)
    if (projection.values[i] != (i / width == i % width ? 1.0F : 0.0F)) return false;
  return true;
}

}  // namespace silc
