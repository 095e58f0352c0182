// What the families of model files have in common: tensors are named one by one, and in the end every tensor of the
// file has been named, or the file is refused.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "weights/model_file.h"

namespace silc {

class ModelBuilder {
 public:
  ModelBuilder(std::filesystem::path path, std::shared_ptr<const WeightsFile> weights);

  // Tensors are named below without this, which all that are not left begin with: "state_dict.module.".
  void set_prefix(std::string prefix) { prefix_ = std::move(prefix); }

  [[nodiscard]] bool has(const std::string& source) const;
  // One extent of a tensor. Throws silc::Error where it is not there, or has no such index.
  [[nodiscard]] int64_t extent(const std::string& source, std::size_t index) const;
  // The number of dimensions; 0 where there is no such tensor.
  [[nodiscard]] std::size_t dimensions(const std::string& source) const;
  // How many numbers from 0 on stand behind `before` in the tensors' names: "blocks." of "blocks.0.norm1.weight".
  [[nodiscard]] int64_t count(const std::string& before) const;

  // silc's tensor `name` is one of the file's, of this shape but for extents of 1.
  void add(const std::string& name, const std::string& source, const std::vector<int64_t>& shape);
  // The same with its two indices exchanged; `shape` is silc's.
  void add_transposed(const std::string& name, const std::string& source, const std::vector<int64_t>& shape);
  // Made of parts, whose sources are named without the prefix.
  void add(const std::string& name, Recipe recipe);
  // The temperature, kept as a logarithm or not, and where there is one the bias of a contrastive loss.
  void add_temperature(const std::string& scale, const std::string& bias, bool maybe_plain = false);

  // Tensors of the file, with their whole names, that no model needs.
  void leave_if(const std::function<bool(std::string_view)>& needless);

  void ask(const std::string& key, const std::string& what) { file_.questions.push_back({key, what}); }
  void assume(const std::string& what) { file_.assumed.push_back(what); }

  nlohmann::json& image() { return file_.model["image"]; }
  nlohmann::json& text() { return file_.model["text"]; }
  void set_embed_dim(int64_t width) { file_.model["embed_dim"] = width; }

  // Throws silc::Error naming what is missing, unknown or does not fit.
  ModelFile finish(const std::string& family);

 private:
  [[nodiscard]] const std::vector<int64_t>& shape(const std::string& source) const;
  bool use(const std::string& source);

  ModelFile file_;
  std::string prefix_;
  std::set<std::string> used_;
  std::vector<std::string> missing_;
  std::vector<std::string> faults_;
};

// Names of a transformer block's parts behind the block's number, without ".weight" and ".bias".
struct BlockNames {
  std::string norm_1, query, key, value, out, norm_2, hidden, hidden_out, scale_1, scale_2;
  std::string joined = {};                 // query, key and value in one: "attn.qkv."; in place of the three
  std::string gated = {}, gated_out = {};  // of a gated MLP, where blocks may have one in place of the other
};

struct BlockShape {
  int64_t layers = 0;
  int64_t hidden = 0;
  bool gated = false;
  bool scaled = false;  // LayerScale
};

// Blocks "FROM0.norm1.weight" become "TO.0.ln_1.weight".
BlockShape add_blocks(ModelBuilder& builder, const std::string& to, const std::string& from, int64_t width,
                      const BlockNames& names);

// "weight" and "bias" of a norm or, with `in`, of a linear layer from `in` to `width`.
void add_norm(ModelBuilder& builder, const std::string& to, const std::string& from, int64_t width);
void add_linear(ModelBuilder& builder, const std::string& to, const std::string& from, int64_t width, int64_t in);

// Position embeddings of a square grid, and of a class token where there is one: its side. Throws silc::Error for
// others.
int64_t grid_side(int64_t positions, const std::string& name);

// 64 channels a head, as nearly all have; 72 or others where the width is known for it. Says so in `assumed`.
int64_t usual_heads(ModelBuilder& builder, int64_t width, const std::string& tower);

// `heads`, which a file's `setting` gives. Throws silc::Error naming it where they do not divide the width.
int64_t checked_heads(int64_t heads, int64_t width, const std::string& setting);

// What pictures go through before the model, from a preprocessor's settings; `standard` where it does not say.
struct Preprocessing {
  std::vector<double> mean, std;
  std::string interpolation, resize_mode;
};
extern const Preprocessing kClipPreprocessing;
extern const Preprocessing kHalfPreprocessing;  // mean and standard deviation ½, the picture squashed
void set_preprocessing(nlohmann::json& image, const Preprocessing& preprocessing);

// A JSON file beside the weights; null where there is none. Throws silc::Error where it is not JSON, or no object.
nlohmann::json read_settings(const std::filesystem::path& file);

// The families. Each gives nothing where the file is none of its own.
std::optional<ModelFile> read_open_clip(const std::filesystem::path& path, std::shared_ptr<const WeightsFile> weights);
std::optional<ModelFile> read_hugging_face(const std::filesystem::path& path,
                                           std::shared_ptr<const WeightsFile> weights);
std::optional<ModelFile> read_big_vision(const std::filesystem::path& path, std::shared_ptr<const WeightsFile> weights);
std::optional<ModelFile> read_timm(const std::filesystem::path& path, std::shared_ptr<const WeightsFile> weights);
std::optional<ModelFile> read_own(const std::filesystem::path& path, std::shared_ptr<const WeightsFile> weights);

// Of a picture model below `from` in timm's names ("visual.trunk."), as a vit: settings into builder.image(), tensors
// as silc's. Gives its width. `act`: of the MLP, empty where it is not known.
int64_t add_timm_vit(ModelBuilder& builder, const std::string& from, const std::string& act);

}  // namespace silc
