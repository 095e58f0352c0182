// How captions are tidied up before they become tokens, as other programs do it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "silc/export.h"

namespace silc {

enum class Cleaning : uint8_t {
  none,                 // the text as it is
  lower_ascii,          // A to Z in lower case: big_vision, by which SigLIP and SigLIP 2 were trained
  lower_case,           // every letter for itself in lower case: Siglip2Tokenizer of Hugging Face's transformers
  without_punctuation,  // SiglipTokenizer of transformers: lower case, no ASCII punctuation, single spaces
  whitespace,           // open_clip's three: mojibake, entities and the like repaired (repair.h), entities again,
  lower,                //   single spaces; lower: then lower case;
  canonicalize,         //   canonicalize: no ASCII punctuation but "_" as a space, lower case
};

// "lower" and so on, as in open_clip. Throws std::logic_error for a name that there is not.
SILC_EXPORT Cleaning parse_cleaning(std::string_view name);

// `text` in UTF-8.
SILC_EXPORT std::u32string clean(std::string_view text, Cleaning cleaning);

}  // namespace silc
