// Text to words, as the "words" tokenizer splits it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace silc::tokenizers::words {

// Lower-case words: runs of letters, digits and bytes above ASCII, joined by single '-' and '\'' between them.
// All else separates words and is dropped.
std::vector<std::string> split_words(std::string_view text);

}  // namespace silc::tokenizers::words
