// Any model of SentencePiece (Kudo 2018), among them those of SigLIP (c4_en, mc4) and SigLIP 2 (Gemma's).
#include <dlfcn.h>

#include <memory>

#include "plugins/tokenizers/piece_model.h"
#include "plugins/tokenizers/special_tokens.h"
#include "silc/error.h"
#include "silc/tokenizer.h"
#include "tokens/bpe.h"
#include "tokens/clean.h"
#include "tokens/unicode.h"

namespace silc::tokenizers::sentencepiece {
namespace {

constexpr auto kModel = required_file_option("model", "the .model file");
constexpr auto kClean =
    choice_option("clean", "lower_ascii", "none|lower_ascii|lower_case|without_punctuation|canonicalize",
                  "before the model's own normalisation: lower_ascii as SigLIP and SigLIP 2 were trained; lower_case, "
                  "without_punctuation as transformers reads for SigLIP 2, SigLIP; canonicalize as open_clip");
constexpr auto kPadding = choice_option(
    "padding", "end", "end|model", "the end token again, as in SigLIP; or the model's padding token, as in SigLIP 2");
constexpr auto kStart =
    boolean_option("start", false, "begin with the model's start token, as captions need it that are written");

// The address sanitizer allows no such binding: in its builds the two meet.
#ifdef __SANITIZE_ADDRESS__
constexpr int kBinding = RTLD_NOW | RTLD_LOCAL;
#else
constexpr int kBinding = RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND;
#endif

OpenPieceModel opener() {
  static void* const library = ::dlopen(kPieceLibrary, kBinding);  // stays
  void* const function = library != nullptr ? ::dlsym(library, kOpenPieceModel) : nullptr;
  if (function == nullptr) {
    const char* const fault = ::dlerror();
    throw Error("tokenizer \"sentencepiece\": " + std::string(fault != nullptr ? fault : "cannot be opened") +
                "; build or install silc anew");
  }
  return reinterpret_cast<OpenPieceModel>(function);
}

std::unique_ptr<PieceModel> load(const std::string& file) {
  // The library's own reading of files complains on stderr, and takes a folder for an empty file.
  std::unique_ptr<PieceModel> model(opener()(read_packed(file)));
  if (model == nullptr)
    throw Error("tokenizer \"sentencepiece\": " + file + " is no model of SentencePiece, or damaged; get it anew");
  return model;
}

class SentencePiece : public Tokenizer {
 public:
  explicit SentencePiece(const TokenizerContext& context)
      : model_(load(context.options[kModel])), cleaning_(parse_cleaning(context.options[kClean])) {
    const auto required = [&](int id, const std::string& token) {
      if (id < 0)
        throw Error("tokenizer \"sentencepiece\": the model " + context.options[kModel] + " has no " + token +
                    " token");
      return int64_t{id};
    };
    special_.end = required(model_->end(), "end");
    special_.padding = context.options[kPadding] == "end" ? special_.end : required(model_->padding(), "padding");
    if (context.options[kStart]) special_.start = required(model_->start(), "start");
  }

  [[nodiscard]] int64_t vocabulary_size() const override { return model_->size(); }
  [[nodiscard]] int64_t padding_id() const override { return special_.padding; }
  [[nodiscard]] int64_t end_id() const override { return special_.end; }
  [[nodiscard]] int64_t start_id() const override { return special_.start.value_or(kNoStart); }

  [[nodiscard]] std::vector<int64_t> encode(std::string_view text, int64_t length) const override {
    std::vector<int> pieces;
    if (const std::string fault = model_->encode(to_utf8(clean(text, cleaning_)), pieces); !fault.empty())
      throw Error("tokenizer \"sentencepiece\": " + fault);
    return make_row(std::vector<int64_t>(pieces.begin(), pieces.end()), special_, length);
  }

 private:
  std::unique_ptr<PieceModel> model_;
  Cleaning cleaning_;
  SpecialTokens special_;
};

}  // namespace

SILC_TOKENIZER(sentencepiece, SentencePiece, 1, "a model of SentencePiece, as SigLIP's and SigLIP 2's", kModel, kClean,
               kPadding, kStart);

}  // namespace silc::tokenizers::sentencepiece
