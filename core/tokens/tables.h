// The texts of core/tokens/tables, made into a source by core/cmake/embed_texts.cmake from what
// tests/reference/token_tables.py wrote.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace silc {

struct TokenTable {
  std::string_view name;  // "tables/badness"
  std::string_view text;
};

std::span<const TokenTable> token_tables();

// The text of the table of that name, without "tables/".
std::string_view table_text(std::string_view name);

// The lines of a text, without their ends; a last one that is empty is none.
std::vector<std::string_view> lines_of(std::string_view text);

// The words of a line, between single spaces.
std::vector<std::string_view> words_of(std::string_view line);

// "1f600" as a character; no hexadecimal number throws std::logic_error.
char32_t code_point(std::string_view hexadecimal);

}  // namespace silc
