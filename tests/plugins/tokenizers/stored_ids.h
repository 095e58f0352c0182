// tests/data/tokenizers.json: texts, and the ids that other programs give them (tests/reference/token_ids.py).
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "silc/tokenizer.h"

namespace silc::testing {

inline const nlohmann::json& stored_ids() {
  static const nlohmann::json kStored =
      nlohmann::json::parse(std::ifstream(SILC_SOURCE_DIR "/tests/data/tokenizers.json"));
  return kStored;
}

inline std::vector<std::string> stored_texts() { return stored_ids().at("texts"); }

inline void expect_stored_ids(const Tokenizer& tokenizer, const std::string& of) {
  const std::vector<std::string> texts = stored_texts();
  const std::vector<std::vector<int64_t>> ids = stored_ids().at("ids").at(of);
  ASSERT_EQ(texts.size(), ids.size());
  for (std::size_t i = 0; i < texts.size(); ++i)
    EXPECT_EQ(tokenizer.encode(texts[i], stored_ids().at("length")), ids[i]) << texts[i];
}

// What an interface promises of every row, for texts of random bytes, most of which are no UTF-8.
inline void expect_rows_of_random_bytes(const Tokenizer& tokenizer) {
  constexpr int kTexts = 3000;
  std::mt19937 random(1);
  std::vector<std::string> texts = stored_texts();
  for (int i = 0; i < kTexts; ++i) {
    std::string text(random() % 40, '\0');
    for (char& byte : text) byte = static_cast<char>(random() % (i % 2 == 0 ? 256 : 128));
    texts.push_back(text);
  }
  for (const std::string& text : texts)
    for (const int64_t length : {2, 3, 16, 77}) {
      const std::vector<int64_t> row = tokenizer.encode(text, length);
      ASSERT_EQ(static_cast<int64_t>(row.size()), length);
      ASSERT_NE(std::find(row.begin(), row.end(), tokenizer.end_id()), row.end());
      for (const int64_t id : row) ASSERT_TRUE(id >= 0 && id < tokenizer.vocabulary_size());
      const bool begins = tokenizer.start_id() == Tokenizer::kNoStart || row.front() == tokenizer.start_id();
      ASSERT_TRUE(begins) << text;
    }
}

}  // namespace silc::testing
