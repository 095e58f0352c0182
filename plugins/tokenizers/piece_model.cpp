#include "plugins/tokenizers/piece_model.h"

#include <sentencepiece_processor.h>

#include <memory>

#include "silc/export.h"

namespace silc::tokenizers {
namespace {

class Model : public PieceModel {
 public:
  bool load(std::string_view bytes) { return model_.LoadFromSerializedProto(bytes).ok(); }

  [[nodiscard]] int size() const override { return model_.GetPieceSize(); }
  [[nodiscard]] int start() const override { return model_.bos_id(); }
  [[nodiscard]] int end() const override { return model_.eos_id(); }
  [[nodiscard]] int padding() const override { return model_.pad_id(); }

  [[nodiscard]] std::string encode(std::string_view text, std::vector<int>& pieces) const override {
    const auto status = model_.Encode(text, &pieces);
    return status.ok() ? "" : status.ToString();
  }

 private:
  ::sentencepiece::SentencePieceProcessor model_;
};

}  // namespace
}  // namespace silc::tokenizers

extern "C" SILC_EXPORT silc::tokenizers::PieceModel* silc_open_piece_model(std::string_view bytes) {
  auto model = std::make_unique<silc::tokenizers::Model>();
  return model->load(bytes) ? model.release() : nullptr;
}
