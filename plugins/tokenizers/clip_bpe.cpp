// CLIP's tokenizer (Radford 2021, section 2.4), id for id as open_clip's SimpleTokenizer.
#include "plugins/tokenizers/special_tokens.h"
#include "silc/tokenizer.h"
#include "tokens/bpe.h"
#include "tokens/clean.h"

namespace silc::tokenizers::clip_bpe {
namespace {

constexpr auto kVocabulary =
    file_option("vocabulary",
                "file of merges, gzip or plain, as silc data tokenizer train writes; none: CLIP's own, which "
                "./dev vocabulary fetches");
constexpr auto kClean =
    choice_option("clean", "lower", "lower|whitespace|canonicalize",
                  "as open_clip's: lower repairs broken text and lower-cases it (CLIP); whitespace: "
                  "keeps capitals; canonicalize: lower without punctuation");

class ClipBpe : public Tokenizer {
 public:
  explicit ClipBpe(const TokenizerContext& context)
      : bpe_(context.options[kVocabulary].empty() ? Bpe(read_clip_vocabulary(), "CLIP's vocabulary")
                                                  : Bpe::read(context.options[kVocabulary])),
        cleaning_(parse_cleaning(context.options[kClean])) {}

  [[nodiscard]] int64_t vocabulary_size() const override { return bpe_.size(); }
  [[nodiscard]] int64_t start_id() const override { return bpe_.start_id(); }

  [[nodiscard]] std::vector<int64_t> encode(std::string_view text, int64_t length) const override {
    const std::vector<int64_t> ids = bpe_.encode(clean(text, cleaning_), static_cast<std::size_t>(length));
    return make_row(ids, {.start = bpe_.start_id(), .end = bpe_.end_id(), .padding = padding_id()}, length);
  }

 private:
  Bpe bpe_;
  Cleaning cleaning_;
};

}  // namespace

SILC_TOKENIZER(clip_bpe, ClipBpe, 1, "CLIP's byte-pair encoding, id for id as open_clip's", kVocabulary, kClean);

}  // namespace silc::tokenizers::clip_bpe
