// What exports to several formats have in common: settings are asked for one by one, silc's tensors are given the
// reader's names, and in the end every tensor of the towers has a place, or the export is refused with all reasons.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "weights/export.h"
#include "weights/model_builder.h"

namespace silc {

class ExportBuilder {
 public:
  // `reader`: whom it is for, as messages call it: "open_clip".
  ExportBuilder(const ModelFile& file, const ExportRequest& request, std::string reader);

  [[nodiscard]] const ModelFile& file() const { return file_; }
  [[nodiscard]] const ExportRequest& request() const { return request_; }

  // A setting of a tower, "image" or "text", or the backbone's default where it is not written.
  template <class T>
  [[nodiscard]] T setting(const std::string& tower, const std::string& key, T standard) const {
    const nlohmann::json& table = settings(tower);
    const auto found = table.find(key);
    return found == table.end() ? standard : found->get<T>();
  }
  [[nodiscard]] std::string text_setting(const std::string& tower, const std::string& key,
                                         const std::string& standard) const {
    return setting<std::string>(tower, key, standard);
  }
  [[nodiscard]] int64_t embed_dim() const { return file_.model.at("embed_dim").get<int64_t>(); }

  // What the format has no place for: a sentence's end, "an image tower has none of these".
  void refuse(const std::string& what) { refusals_.push_back(what); }
  void refuse(const std::string& tower, const std::string& key, const std::string& why);
  // Refuses a setting that has another value than `wanted`.
  template <class T>
  void require(const std::string& tower, const std::string& key, const T& wanted, const T& standard,
               const std::string& why) {
    if (setting(tower, key, standard) != wanted) refuse(tower, key, why);
  }
  void remark(const std::string& sentence) { export_.remarks.push_back(sentence); }

  // silc's tensors.
  [[nodiscard]] bool has(const std::string& name) const { return file_.tensors.contains(name); }
  // Throws silc::Error where there is no such tensor: with what has been refused, if anything has.
  [[nodiscard]] const std::vector<int64_t>& shape(const std::string& name) const;
  [[nodiscard]] HostTensor values(const std::string& name) const;
  // Names below a prefix, without it.
  [[nodiscard]] std::vector<std::string> below(const std::string& prefix) const;

  // The reader's tensor `to` is silc's `from`, as it is, read as of another shape, or with its two indices exchanged.
  void copy(const std::string& to, const std::string& from);
  void copy(const std::string& to, const std::string& from, const std::vector<int64_t>& shape);
  void transpose(const std::string& to, const std::string& from);
  // Some rows of it; several tensors one above the other; zeros.
  void rows(const std::string& to, const std::string& from, int64_t begin, int64_t count);
  void stack(const std::string& to, const std::vector<std::string>& from);
  void zeros(const std::string& to, const std::vector<int64_t>& shape);
  // silc's tensor has no place and needs none, as its values make no difference.
  void drop(const std::string& name) { used_.insert(name); }

  // The name of the objective's tensor "logit_scale" or "logit_bias"; nothing where it has none.
  [[nodiscard]] std::optional<std::string> of_objective(const std::string& name) const;

  [[nodiscard]] ModelExport& planned() { return export_; }
  // A JSON file of the export.
  void add_json(const std::string& name, const nlohmann::ordered_json& content);

  // Throws silc::Error with all that has no place.
  ModelExport finish();

 private:
  [[nodiscard]] const nlohmann::json& settings(const std::string& tower) const;
  void add(const std::string& to, Recipe recipe, const std::vector<std::string>& used);
  void throw_refusals() const;

  const ModelFile& file_;
  ExportRequest request_;
  std::string reader_;
  ModelExport export_;
  std::set<std::string> used_;
  std::vector<std::string> refusals_;
};

// Blocks "FROM.0.ln_1.weight" of silc's transformer as Hugging Face's or timm's.
struct ExportedBlockNames {
  std::string norm_1, out, norm_2, hidden, hidden_out;
  std::vector<std::string> projections;  // of query, key and value
  std::string joined = {};               // all three in one, "attn.qkv.", in place of them
};
void export_blocks(ExportBuilder& builder, const std::string& to, const std::string& from, int64_t layers,
                   const ExportedBlockNames& names);

// "weight" and "bias".
void export_layer(ExportBuilder& builder, const std::string& to, const std::string& from);

// What both formats' towers must be: a vit and a text_transformer of silc's, with nothing beside them.
void check_towers(ExportBuilder& builder);
// Whether the objective has a decoder that writes captions.
bool has_caption_decoder(const ModelFile& file);
// Whether a tower's projection leaves its features as they are.
bool is_identity(ExportBuilder& builder, const std::string& tower);

// What pictures go through before the model; silc's defaults where the settings do not say.
Preprocessing preprocessing_of(const ExportBuilder& builder);

// Of the tokens that begin and end a text and stand behind it.
int64_t start_id(const ExportBuilder& builder);
int64_t end_id(const ExportBuilder& builder);
int64_t padding_id(const ExportBuilder& builder);

// The tokenizer's files and, of open_clip's text_cfg, the keys that name them.
nlohmann::ordered_json export_tokenizer(ExportBuilder& builder);

ModelExport export_open_clip(const ModelFile& file, const ExportRequest& request);
ModelExport export_hugging_face(const ModelFile& file, const ExportRequest& request);
ModelExport export_own(const ModelFile& file, const ExportRequest& request);

}  // namespace silc
