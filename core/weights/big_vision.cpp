// big_vision's .npz (google-research/big_vision: models/vit.py,
// models/proj/image_text/{text_transformer,two_towers}.py): flax's names with '/' between, blocks numbered or, where
// they were scanned, one above the other in each array.
#include <fmt/format.h>

#include <optional>

#include "silc/error.h"
#include "weights/model_builder.h"

namespace silc {
namespace {

// A norm, whose weight flax calls scale.
void add_flax_norm(ModelBuilder& builder, const std::string& to, const std::string& from, int64_t width) {
  builder.add(to + ".weight", from + "/scale", {width});
  builder.add(to + ".bias", from + "/bias", {width});
}

// Where a block's arrays lie: in arrays of their own, or at `layer` of those of all blocks.
struct Layer {
  std::string from;
  int64_t layer = -1;
  [[nodiscard]] TensorPart part(const std::string& name) const {
    return layer < 0 ? TensorPart{.source = from + name}
                     : TensorPart{.source = from + name, .begin = layer, .count = 1};
  }
};

void add_vector(ModelBuilder& builder, const std::string& to, const Layer& layer, const std::string& name,
                int64_t width) {
  builder.add(to, Recipe{.parts = {layer.part(name)}, .shape = {width}});
}

// kernel: [in, width], whatever it is split into.
TensorPart transposed(const Layer& layer, const std::string& name, int64_t width, int64_t in) {
  TensorPart part = layer.part(name);
  part.shape = {in, width};
  part.permutation = {1, 0};
  return part;
}

void add_dense(ModelBuilder& builder, const std::string& to, const Layer& layer, const std::string& name, int64_t width,
               int64_t in) {
  builder.add(to + ".weight", Recipe{.parts = {transposed(layer, name + "/kernel", width, in)}, .shape = {width, in}});
  add_vector(builder, to + ".bias", layer, name + "/bias", width);
}

// Several of attention's projections, one above the other.
void add_projections(ModelBuilder& builder, const std::string& weight, const std::string& bias, const Layer& layer,
                     const std::vector<std::string>& names, int64_t width) {
  const auto rows = static_cast<int64_t>(names.size()) * width;
  Recipe weights{.parts = {}, .shape = {rows, width}}, biases{.parts = {}, .shape = {rows}};
  for (const std::string& name : names) {
    weights.parts.push_back(transposed(layer, name + "/kernel", width, width));
    biases.parts.push_back(layer.part(name + "/bias"));
  }
  builder.add(weight, std::move(weights));
  builder.add(bias, std::move(biases));
}

struct Encoder {
  int64_t layers = 0, heads = 0, hidden = 0;
};

// Flax numbers modules of a kind, or, as google-research/vision_transformer does, all modules of a block.
struct PartNames {
  std::string attention, norm_2, mlp;
};
const PartNames kParts{.attention = "MultiHeadDotProductAttention_0/", .norm_2 = "LayerNorm_1", .mlp = "MlpBlock_0/"};
const PartNames kPartsNumberedThrough{
    .attention = "MultiHeadDotProductAttention_1/", .norm_2 = "LayerNorm_2", .mlp = "MlpBlock_3/"};

Encoder add_encoder(ModelBuilder& builder, const std::string& to, const std::string& from, int64_t width) {
  const bool scanned = builder.has(from + "encoderblock/LayerNorm_0/scale");
  const std::string first = from + (scanned ? "encoderblock/" : "encoderblock_0/");
  const bool through = builder.has(first + kPartsNumberedThrough.mlp + "Dense_0/kernel");
  const PartNames& parts = through ? kPartsNumberedThrough : kParts;
  Encoder encoder{
      .layers = scanned ? builder.extent(first + "LayerNorm_0/scale", 0) : builder.count(from + "encoderblock_"),
      .heads = builder.extent(first + parts.attention + "query/kernel", scanned ? 2 : 1),
      .hidden = builder.extent(first + parts.mlp + "Dense_0/kernel", scanned ? 2 : 1)};
  for (int64_t i = 0; i < encoder.layers; ++i) {
    const Layer layer = scanned ? Layer{first, i} : Layer{fmt::format("{}encoderblock_{}/", from, i)};
    const std::string block = fmt::format("{}.{}.", to, i);
    for (const auto& [norm, name] : {std::pair{"ln_1", std::string("LayerNorm_0")}, std::pair{"ln_2", parts.norm_2}}) {
      add_vector(builder, fmt::format("{}{}.weight", block, norm), layer, name + "/scale", width);
      add_vector(builder, fmt::format("{}{}.bias", block, norm), layer, name + "/bias", width);
    }
    add_projections(builder, block + "attn.in_proj_weight", block + "attn.in_proj_bias", layer,
                    {parts.attention + "query", parts.attention + "key", parts.attention + "value"}, width);
    add_dense(builder, block + "attn.out_proj", layer, parts.attention + "out", width, width);
    add_dense(builder, block + "mlp.c_fc", layer, parts.mlp + "Dense_0", encoder.hidden, width);
    add_dense(builder, block + "mlp.c_proj", layer, parts.mlp + "Dense_1", width, encoder.hidden);
  }
  return encoder;
}

void set_shape(nlohmann::json& tower, const Encoder& encoder, int64_t width) {
  tower["width"] = width;
  tower["layers"] = encoder.layers;
  tower["heads"] = encoder.heads;
  tower["mlp_ratio"] = static_cast<double>(encoder.hidden) / static_cast<double>(width);
  tower["mlp"] = "gelu_tanh";  // jax.nn.gelu's default
  tower["norm_eps"] = 1e-6;    // flax's default
}

// A tower's head, with bias, or where there is none its features as they are. Gives the width of the embedding.
int64_t add_head(ModelBuilder& builder, const std::string& to, const std::string& from, nlohmann::json& tower,
                 int64_t width) {
  const std::string kernel = from + "head/kernel";
  const bool head = builder.has(kernel);
  const int64_t embed_dim = head ? builder.extent(kernel, 1) : width;
  if (head) {
    builder.add(to + "projection", kernel, {width, embed_dim});
    builder.add(to + "projection_bias", from + "head/bias", {embed_dim});
  } else {
    builder.add(to + "projection", Recipe{.parts = {}, .shape = {width, embed_dim}});
  }
  tower["projection_bias"] = head;
  return embed_dim;
}

// Embeddings of a class token, where there is one, and of positions: the grid's side. The class token has a position
// only where google-research/vision_transformer made it.
int64_t add_positions(ModelBuilder& builder, const std::string& to, const std::string& from, int64_t width) {
  const std::string numbered_through = from + "Transformer/posembed_input/pos_embedding";
  const std::string name = builder.has(numbered_through) ? numbered_through : from + "pos_embedding";
  const int64_t positions = builder.extent(name, 1);
  const bool cls = builder.has(from + "cls");
  if (cls) builder.add(to + "class_embedding", from + "cls", {width});
  if (!cls || name == numbered_through) {
    builder.add(to + "positional_embedding", name, {positions, width});
    return grid_side(positions - (cls ? 1 : 0), name);
  }
  builder.add(to + "positional_embedding", Recipe{.parts = {{.source = "", .shape = {1, width}}, {.source = name}},
                                                  .shape = {1 + positions, width}});
  return grid_side(positions, name);
}

// Gives the width of its features.
int64_t add_image(ModelBuilder& builder, const std::string& from) {
  const std::string to = "model.image.backbone.";
  const std::string kernel = from + "embedding/kernel";  // [P, P, 3, D]
  const int64_t patch = builder.extent(kernel, 0), width = builder.extent(kernel, 3);
  nlohmann::json& image = builder.image();
  image = {{"backbone", "vit"}, {"patch", patch}, {"pre_norm", false}, {"patch_bias", true}};
  builder.add(to + "conv1.weight",
              Recipe{.parts = {{.source = kernel, .permutation = {3, 2, 0, 1}}}, .shape = {width, 3, patch, patch}});
  builder.add(to + "conv1.bias", from + "embedding/bias", {width});
  image["image_size"] = add_positions(builder, to, from, width) * patch;
  const Encoder encoder = add_encoder(builder, to + "transformer.resblocks", from + "Transformer/", width);
  add_flax_norm(builder, to + "ln_post", from + "Transformer/encoder_norm", width);
  set_shape(image, encoder, width);
  const bool map = builder.has(from + "MAPHead_0/probe");
  if (map) {
    const std::string pool = to + "attn_pool.";
    const Layer head{from + "MAPHead_0/"};
    const std::string& attention = kParts.attention;
    builder.add(pool + "latent", from + "MAPHead_0/probe", {1, 1, width});
    add_projections(builder, pool + "q.weight", pool + "q.bias", head, {attention + "query"}, width);
    add_projections(builder, pool + "kv.weight", pool + "kv.bias", head, {attention + "key", attention + "value"},
                    width);
    add_dense(builder, pool + "proj", head, attention + "out", width, width);
    add_flax_norm(builder, pool + "norm", from + "MAPHead_0/LayerNorm_0", width);
    add_dense(builder, pool + "mlp.c_fc", head, "MlpBlock_0/Dense_0", encoder.hidden, width);
    add_dense(builder, pool + "mlp.c_proj", head, "MlpBlock_0/Dense_1", width, encoder.hidden);
  }
  image["pooling"] = map ? "map" : builder.has(from + "cls") ? "cls" : "mean";
  set_preprocessing(image, kHalfPreprocessing);
  image["interpolation"] = "bilinear";
  return width;
}

int64_t add_text(ModelBuilder& builder, const std::string& from) {
  const std::string to = "model.text.backbone.";
  const int64_t vocabulary = builder.extent(from + "Embed_0/embedding", 0);
  const int64_t width = builder.extent(from + "Embed_0/embedding", 1);
  const int64_t length = builder.extent(from + "pos_embedding", 1);
  nlohmann::json& text = builder.text();
  text = {{"backbone", "text_transformer"}, {"mask", "bidirectional"}, {"pooling", "last"}, {"context_length", length}};
  builder.add(to + "token_embedding.weight", from + "Embed_0/embedding", {vocabulary, width});
  builder.add(to + "positional_embedding", from + "pos_embedding", {length, width});
  const Encoder encoder = add_encoder(builder, to + "transformer.resblocks", from + "Encoder_0/", width);
  add_flax_norm(builder, to + "ln_final", from + "Encoder_0/encoder_norm", width);
  set_shape(text, encoder, width);
  const bool gemma = vocabulary > 200'000;
  text["tokenizer"] = {{"tokenizer", "sentencepiece"}, {"padding", gemma ? "model" : "end"}};
  builder.ask("text.tokenizer.model",
              fmt::format("the .model file of SentencePiece that the text tower was trained with, {} pieces ({})",
                          vocabulary, gemma ? "SigLIP 2: Gemma's" : "SigLIP: c4_en or mc4"));
  return add_head(builder, "model.text.", from, text, width);
}

}  // namespace

std::optional<ModelFile> read_big_vision(const std::filesystem::path& path,
                                         std::shared_ptr<const WeightsFile> weights) {
  const auto has = [&](const std::string& name) { return weights->tensors().contains(name); };
  std::string prefix;
  for (const std::string before : {"params/", "opt/target/"})
    if (has(before + "img/embedding/kernel") || has(before + "embedding/kernel")) prefix = before;
  const bool two = has(prefix + "img/embedding/kernel");
  if (!two && !has(prefix + "embedding/kernel")) return std::nullopt;
  ModelBuilder builder(path, std::move(weights));
  builder.set_prefix(prefix);
  const int64_t width = add_image(builder, two ? "img/" : "");
  builder.assume("pictures are squashed to a square by bilinear resizing, values from -1 to 1, as in SigLIP's configs");
  if (two) {
    const int64_t embed_dim = add_head(builder, "model.image.", "img/", builder.image(), width);
    builder.set_embed_dim(embed_dim);
    if (const int64_t texts = add_text(builder, "txt/"); texts != embed_dim)
      throw Error(fmt::format("{}: the image tower's embedding is {} wide, and the text tower's {}", path.string(),
                              embed_dim, texts));
    builder.add_temperature("t", "b");
  }
  // Beside the parameters, and a picture model's head of classes.
  builder.leave_if([&](std::string_view name) {
    if (!name.starts_with(prefix)) return true;
    const std::string_view rest = name.substr(prefix.size());
    return !two && (rest.starts_with("head/") || rest.starts_with("pre_logits/"));
  });
  return builder.finish("big_vision");
}

}  // namespace silc
