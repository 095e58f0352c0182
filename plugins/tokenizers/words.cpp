// A tokenizer of whole words, whose vocabulary comes from the training captions.
#include "plugins/tokenizers/words.h"

#include <algorithm>
#include <unordered_map>

#include "plugins/tokenizers/special_tokens.h"
#include "silc/error.h"
#include "silc/tokenizer.h"

namespace silc::tokenizers::words {
namespace {

constexpr auto kVocabulary =
    integer_option("vocabulary", 8192, 1, 1000000, "words at most; the rarest become the unknown token");
constexpr auto kSample =
    integer_option("sample", 20000, 1, 100000000, "captions of the training data that the vocabulary is built from");

constexpr int64_t kUnknown = 2;
constexpr int64_t kFirstWord = 3;

bool is_word_byte(unsigned char byte) {
  return byte >= 0x80 || (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

char lower(char byte) { return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte - 'A' + 'a') : byte; }

// Words of the sample, the most frequent first, equally frequent ones by alphabet.
std::vector<std::string> build_vocabulary(const TokenizerContext& context) {
  std::unordered_map<std::string, int64_t> counts;
  const int64_t sample = std::min(context.options[kSample], context.caption_count);
  for (int64_t i = 0; i < sample; ++i)
    for (std::string& word : split_words(context.caption(i))) ++counts[std::move(word)];
  std::vector<std::pair<int64_t, std::string>> ranked;
  ranked.reserve(counts.size());
  for (const auto& [word, count] : counts) ranked.emplace_back(-count, word);
  std::sort(ranked.begin(), ranked.end());
  ranked.resize(std::min(ranked.size(), static_cast<std::size_t>(context.options[kVocabulary])));
  std::vector<std::string> words;
  words.reserve(ranked.size());
  for (auto& [count, word] : ranked) words.push_back(std::move(word));
  return words;
}

// Ids: padding, start, unknown, the words, end.
class Words : public Tokenizer {
 public:
  explicit Words(const TokenizerContext& context) {
    const std::vector<std::string> words = build_vocabulary(context);
    if (words.empty())
      throw Error("tokenizer \"words\": the training captions hold no words to build a vocabulary from");
    for (std::size_t i = 0; i < words.size(); ++i) ids_.emplace(words[i], kFirstWord + static_cast<int64_t>(i));
    end_ = kFirstWord + static_cast<int64_t>(words.size());
  }

  [[nodiscard]] int64_t vocabulary_size() const override { return end_ + 1; }

  [[nodiscard]] std::vector<int64_t> encode(std::string_view text, int64_t length) const override {
    std::vector<int64_t> ids;
    for (const std::string& word : split_words(text)) {
      const auto found = ids_.find(word);
      ids.push_back(found == ids_.end() ? kUnknown : found->second);
    }
    return make_row(ids, end_, length);
  }

 private:
  std::unordered_map<std::string, int64_t> ids_;
  int64_t end_ = 0;
};

}  // namespace

std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char byte = text[i];
    const bool joins = (byte == '-' || byte == '\'') && !word.empty() && i + 1 < text.size() &&
                       is_word_byte(static_cast<unsigned char>(text[i + 1]));
    if (is_word_byte(static_cast<unsigned char>(byte)) || joins) {
      word += lower(byte);
    } else if (!word.empty()) {
      words.push_back(std::move(word));
      word.clear();
    }
  }
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

SILC_TOKENIZER(words, Words, 1, "whole lower-case words, the vocabulary built from the training captions",
               learns_from_captions(), kVocabulary, kSample);

}  // namespace silc::tokenizers::words
