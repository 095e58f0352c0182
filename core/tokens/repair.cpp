#include "tokens/repair.h"

#define PCRE2_CODE_UNIT_WIDTH 32
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <stdexcept>
#include <unordered_map>

#include "tokens/entities.h"
#include "tokens/tables.h"
#include "tokens/unicode.h"

namespace silc {
namespace {

using Text = std::u32string;
using View = std::u32string_view;

// A pattern of the tables, of characters or of bytes (then each character is one).
class Pattern {
 public:
  enum class Of : uint8_t { characters, bytes };

  Pattern(std::string_view table, Of of) {
    const std::string_view source = table_text(table);
    const Text pattern(source.begin(), source.end());
    int error = 0;
    PCRE2_SIZE place = 0;
    const uint32_t options = PCRE2_EXTENDED | (of == Of::characters ? PCRE2_UTF : 0);
    code_.reset(
        pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), options, &error, &place, nullptr));
    if (!code_) throw std::logic_error("the pattern " + std::string(table) + " cannot be compiled");
    // Where that is not allowed, matching is slower.
    static_cast<void>(pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE));
  }

  struct Match {
    std::size_t begin = 0, end = 0;
  };

  [[nodiscard]] std::optional<Match> find(View text, std::size_t from = 0) const {
    const std::unique_ptr<pcre2_match_data, FreeMatch> data(pcre2_match_data_create_from_pattern(code_.get(), nullptr));
    if (!data) throw std::bad_alloc();
    const auto subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    int count = pcre2_match(code_.get(), subject, text.size(), from, PCRE2_NO_UTF_CHECK, data.get(), nullptr);
    if (count == PCRE2_ERROR_JIT_STACKLIMIT)
      count =
          pcre2_match(code_.get(), subject, text.size(), from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data.get(), nullptr);
    if (count < 0) return std::nullopt;  // none, or a text beyond PCRE2's limits
    const PCRE2_SIZE* const ends = pcre2_get_ovector_pointer(data.get());
    return Match{ends[0], ends[1]};
  }

  // Python's re.sub().
  template <class Replace>
  [[nodiscard]] Text replaced(View text, Replace replace) const {
    Text result;
    std::size_t at = 0;
    while (const auto match = find(text, at)) {
      result += text.substr(at, match->begin - at);
      result += replace(text.substr(match->begin, match->end - match->begin));
      at = match->end;
    }
    return result += text.substr(at);
  }

 private:
  struct FreeCode {
    void operator()(pcre2_code* code) const { pcre2_code_free(code); }
  };
  struct FreeMatch {
    void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
  };
  std::unique_ptr<pcre2_code, FreeCode> code_;
};

// Whether characters follow each other that make no sense but as mojibake.
bool is_bad(View text) {
  static const Pattern kBadness("badness", Pattern::Of::characters);
  return kBadness.find(text).has_value();
}

// An encoding of one byte a character, by which text may have been decoded instead of UTF-8.
struct Encoding {
  std::string_view name;
  bool sloppy = false;
  std::unordered_map<char32_t, char32_t> bytes;  // of characters beyond ASCII
};

const std::vector<Encoding>& encodings() {
  static const std::vector<Encoding> kEncodings = [] {
    std::vector<Encoding> all;
    for (const std::string_view name :
         {"latin-1", "sloppy-windows-1252", "sloppy-windows-1251", "sloppy-windows-1250", "sloppy-windows-1253",
          "sloppy-windows-1254", "sloppy-windows-1257", "iso-8859-2", "macroman", "cp437"}) {
      Encoding& encoding = all.emplace_back(Encoding{name, name.starts_with("sloppy"), {}});
      const View map = charmap(name);
      for (std::size_t i = 0; i < map.size(); ++i) encoding.bytes.emplace(map[i], static_cast<char32_t>(0x80 + i));
      // The byte 1A stands for a character that was lost.
      if (encoding.sloppy) encoding.bytes.emplace(U'\uFFFD', 0x1A);
    }
    return all;
  }();
  return kEncodings;
}

// The bytes that `encoding` decodes to `text`, if there are any.
std::optional<Text> encoded(View text, const Encoding& encoding) {
  Text bytes;
  bytes.reserve(text.size());
  for (const char32_t c : text) {
    if (c < 0x80) {
      if (c == 0x1A && encoding.sloppy) return std::nullopt;
      bytes += c;
      continue;
    }
    const auto found = encoding.bytes.find(c);
    if (found == encoding.bytes.end()) return std::nullopt;
    bytes += found->second;
  }
  return bytes;
}

// How many bytes a character of UTF-8 has that begins with `first`; 0: none does.
std::size_t length_in_utf8(char32_t first) {
  return first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
}

// UTF-8; with `variants` also CESU-8's pairs of surrogates, and C0 80 for NUL.
std::optional<Text> decoded_utf8(View bytes, bool variants) {
  const auto bits = [&](std::size_t at) { return bytes[at] & 0x3F; };
  const auto continues = [&](std::size_t at) { return at < bytes.size() && (bytes[at] & 0xC0) == 0x80; };
  const auto is_surrogate = [&](std::size_t at, char32_t kind) {
    return at + 2 < bytes.size() && bytes[at] == 0xED && (bytes[at + 1] & 0xF0) == kind && continues(at + 2);
  };
  Text text;
  for (std::size_t at = 0; at < bytes.size();) {
    // ftfy takes a newline at the very end for the second byte, too.
    const bool newline_ends = at + 2 == bytes.size() && bytes[at + 1] == U'\n';
    if (variants && bytes[at] == 0xC0 && at + 1 < bytes.size() && (bytes[at + 1] == 0x80 || newline_ends)) {
      text += U'\0';
      at += 2;
      continue;
    }
    if (variants && is_surrogate(at, 0xA0) && is_surrogate(at + 3, 0xB0)) {
      text += 0x10000 + ((bytes[at + 1] & 0x0F) << 16) + (bits(at + 2) << 10) + ((bytes[at + 4] & 0x0F) << 6) +
              bits(at + 5);
      at += 6;
      continue;
    }
    const std::size_t length = length_in_utf8(bytes[at]);
    if (length == 0) return std::nullopt;
    char32_t character = length == 1 ? bytes[at] : bytes[at] & (0x7F >> length);
    for (std::size_t i = 1; i < length; ++i) {
      if (!continues(at + i)) return std::nullopt;
      character = character << 6 | bits(at + i);
    }
    constexpr std::array<char32_t, 5> kLeast = {0, 0, 0x80, 0x800, 0x10000};
    if (character < kLeast[length] || character > 0x10FFFF || (character >= 0xD800 && character <= 0xDFFF))
      return std::nullopt;
    text += character;
    at += length;
  }
  return text;
}

// Bytes that would be UTF-8 if spaces in them were the byte A0, which some program turned into spaces.
Text restore_byte_a0(View bytes) {
  // The byte C3 before a space is "à", most often a word; not so in "àquele" and the like.
  constexpr std::array<View, 5> kInWords = {U" ", U"quele", U"quela", U"quilo", U"s "};
  Text separated;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    separated += bytes[at];
    if (bytes[at] != 0xC3 || at + 1 == bytes.size() || bytes[at + 1] != U' ') continue;
    const View rest = bytes.substr(at + 2);
    if (std::any_of(kInWords.begin(), kInWords.end(), [&](View word) { return rest.starts_with(word); })) continue;
    separated += 0xA0;
  }
  static const Pattern kAltered("altered_utf8", Pattern::Of::bytes);
  return kAltered.replaced(separated, [](View match) {
    Text restored(match);
    std::replace(restored.begin(), restored.end(), U' ', static_cast<char32_t>(0xA0));
    return restored;
  });
}

// Characters of which a byte was lost, as the one that says so.
Text replace_lossy_sequences(View bytes) {
  static const Pattern kLossy("lossy_utf8", Pattern::Of::bytes);
  constexpr std::array<char32_t, 3> kReplacement = {0xEF, 0xBF, 0xBD};
  return kLossy.replaced(bytes, [&](View) { return View(kReplacement.data(), kReplacement.size()); });
}

// Text that was encoded as UTF-8, decoded as `encoding`, and perhaps altered.
std::optional<Text> decoded_again(Text bytes, const Encoding& encoding) {
  static const Pattern kAltered("altered_utf8", Pattern::Of::bytes);
  // An en dash before a space is common, and looks in MacRoman like what restore_byte_a0 looks for.
  if (encoding.name != "macroman" && kAltered.find(bytes)) bytes = restore_byte_a0(bytes);
  if (encoding.sloppy) bytes = replace_lossy_sequences(bytes);
  const bool variants = bytes.find(0xED) != Text::npos || bytes.find(0xC0) != Text::npos;
  return decoded_utf8(bytes, variants);
}

Text fix_encoding(Text text);

// Mojibake amid sound text.
Text decode_inconsistent_utf8(View text) {
  static const Pattern kDetector("utf8_detector", Pattern::Of::characters);
  return kDetector.replaced(text, [&](View match) {
    return match.size() < text.size() && is_bad(match) ? fix_encoding(Text(match)) : Text(match);
  });
}

bool is_c1(char32_t c) { return c >= 0x80 && c <= 0x9F; }

// Control characters that Windows has for other characters.
Text fix_c1_controls(View text) {
  Text fixed(text);
  const View windows = charmap("sloppy-windows-1252");
  for (char32_t& c : fixed)
    if (is_c1(c)) c = windows[c - 0x80];
  return fixed;
}

// Latin-1 that was meant to be Windows-1252.
std::optional<Text> latin_1_as_windows(View text) {
  const View windows = charmap("windows-1252");
  Text fixed(text);
  for (char32_t& c : fixed) {
    if (c < 0x80) continue;
    c = windows[c - 0x80];
    if (c == 0) return std::nullopt;
  }
  return fixed;
}

Text fix_encoding_once(const Text& text) {
  if (is_ascii(text) || !is_bad(text)) return text;
  bool latin_1 = false;
  for (const Encoding& encoding : encodings()) {
    auto bytes = encoded(text, encoding);
    if (!bytes) continue;
    latin_1 = latin_1 || encoding.name == "latin-1";
    if (auto fixed = decoded_again(*std::move(bytes), encoding)) return *std::move(fixed);
  }
  if (Text fixed = decode_inconsistent_utf8(text); fixed != text) return fixed;
  if (latin_1)
    if (auto fixed = latin_1_as_windows(text); fixed && *fixed != text) return *std::move(fixed);
  return fix_c1_controls(text);
}

Text fix_encoding(Text text) {
  while (true) {
    Text fixed = fix_encoding_once(text);
    if (fixed == text) return fixed;
    text = std::move(fixed);
  }
}

using Replacements = std::unordered_map<char32_t, Text>;

Replacements replacements(std::string_view table) {
  Replacements all;
  for (const std::string_view line : lines_of(table_text(table))) {
    const std::vector<std::string_view> words = words_of(line);
    Text& to = all[code_point(words[0])];
    for (std::size_t i = 1; i < words.size(); ++i) to += code_point(words[i]);
  }
  return all;
}

Text translated(View text, const Replacements& table) {
  Text result;
  result.reserve(text.size());
  for (const char32_t c : text) {
    const auto found = table.find(c);
    found == table.end() ? result += c : result += found->second;
  }
  return result;
}

Text uncurl_quotes(Text text) {
  for (char32_t& c : text) {
    if (c >= 0x201C && c <= 0x201F) c = U'"';
    if (c == 0x02BC || (c >= 0x2018 && c <= 0x201B)) c = U'\'';
  }
  return text;
}

Text fix_line_breaks(View text) {
  Text result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char32_t c = text[i];
    if (c == U'\r' && i + 1 < text.size() && text[i + 1] == U'\n') continue;
    result += c == U'\r' || c == 0x2028 || c == 0x2029 || c == 0x85 ? U'\n' : c;
  }
  return result;
}

// ESC [ digits and semicolons, a letter. Digits are those of any script.
Text remove_terminal_escapes(View text) {
  const auto is_letter = [](char32_t c) { return (c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z'); };
  Text result;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == 0x1B && at + 1 < text.size() && text[at + 1] == U'[') {
      std::size_t end = at + 2;
      while (end < text.size() && (text[end] == U';' || is_decimal_digit(text[end]))) ++end;
      if (end < text.size() && is_letter(text[end])) {
        at = end;
        continue;
      }
    }
    result += text[at];
  }
  return result;
}

bool is_unwanted_control(char32_t c) {
  return c <= 0x08 || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F || (c >= 0x206A && c <= 0x206F) ||
         c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFC);
}

// Whether no fix changes it, which is so for most captions.
bool is_plain(View text) {
  return std::all_of(text.begin(), text.end(),
                     [](char32_t c) { return c < 0x80 && c != U'&' && c != U'\r' && !is_unwanted_control(c); });
}

Text repair_segment(Text text, bool unescape) {
  static const Replacements kLigatures = replacements("ligatures");
  static const Replacements kWidths = replacements("widths");
  while (!is_plain(text)) {
    Text fixed = fix_encoding(unescape ? unescape_sure_html(text) : text);
    fixed = translated(translated(fix_c1_controls(fixed), kLigatures), kWidths);
    fixed = remove_terminal_escapes(fix_line_breaks(uncurl_quotes(std::move(fixed))));
    std::erase_if(fixed, is_unwanted_control);
    fixed = compose(fixed);
    if (fixed == text) break;
    text = std::move(fixed);
  }
  return text;
}

}  // namespace

std::u32string repair_text(std::u32string_view text) {
  constexpr std::size_t kLongestSegment = 1'000'000;
  Text repaired;
  bool unescape = true;  // until there is a "<": the text is HTML then
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t line_end = std::min(text.find(U'\n', at), text.size() - 1) + 1;
    const View segment = text.substr(at, std::min(line_end - at, kLongestSegment));
    unescape = unescape && segment.find(U'<') == View::npos;
    repaired += repair_segment(Text(segment), unescape);
    at += segment.size();
  }
  return repaired;
}

}  // namespace silc
