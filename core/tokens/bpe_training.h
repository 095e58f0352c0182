// Learning a byte-pair encoding (Sennrich 2016) from captions, as Bpe reads it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "silc/export.h"

namespace silc {

// Words, and how often each occurs.
using WordCounts = std::map<std::string, int64_t>;  // by the word in UTF-8

// The words of a cleaned text, added to `counts`.
SILC_EXPORT void count_words(std::u32string_view text, WordCounts& counts);

struct BpeVocabulary {
  std::string text;    // what Bpe reads, and open_clip's SimpleTokenizer once it is packed by gzip
  int64_t tokens = 0;  // kFewestTokens and the merges
};

// Merges the most frequent pair, again and again, until there are `tokens` tokens or no pair occurs twice. Of pairs
// that are equally frequent the one that comes first by its tokens is merged, so that the same captions give the same
// bytes.
SILC_EXPORT BpeVocabulary train_bpe(const WordCounts& counts, int64_t tokens);

// `text` as a gzip file without name and time, the same bytes for the same text.
SILC_EXPORT std::string gzip(std::string_view text);

}  // namespace silc
