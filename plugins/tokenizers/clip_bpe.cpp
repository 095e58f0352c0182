// CLIP's tokenizer (Radford 2021, section 2.4), id for id as open_clip's SimpleTokenizer.
#include <cstdlib>
#include <filesystem>

#include "plugins/tokenizers/special_tokens.h"
#include "silc/error.h"
#include "silc/tokenizer.h"
#include "tokens/bpe.h"
#include "tokens/clean.h"

namespace silc::tokenizers::clip_bpe {
namespace {

namespace fs = std::filesystem;

constexpr auto kVocabulary =
    file_option("vocabulary",
                "file of merges, gzip or plain, as silc data tokenizer train writes; none: CLIP's own, which "
                "./dev vocabulary fetches");
constexpr auto kClean =
    choice_option("clean", "lower", "lower|whitespace|canonicalize",
                  "as open_clip's: lower repairs broken text and lower-cases it (CLIP); whitespace: "
                  "keeps capitals; canonicalize: lower without punctuation");

constexpr std::string_view kClipFile = "bpe_simple_vocab_16e6.txt.gz";

// Where CLIP's vocabulary is looked for, the best place first.
std::vector<fs::path> clip_places() {
  std::vector<fs::path> places;
  const auto add = [&](const char* variable, const fs::path& below) {
    const char* const folder = std::getenv(variable);
    const bool named = folder != nullptr && *folder != '\0';
    if (named) places.push_back(fs::path(folder) / below / kClipFile);
    return named;
  };
  add("SILC_DATA", "");
  if (!add("XDG_CACHE_HOME", "silc")) add("HOME", ".cache/silc");
  return places;
}

// Its content is always the same, so that a cell's identity needs no more than the plugin's version.
Bpe clip_vocabulary() {
  std::string looked;
  for (const fs::path& file : clip_places()) {
    looked += (looked.empty() ? "" : ", ") + file.parent_path().string();
    if (!fs::exists(file)) continue;
    const std::string text = read_packed(file);
    if (!is_clip_vocabulary(text))
      throw Error(
          "tokenizer \"clip_bpe\": " + file.string() +
          " is not CLIP's vocabulary; remove it and run ./dev vocabulary, or name it by the option \"vocabulary\" "
          "if it is one of yours");
    return {text, file.string()};
  }
  throw Error("tokenizer \"clip_bpe\": CLIP's vocabulary, " + std::string(kClipFile) + ", is not in " + looked +
              "; ./dev vocabulary fetches it from PyPI, or name a file by the option \"vocabulary\"");
}

class ClipBpe : public Tokenizer {
 public:
  explicit ClipBpe(const TokenizerContext& context)
      : bpe_(context.options[kVocabulary].empty() ? clip_vocabulary() : Bpe::read(context.options[kVocabulary])),
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
