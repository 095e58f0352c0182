// CSV and TSV: RFC 4180 with any separator.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace silc::datasets {

struct DelimitedRow {
  int64_t line = 0;  // in which it begins, from 1
  std::vector<std::string> fields;
};

// The rows of `text`: fields may be quoted, and then hold separators, line breaks and doubled quotes. Lines end in \n,
// \r\n or \r; empty ones and a byte order mark are passed over. Throws silc::Error "SOURCE:LINE: …" for a quote that
// does not end, or that ends before its field does.
std::vector<DelimitedRow> read_delimited(std::string_view text, char separator, std::string_view source);

}  // namespace silc::datasets
