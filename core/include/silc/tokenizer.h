// Tokenizer plugins: text to token ids.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "silc/plugin.h"

namespace silc {

struct TokenizerContext {
  const Options& options;
  // Captions of the training data, for tokenizers that build their vocabulary from them and say so in their declaration
  // (learns_from_captions): a pure function of the index, 0 ≤ index < caption_count.
  int64_t caption_count = 0;
  std::function<std::string(int64_t index)> caption;
};

// Called from several threads at once. Ids lie in [0, vocabulary_size()).
class SILC_EXPORT Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  [[nodiscard]] virtual int64_t vocabulary_size() const = 0;
  [[nodiscard]] virtual int64_t padding_id() const { return 0; }

  // What ends the text of every row. The greatest id, as CLIP's, unless overridden.
  [[nodiscard]] virtual int64_t end_id() const { return vocabulary_size() - 1; }
  // What every row begins with; kNoStart: with the text itself, as SigLIP's. Captions can only be written, and a
  // decoder of them trained, from a start token and with padding that is not the end token.
  static constexpr int64_t kNoStart = -1;
  [[nodiscard]] virtual int64_t start_id() const { return encode("", 2).front(); }

  // Exactly `length` ids, length ≥ 2: start token, text, end token, padding; a text that is too long is cut and still
  // ends with the end token. What no UTF-8 is must not throw.
  [[nodiscard]] virtual std::vector<int64_t> encode(std::string_view text, int64_t length) const = 0;
};

}  // namespace silc

// SILC_TOKENIZER(identifier, Class, version, "one line", options...)
#define SILC_TOKENIZER(id, Class, version, ...) \
  SILC_PLUGIN(tokenizer, ::silc::Tokenizer, ::silc::TokenizerContext, id, Class, version, __VA_ARGS__)
