// encode TOKENIZER OPTIONS LENGTH: reads a JSON array of texts, prints their rows of ids as a JSON array. For
// tests/reference/token_ids.py.
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "silc/tokenizer.h"
#include "tests/plugins/declared.h"

extern "C" silc::Tokenizer* silc_tokenizer_clip_bpe(const silc::TokenizerContext& context);
extern "C" silc::Tokenizer* silc_tokenizer_sentencepiece(const silc::TokenizerContext& context);

int main(int argc, char** argv) try {
  if (argc != 4) throw std::invalid_argument("usage: encode TOKENIZER OPTIONS LENGTH < TEXTS");
  const std::string name = argv[1];
  const auto options_given = nlohmann::json::parse(argv[2]);
  const auto texts = nlohmann::json::parse(std::cin);
  std::map<std::string, silc::OptionValue> changes;
  for (const auto& [key, value] : options_given.items())
    changes[key] = value.is_boolean() ? silc::OptionValue(value.get<bool>()) : value.get<std::string>();
  const silc::Options options = silc::testing::options_of(name, changes);
  const auto make = name == "clip_bpe" ? silc_tokenizer_clip_bpe : silc_tokenizer_sentencepiece;
  const std::unique_ptr<silc::Tokenizer> tokenizer(make({options, 0, {}}));
  auto rows = nlohmann::json::array();
  for (const auto& text : texts) rows.push_back(tokenizer->encode(text.get<std::string>(), std::stoll(argv[3])));
  std::cout << rows << '\n';
  return 0;
} catch (const std::exception& error) {
  std::cerr << "encode: " << error.what() << '\n';
  return 1;
}
