// An evaluator with a score for every picture: does the model know which thing has which colour?
//
// For captions with two attributes of two different things ("a red shoe left of a blue bag") the attributes change
// places ("a blue shoe left of a red bag"): the same words, another picture. acc is the fraction of pictures that are
// closer to their own caption than to the changed one; guessing gives one half. Models that see a caption as a bag of
// words guess (Yuksekgonul 2023, ARO; Thrush 2022, Winoground).
#include <ATen/ATen.h>

#include <algorithm>
#include <optional>
#include <sstream>
#include <utility>

#include "silc/evaluator.h"

namespace {

constexpr auto kAttributes = silc::texts_option(
    "attributes", "red|orange|yellow|green|cyan|blue|purple|pink|black|white", "words that change places");

std::vector<std::string> words_of(const std::string& caption) {
  std::istringstream stream(caption);
  return {std::istream_iterator<std::string>(stream), {}};
}

std::string without_comma(std::string word) {
  if (word.back() == ',') word.pop_back();
  return word;
}

// "a" or "an" before `word`, so that nothing but the meaning tells the captions apart.
void mend_article(std::vector<std::string>& words, std::size_t word) {
  if (word == 0 || (words[word - 1] != "a" && words[word - 1] != "an")) return;
  words[word - 1] = std::string("aeiou").find(words[word].front()) == std::string::npos ? "a" : "an";
}

// The caption with its attributes exchanged; none if it has not exactly two different ones, of different things.
std::optional<std::string> exchanged(const std::string& caption, const silc::Texts& attributes) {
  auto words = words_of(caption);
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i + 1 < words.size(); ++i)
    if (std::find(attributes.begin(), attributes.end(), words[i]) != attributes.end()) found.push_back(i);
  if (found.size() != 2) return std::nullopt;
  const auto [first, second] = std::pair(found[0], found[1]);
  if (words[first] == words[second] || without_comma(words[first + 1]) == without_comma(words[second + 1]))
    return std::nullopt;
  std::swap(words[first], words[second]);
  std::string text;
  for (const std::size_t word : found) mend_article(words, word);
  for (const auto& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

class AttributeBinding : public silc::Evaluator {
 public:
  explicit AttributeBinding(const silc::EvaluatorContext&) {}

  silc::Scores evaluate(const silc::EvaluationContext& context) override {
    std::vector<at::Tensor> margins;  // how much closer pictures are to their own captions
    context.for_each_batch([&](std::span<const silc::Sample> batch, int64_t /*first*/) {
      std::vector<silc::Sample> pictures;
      std::vector<std::string> own, other;
      for (const silc::Sample& sample : batch) {
        const auto changed = exchanged(sample.captions.front(), context.options[kAttributes]);
        if (!changed) continue;
        pictures.push_back(sample);
        own.push_back(sample.captions.front());
        other.push_back(*changed);
      }
      if (pictures.empty()) return;
      const auto image = context.encoder.embed_images(pictures);                                      // [n, E]
      const auto difference = context.encoder.embed_texts(own) - context.encoder.embed_texts(other);  // [n, E]
      margins.push_back((image * difference).sum(1));                                                 // [n]
    });
    if (margins.empty())
      throw silc::Error("evaluator \"attribute_binding\": no caption of the dataset has two attributes of two things");
    const auto margin = at::cat(margins);
    const auto right = margin.gt(0).to(at::kFloat) + margin.eq(0).to(at::kFloat) / 2;  // a tie is a guess
    return {.metrics = {{"acc", right.mean().item<double>(), right.size(0)}},
            .samples = {{"acc", right}, {"margin", margin}}};
  }
};

}  // namespace

SILC_EVALUATOR(attribute_binding, AttributeBinding, 1, "acc: captions told from those with exchanged attributes",
               kAttributes);
