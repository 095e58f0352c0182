#include "tokens/bpe_training.h"

#include <zlib.h>

#include <algorithm>
#include <queue>
#include <set>
#include <stdexcept>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "tokens/bpe.h"
#include "tokens/unicode.h"

namespace silc {
namespace {

using Pair = std::pair<int32_t, int32_t>;  // symbols that follow each other

struct HashPair {
  std::size_t operator()(const Pair& pair) const {
    return std::hash<uint64_t>()(static_cast<uint64_t>(pair.first) << 32 ^ static_cast<uint64_t>(pair.second));
  }
};

struct Word {
  std::vector<int32_t> symbols;
  int64_t count = 0;
};

class Trainer {
 public:
  explicit Trainer(const WordCounts& counts) {
    for (const std::string& character : byte_characters()) symbol(character);
    for (const std::string& character : byte_characters()) symbol(character + "</w>");
    words_.reserve(counts.size());
    for (const auto& [text, count] : counts) {
      Word word{{}, count};
      for (const char byte : text) word.symbols.push_back(symbol(byte_characters()[static_cast<unsigned char>(byte)]));
      word.symbols.back() = symbol(names_[static_cast<std::size_t>(word.symbols.back())] + "</w>");
      words_.push_back(std::move(word));
    }
    for (std::size_t w = 0; w < words_.size(); ++w) count_pairs(w, 1);
    for (const auto& [pair, count] : counts_) queue_.push({count, pair});
  }

  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  // The most frequent pair, merged everywhere, as a line of the vocabulary; empty: none occurs twice.
  std::string merge() {
    while (!queue_.empty()) {
      const Entry entry = pop();
      const auto found = counts_.find(entry.pair);
      if (found == counts_.end() || found->second != entry.count) continue;  // it has changed since
      if (entry.count < 2) return "";
      const std::string& left = names_[static_cast<std::size_t>(entry.pair.first)];
      const std::string& right = names_[static_cast<std::size_t>(entry.pair.second)];
      // A token that can be spelled in two ways has one id only: the other way is not merged.
      if (ids_.contains(left + right)) {
        counts_.erase(found);
        continue;
      }
      std::string line = left + " " + right;
      merge(entry.pair, symbol(left + right));
      return line;
    }
    return "";
  }

 private:
  struct Entry {
    int64_t count = 0;
    Pair pair;
  };

  // The greatest count first, then the first by the tokens' names.
  struct Less {
    const Trainer* trainer;
    bool operator()(const Entry& a, const Entry& b) const {
      if (a.count != b.count) return a.count < b.count;
      const auto name = [&](int32_t symbol) -> const std::string& {
        return trainer->names_[static_cast<std::size_t>(symbol)];
      };
      return std::tie(name(a.pair.first), name(a.pair.second)) > std::tie(name(b.pair.first), name(b.pair.second));
    }
  };

  Entry pop() {
    Entry entry = queue_.top();
    queue_.pop();
    return entry;
  }

  int32_t symbol(const std::string& name) {
    const auto [entry, fresh] = ids_.try_emplace(name, static_cast<int32_t>(names_.size()));
    if (fresh) names_.push_back(name);
    return entry->second;
  }

  // Adds or takes away a word's pairs.
  void count_pairs(std::size_t w, int64_t sign) {
    const Word& word = words_[w];
    for (std::size_t i = 0; i + 1 < word.symbols.size(); ++i) {
      const Pair pair{word.symbols[i], word.symbols[i + 1]};
      counts_[pair] += sign * word.count;
      if (sign > 0) places_[pair].insert(w);
      changed_.insert(pair);
    }
  }

  void merge(const Pair& pair, int32_t joined) {
    const std::set<std::size_t> words = std::move(places_[pair]);
    places_.erase(pair);
    changed_.clear();
    for (const std::size_t w : words) {
      count_pairs(w, -1);
      std::vector<int32_t>& symbols = words_[w].symbols;
      std::size_t kept = 0;
      for (std::size_t i = 0; i < symbols.size(); ++i) {
        const bool here = i + 1 < symbols.size() && symbols[i] == pair.first && symbols[i + 1] == pair.second;
        symbols[kept++] = here ? joined : symbols[i];
        if (here) ++i;
      }
      symbols.resize(kept);
      count_pairs(w, 1);
    }
    for (const Pair& other : changed_) {
      const auto found = counts_.find(other);
      if (found->second > 0)
        queue_.push({found->second, other});
      else
        counts_.erase(found);
    }
  }

  std::vector<std::string> names_;  // by symbol
  std::unordered_map<std::string, int32_t> ids_;
  std::vector<Word> words_;
  std::unordered_map<Pair, int64_t, HashPair> counts_;
  std::unordered_map<Pair, std::set<std::size_t>, HashPair> places_;  // words with the pair, now or before
  std::set<Pair> changed_;                                            // since the last merge
  std::priority_queue<Entry, std::vector<Entry>, Less> queue_{Less{this}};
};

}  // namespace

void count_words(std::u32string_view text, WordCounts& counts) {
  for_each_word(text, [&](std::u32string_view word) {
    if (word != U"<start_of_text>" && word != U"<end_of_text>") ++counts[to_utf8(word)];
  });
}

BpeVocabulary train_bpe(const WordCounts& counts, int64_t tokens) {
  BpeVocabulary vocabulary{"#version: 0.2", kFewestTokens};
  Trainer trainer(counts);
  while (vocabulary.tokens < tokens) {
    const std::string line = trainer.merge();
    if (line.empty()) break;
    // No newline at the end, which open_clip would count as a token.
    vocabulary.text += "\n" + line;
    ++vocabulary.tokens;
  }
  return vocabulary;
}

std::string gzip(std::string_view text) {
  z_stream stream{};
  constexpr int kGzip = 16 + MAX_WBITS;
  if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::runtime_error("zlib cannot be used");
  std::string packed(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  const int state = deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  if (state != Z_STREAM_END) throw std::runtime_error("zlib cannot pack a text");
  return packed;
}

}  // namespace silc
