#include "tokens/bpe.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <queue>
#include <tuple>
#include <unordered_set>
#include <utility>

#include "silc/error.h"
#include "tokens/tables.h"
#include "tokens/unicode.h"

namespace silc {
namespace {

constexpr std::string_view kWordEnd = "</w>";
constexpr std::u32string_view kStart = U"<start_of_text>";
constexpr std::u32string_view kEnd = U"<end_of_text>";

// Case is ignored as Unicode folds it: the long s is an s.
char32_t folded(char32_t c) { return c == 0x17F ? U's' : lower_ascii(c); }

bool begins_with(std::u32string_view text, std::u32string_view prefix) {
  return text.size() >= prefix.size() &&
         std::equal(prefix.begin(), prefix.end(), text.begin(), [](char32_t a, char32_t b) { return a == folded(b); });
}

// The length of the word that `text` begins with; 0: it begins with a space.
std::size_t word_length(std::u32string_view text) {
  constexpr std::array<std::u32string_view, 9> kWords = {kStart, kEnd,  U"'s",  U"'t", U"'re",
                                                         U"'ve", U"'m", U"'ll", U"'d"};
  if (text.front() == U'<' || text.front() == U'\'')
    for (const std::u32string_view word : kWords)
      if (begins_with(text, word)) return word.size();
  const CharacterClass kind = class_of(text.front());
  if (kind == CharacterClass::none) return 0;
  if (kind == CharacterClass::number) return 1;
  std::size_t length = 1;
  while (length < text.size() && class_of(text[length]) == kind) ++length;
  return length;
}

struct CloseGzip {
  void operator()(gzFile_s* file) const { gzclose(file); }
};

uint64_t pair_key(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

// The words of a line, whatever spaces are between.
std::vector<std::string> split_words(std::string_view line) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : line) {
    const bool space = c == ' ' || (c >= '\t' && c <= '\r');
    if (!space) word += c;
    if (space && !word.empty()) words.push_back(std::exchange(word, {}));
  }
  if (!word.empty()) words.push_back(word);
  return words;
}

}  // namespace

void for_each_word(std::u32string_view text, const std::function<void(std::u32string_view word)>& visit) {
  while (!text.empty()) {
    const std::size_t length = word_length(text);
    if (length > 0) visit(text.substr(0, length));
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
}

std::span<const std::string> byte_characters() {
  static const std::vector<std::string> kCharacters = [] {
    std::vector<std::string> characters;
    char32_t next = 256;
    for (char32_t byte = 0; byte < 256; ++byte) {
      const bool visible = (byte >= U'!' && byte <= U'~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
      characters.push_back(to_utf8(std::u32string{visible ? byte : next++}));
    }
    return characters;
  }();
  return kCharacters;
}

std::string read_packed(const std::filesystem::path& file) {
  constexpr std::size_t kMost = std::size_t{64} << 20;
  const auto fail = [&](const std::string& reason) { throw Error("cannot read " + file.string() + ": " + reason); };
  if (std::filesystem::is_directory(file)) fail(std::strerror(EISDIR));
  errno = 0;
  const std::unique_ptr<gzFile_s, CloseGzip> stream(gzopen(file.c_str(), "rb"));
  if (!stream) fail(errno == 0 ? "out of memory" : std::strerror(errno));
  std::string text;
  std::array<char, 65536> part{};
  int count = 0;
  while ((count = gzread(stream.get(), part.data(), part.size())) > 0) {
    text.append(part.data(), static_cast<std::size_t>(count));
    if (text.size() > kMost) fail("it has more than 64 MB");
  }
  int error = Z_OK;
  const char* const message = gzerror(stream.get(), &error);
  if (count < 0 || (error != Z_OK && error != Z_STREAM_END))
    fail(error == Z_BUF_ERROR ? "the gzip file is cut off; get it anew"
                              : "the gzip file is damaged (" + std::string(message) + "); get it anew");
  return text;
}

std::string read_clip_vocabulary() {
  namespace fs = std::filesystem;
  constexpr std::string_view kFile = "bpe_simple_vocab_16e6.txt.gz";
  std::vector<fs::path> folders;  // the best place first
  const auto add = [&](const char* variable, const fs::path& below) {
    const char* const folder = std::getenv(variable);
    const bool named = folder != nullptr && *folder != '\0';
    if (named) folders.push_back(below.empty() ? fs::path(folder) : fs::path(folder) / below);
    return named;
  };
  add("SILC_DATA", "");
  if (!add("XDG_CACHE_HOME", "silc")) add("HOME", ".cache/silc");
  std::string looked;
  for (const fs::path& folder : folders) {
    looked += (looked.empty() ? "" : ", ") + folder.string();
    const fs::path file = folder / kFile;
    if (!fs::exists(file)) continue;
    std::string text = read_packed(file);
    if (!is_clip_vocabulary(text))
      throw Error(
          "tokenizer \"clip_bpe\": " + file.string() +
          " is not CLIP's vocabulary; remove it and run ./dev vocabulary, or name it by the option \"vocabulary\" "
          "if it is one of yours");
    return text;
  }
  throw Error("tokenizer \"clip_bpe\": CLIP's vocabulary, " + std::string(kFile) + ", is not in " + looked +
              "; ./dev vocabulary fetches it from PyPI, or name a file by the option \"vocabulary\"");
}

bool is_clip_vocabulary(std::string_view text) {
  // Of bpe_simple_vocab_16e6.txt, by length and CRC-32.
  constexpr std::size_t kLength = 3194984;
  constexpr uLong kChecksum = 0xe7f18a90;
  return text.size() == kLength &&
         crc32(0, reinterpret_cast<const Bytef*>(text.data()), static_cast<uInt>(text.size())) == kChecksum;
}

Bpe Bpe::read(const std::filesystem::path& file) { return {read_packed(file), file.string()}; }

MergeTable read_merges(std::string_view text, const std::string& name) {
  constexpr std::size_t kMostMerges = kMostTokens - kFewestTokens;
  if (text.empty()) throw Error(name + " is empty; a vocabulary of merges was expected, as CLIP's");
  MergeTable vocabulary;
  std::vector<std::string>& tokens = vocabulary.tokens;
  // Visible bytes come first: their characters are below 256.
  for (const bool visible : {true, false})
    for (const std::string& character : byte_characters())
      if ((from_utf8(character).front() < 256) == visible) tokens.push_back(character);
  for (std::size_t i = 0; i < 256; ++i) tokens.push_back(tokens[i] + std::string(kWordEnd));

  std::vector<std::string_view> lines;
  for (std::string_view rest = text;;) {
    const std::size_t end = rest.find('\n');
    lines.push_back(rest.substr(0, end));
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  lines.resize(std::min(lines.size(), kMostMerges + 1));
  std::unordered_set<std::string> known(tokens.begin(), tokens.end());
  for (std::size_t line = 1; line < lines.size(); ++line) {
    std::vector<std::string> words = split_words(lines[line]);
    // SimpleTokenizer counts the nothing behind a newline at the end as a token.
    const bool end = words.empty() && line + 1 == lines.size();
    if (!end && (words.size() != 2 || !known.contains(words[0]) || !known.contains(words[1])))
      throw Error(name + ":" + std::to_string(line + 1) +
                  ": two tokens of the lines before were expected; is it a vocabulary of merges, as CLIP's?");
    if (end) words.assign(2, "");
    tokens.push_back(words[0] + words[1]);
    known.insert(tokens.back());
    if (!end) vocabulary.merges.push_back({std::move(words[0]), std::move(words[1])});
  }
  if (vocabulary.merges.empty()) throw Error(name + " has no merges; a vocabulary of merges was expected, as CLIP's");
  return vocabulary;
}

Bpe::Bpe(std::string_view text, const std::string& name) {
  const auto [tokens, merges] = read_merges(text, name);
  std::unordered_map<std::string, int32_t> ids;
  for (std::size_t i = 0; i < tokens.size(); ++i) ids[tokens[i]] = static_cast<int32_t>(i);
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const auto& [left, right] = merges[rank];
    merges_[pair_key(ids.at(left), ids.at(right))] = {static_cast<int32_t>(rank), ids.at(left + right)};
  }
  size_ = static_cast<int64_t>(tokens.size()) + 2;
  for (const std::string& character : byte_characters()) {
    byte_ids_.push_back(ids.at(character));
    last_byte_ids_.push_back(ids.at(character + std::string(kWordEnd)));
  }
}

const Bpe::Joined* Bpe::joined(int32_t left, int32_t right) const {
  const auto found = merges_.find(pair_key(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

std::vector<int64_t> Bpe::encode(std::u32string_view text, std::size_t most) const {
  std::vector<int64_t> ids;
  while (!text.empty() && ids.size() < most) {
    const std::size_t length = word_length(text);
    if (length > 0) append_word(text.substr(0, length), ids);
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return ids;
}

// Merges the pair of the lowest rank wherever it is, from left to right, then the lowest of those that there are then.
void Bpe::append_word(std::u32string_view word, std::vector<int64_t>& ids) const {
  if (word == kStart) return ids.push_back(start_id());
  if (word == kEnd) return ids.push_back(end_id());
  const std::string bytes = to_utf8(word);
  struct Symbol {
    int32_t id = 0;  // -1: it is part of the one before
    int32_t before = 0, after = 0;
  };
  const auto count = static_cast<int32_t>(bytes.size());
  std::vector<Symbol> symbols;
  symbols.reserve(bytes.size());
  for (int32_t i = 0; i < count; ++i)
    symbols.push_back(
        {byte_ids_[static_cast<unsigned char>(bytes[static_cast<std::size_t>(i)])], i - 1, i + 1 < count ? i + 1 : -1});
  symbols.back().id = last_byte_ids_[static_cast<unsigned char>(bytes.back())];

  struct Candidate {
    int32_t rank = 0, at = 0, left = 0, right = 0, joined = 0;
    bool operator>(const Candidate& other) const { return std::tie(rank, at) > std::tie(other.rank, other.at); }
  };
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> candidates;
  const auto at = [&](int32_t i) -> Symbol& { return symbols[static_cast<std::size_t>(i)]; };
  const auto consider = [&](int32_t i) {
    if (i < 0 || at(i).after < 0) return;
    const int32_t left = at(i).id, right = at(at(i).after).id;
    if (const Joined* pair = joined(left, right)) candidates.push({pair->rank, i, left, right, pair->id});
  };
  for (int32_t i = 0; i < count; ++i) consider(i);
  std::vector<int32_t> merged;
  while (!candidates.empty()) {
    // New pairs are looked at once all of this rank are merged.
    merged.clear();
    for (const int32_t rank = candidates.top().rank; !candidates.empty() && candidates.top().rank == rank;) {
      const Candidate candidate = candidates.top();
      candidates.pop();
      Symbol& left = at(candidate.at);
      if (left.id != candidate.left || left.after < 0 || at(left.after).id != candidate.right) continue;
      Symbol& right = at(left.after);
      left.id = candidate.joined;
      right.id = -1;
      left.after = right.after;
      if (left.after >= 0) at(left.after).before = candidate.at;
      merged.push_back(candidate.at);
    }
    for (const int32_t i : merged) {
      consider(at(i).before);
      consider(i);
    }
  }
  for (int32_t i = 0; i >= 0; i = at(i).after) ids.push_back(at(i).id);
}

}  // namespace silc
