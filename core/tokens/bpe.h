// Byte-pair encoding as in CLIP (Radford 2021, section 2.4) and open_clip's SimpleTokenizer.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "silc/export.h"

namespace silc {

// Whether no vocabulary is larger: SimpleTokenizer reads no more merges than fill it.
inline constexpr int64_t kMostTokens = 49408;
// Of a vocabulary without merges: each byte within a word and at its end, start and end.
inline constexpr int64_t kFewestTokens = 2 * 256 + 2;

// The pieces of a cleaned text that are encoded each for itself: words, single digits, runs of other signs, the endings
// of English ("'s"), and the names of the start and end token. Spaces part them.
SILC_EXPORT void for_each_word(std::u32string_view text, const std::function<void(std::u32string_view word)>& visit);

// The bytes of a word in UTF-8, each as the character that stands for it in a file of merges, so that none is a space.
// [256], by byte.
SILC_EXPORT std::span<const std::string> byte_characters();

struct BpeMerge {
  std::string left, right;  // tokens, as a file of merges has them: "th", "e</w>"
};

// What a file of merges says, in its order.
struct MergeTable {
  std::vector<std::string> tokens;  // by id, without start and end; of those spelled the same, the last one counts
  std::vector<BpeMerge> merges;
};

// `text`: the content of a file as Bpe::read takes it. Throws silc::Error naming `name`, and the line that is no merge.
SILC_EXPORT MergeTable read_merges(std::string_view text, const std::string& name);

// Thread-safe. Ids: bytes, bytes that end a word, merges in their order, start, end.
class SILC_EXPORT Bpe {
 public:
  // A file as that of CLIP, bpe_simple_vocab_16e6.txt.gz: gzip or plain; a line that is passed over, then a merge a
  // line, its two tokens with a space between, of which the first 48 894 count. Throws silc::Error naming the file, and
  // the line that is no merge.
  static Bpe read(const std::filesystem::path& file);
  // `text`: the file's content; `name`: for messages.
  Bpe(std::string_view text, const std::string& name);

  [[nodiscard]] int64_t size() const { return size_; }
  [[nodiscard]] int64_t start_id() const { return size_ - 2; }
  [[nodiscard]] int64_t end_id() const { return size_ - 1; }

  // The ids of a cleaned text, of which `most` are needed: there may be more, but never fewer than `most` if there are
  // as many.
  [[nodiscard]] std::vector<int64_t> encode(std::u32string_view text, std::size_t most = SIZE_MAX) const;

 private:
  struct Joined {
    int32_t rank = 0, id = 0;
  };
  void append_word(std::u32string_view word, std::vector<int64_t>& ids) const;
  [[nodiscard]] const Joined* joined(int32_t left, int32_t right) const;

  int64_t size_ = 0;
  std::unordered_map<uint64_t, Joined> merges_;  // by left id · 2³² + right id
  std::vector<int32_t> byte_ids_;                // [256] within a word
  std::vector<int32_t> last_byte_ids_;           // [256] at its end
};

// CLIP's own vocabulary, bpe_simple_vocab_16e6.txt.gz, where it lies: in SILC_DATA, or silc's cache. Its content,
// unpacked. Throws silc::Error saying how to get it.
SILC_EXPORT std::string read_clip_vocabulary();

// Whether `text` is CLIP's own vocabulary, which gives the same ids for ever.
SILC_EXPORT bool is_clip_vocabulary(std::string_view text);

// The content of a file, unpacked if it is gzip. Throws silc::Error naming it.
SILC_EXPORT std::string read_packed(const std::filesystem::path& file);

}  // namespace silc
