#include <algorithm>
#include <map>

#include "engine/conformance/conformance.h"
#include "engine/conformance/in_threads.h"
#include "engine/conformance/practice.h"
#include "engine/cost.h"
#include "plugin/loader.h"
#include "silc/utf8.h"

namespace silc::conformance {
namespace {

constexpr int64_t kTexts = 100;  // captions that the vocabulary is built from
const std::vector<int64_t> kLengths = {3, 8, 9, 77};

using Ids = std::vector<int64_t>;

std::shared_ptr<Tokenizer> make(const PluginInfo& plugin, const Options& options) {
  const auto dataset = std::make_shared<PracticeDataset>(kTexts);
  const auto caption = [dataset, says_so = plugin.learns_from_captions](int64_t index) {
    // Where weights that are there are evaluated, it would get none.
    if (!says_so)
      throw Error(
          "it reads the captions of training and does not say so; name silc::learns_from_captions() among its "
          "options");
    return dataset->sample(index).captions[0];
  };
  return make_tokenizer(plugin, {.options = options, .caption_count = kTexts, .caption = caption});
}

std::string shown(const std::string& text) {
  constexpr std::size_t kLongest = 40;
  std::string quoted = "\"";
  for (const char c : text.substr(0, kLongest))
    quoted += static_cast<unsigned char>(c) < ' ' || static_cast<unsigned char>(c) > '~' ? '?' : c;
  return quoted + (text.size() > kLongest ? "…\"" : "\"");
}

std::vector<std::string> usual_texts() {
  return {"picture 3: a boat beside a cloud", "a boat", "words that no caption has, xylophone", "A BOAT!"};
}

std::vector<std::string> odd_texts() {
  return {"",
          " \t\n ",
          std::string("a\0b", 3),
          "na\xc3\xafve caf\xc3\xa9",              // accents
          "e\xcc\x81 combined",                    // combining mark
          "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e",  // Japanese
          "\xf0\x9f\x90\x95 dog",                  // emoji
          "\xff\xfe broken",                       // no UTF-8
          "cut \xe6\x97",                          // cut within a character
          "<|endoftext|> <s> </s> [PAD]",          // special tokens as text
          std::string(100'000, 'a')};
}

class TokenizerChecks {
 public:
  explicit TokenizerChecks(const Subject& subject) : subject_(subject) {}

  Outcome vocabulary() {
    try {
      tokenizer_ = make(subject_.plugin, subject_.options);
    } catch (const Error& error) {
      return not_applicable(std::string(error.what()) + " (--option says where its files are)");
    }
    const int64_t size = tokenizer_->vocabulary_size();
    if (size < 3) return failed("vocabulary_size() is " + std::to_string(size));
    if (tokenizer_->end_id() < 0 || tokenizer_->end_id() >= size)
      return failed("end_id() is " + std::to_string(tokenizer_->end_id()) + ", outside the vocabulary");
    if (tokenizer_->padding_id() < 0 || tokenizer_->padding_id() >= size)
      return failed("padding_id() is " + std::to_string(tokenizer_->padding_id()) + ", outside the vocabulary");
    return passed("", {{"vocabulary", size}});
  }

  [[nodiscard]] bool is_made() const { return tokenizer_ != nullptr; }

  Outcome rows() { return check_rows(usual_texts()); }
  Outcome odd_rows() { return check_rows(odd_texts()); }

  Outcome truncation() {
    std::string text;
    for (int i = 0; i < 200; ++i) text += "boat cloud ";
    for (const int64_t length : kLengths) {
      const Ids cut = tokenizer_->encode(text, length), whole = tokenizer_->encode(text, 2 * length);
      if (std::find(cut.begin(), cut.end(), tokenizer_->end_id()) != cut.end() - 1)
        return failed("a text that is too long for " + std::to_string(length) + " ids does not end with the end token");
      if (!std::equal(cut.begin(), cut.end() - 1, whole.begin()))
        return failed("a text that is too long is not the beginning of the longer row: length " +
                      std::to_string(length));
    }
    return passed();
  }

  Outcome distinct() {
    std::map<Ids, std::string> seen;
    for (const std::string text : {"a boat", "a cloud", "a boat beside a cloud", "a cloud beside a boat"})
      if (const auto [found, is_new] = seen.emplace(tokenizer_->encode(text, 77), text); !is_new)
        return failed(shown(text) + " and " + shown(found->second) + " have the same ids");
    return passed();
  }

  Outcome repeatable() {
    const auto other = make(subject_.plugin, subject_.options);
    std::vector<std::string> texts = usual_texts();
    for (const std::string& text : odd_texts()) texts.push_back(text);
    std::vector<Ids> expected;
    for (const std::string& text : texts) {
      expected.push_back(tokenizer_->encode(text, 16));
      if (tokenizer_->encode(text, 16) != expected.back())
        return failed(shown(text) + ": a second call gives other ids");
      if (other->encode(text, 16) != expected.back()) return failed(shown(text) + ": made again it gives other ids");
    }
    const std::string fault = in_threads([&](std::size_t thread) -> std::string {
      for (std::size_t round = 0; round < 5; ++round)
        for (std::size_t i = 0; i < texts.size(); ++i) {
          const std::size_t which = (i * 7 + thread) % texts.size();
          try {
            if (tokenizer_->encode(texts[which], 16) != expected[which])
              return shown(texts[which]) + ": several threads at once get other ids";
          } catch (const std::exception& error) {
            return shown(texts[which]) + ": several threads at once: " + error.what();
          }
        }
      return "";
    });
    if (!fault.empty()) return failed(fault);
    return passed("", {{"texts", texts.size()}, {"threads", 4}});
  }

  Outcome speed() {
    const std::string text = usual_texts()[0];
    constexpr int kRounds = 200;
    const Stopwatch watch;
    for (int i = 0; i < kRounds; ++i) static_cast<void>(tokenizer_->encode(text, 77));
    return passed("", {{"microseconds_per_text", 1e6 * watch.elapsed().seconds / kRounds}});
  }

 private:
  Outcome check_rows(const std::vector<std::string>& texts) {
    const int64_t start = tokenizer_->start_id(), end = tokenizer_->end_id();
    for (const std::string& text : texts)
      for (const int64_t length : kLengths) {
        const Ids row = tokenizer_->encode(text, length);
        const std::string of = shown(text) + " as " + std::to_string(length) + " ids: ";
        if (static_cast<int64_t>(row.size()) != length) return failed(of + "there are " + std::to_string(row.size()));
        for (const int64_t id : row)
          if (id < 0 || id >= tokenizer_->vocabulary_size())
            return failed(of + "the id " + std::to_string(id) + " lies outside [0, " +
                          std::to_string(tokenizer_->vocabulary_size()) + ")");
        if (start != Tokenizer::kNoStart && row.front() != start)
          return failed(of + "it begins with " + std::to_string(row.front()) + ", not with the start token, " +
                        std::to_string(start));
        const auto at = std::find(row.begin(), row.end(), end);
        if (at == row.end()) return failed(of + "there is no end token, " + std::to_string(end));
        for (auto rest = at + 1; rest != row.end(); ++rest)
          if (*rest != tokenizer_->padding_id())
            return failed(of + "after the end token comes " + std::to_string(*rest) + ", not padding");
      }
    return passed("", {{"texts", texts.size()}, {"lengths", kLengths}});
  }

  const Subject& subject_;
  std::shared_ptr<Tokenizer> tokenizer_;
};

}  // namespace

void check_tokenizer(const Subject& subject, Report& report) {
  TokenizerChecks checks(subject);
  report.check("vocabulary", "tokenizer.h: \"Ids lie in [0, vocabulary_size())\"", [&] { return checks.vocabulary(); });
  const auto check = [&](const std::string& name, const std::string& rule, Outcome (TokenizerChecks::*work)()) {
    report.check(name, rule, [&] { return checks.is_made() ? (checks.*work)() : not_applicable("it cannot be made"); });
  };
  check("rows", "tokenizer.h: \"Exactly `length` ids: start token, text, end token, padding\"", &TokenizerChecks::rows);
  check("odd texts", "the same for empty and long texts, NUL, accents, emoji and what is no UTF-8",
        &TokenizerChecks::odd_rows);
  check("truncation", "tokenizer.h: \"a text that is too long is cut and still ends with the end token\"",
        &TokenizerChecks::truncation);
  check("distinct", "different captions get different ids", &TokenizerChecks::distinct);
  check("repeatable", "tokenizer.h: \"Called from several threads at once\"", &TokenizerChecks::repeatable);
  check("speed", "reported, not judged", &TokenizerChecks::speed);
}

}  // namespace silc::conformance
