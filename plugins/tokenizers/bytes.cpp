// A tokenizer without vocabulary: the bytes of the text in UTF-8.
#include "plugins/tokenizers/special_tokens.h"
#include "silc/tokenizer.h"

namespace silc::tokenizers::bytes {
namespace {

constexpr int64_t kFirstByte = 2;
constexpr int64_t kEnd = kFirstByte + 256;

// Ids: padding, start, the 256 bytes, end.
class Bytes : public Tokenizer {
 public:
  explicit Bytes(const TokenizerContext& /*context*/) {}

  [[nodiscard]] int64_t vocabulary_size() const override { return kEnd + 1; }

  [[nodiscard]] std::vector<int64_t> encode(std::string_view text, int64_t length) const override {
    std::vector<int64_t> ids;
    ids.reserve(text.size());
    for (const char byte : text) ids.push_back(kFirstByte + static_cast<unsigned char>(byte));
    return make_row(ids, kEnd, length);
  }
};

}  // namespace

SILC_TOKENIZER(bytes, Bytes, 1, "the bytes of the text in UTF-8; no vocabulary to build");

}  // namespace silc::tokenizers::bytes
