#include "plugins/datasets/delimited.h"

#include <fmt/format.h>

#include "silc/error.h"

namespace silc::datasets {
namespace {

class DelimitedReader {
 public:
  DelimitedReader(std::string_view text, char separator, std::string_view source)
      : text_(text), separator_(separator), source_(source) {
    constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
    if (text_.starts_with(kByteOrderMark)) at_ = kByteOrderMark.size();
  }

  std::vector<DelimitedRow> rows() {
    std::vector<DelimitedRow> rows;
    while (at_ < text_.size()) {
      if (take_line_break()) continue;
      rows.push_back(row());
    }
    return rows;
  }

 private:
  DelimitedRow row() {
    DelimitedRow row{.line = line_, .fields = {}};
    while (true) {
      row.fields.push_back(at_ < text_.size() && text_[at_] == '"' ? quoted() : plain());
      if (at_ < text_.size() && text_[at_] == separator_) {
        ++at_;
        continue;
      }
      take_line_break();
      return row;
    }
  }

  std::string plain() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != separator_ && text_[at_] != '\n' && text_[at_] != '\r') ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }

  std::string quoted() {
    const int64_t first_line = line_;
    std::string field;
    ++at_;
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == '\n') ++line_;
      if (c != '"') {
        field += c;
      } else if (at_ < text_.size() && text_[at_] == '"') {
        field += text_[at_++];
      } else {
        const bool ends = at_ == text_.size() || text_[at_] == separator_ || text_[at_] == '\n' || text_[at_] == '\r';
        if (ends) return field;
        throw Error(fmt::format("{}:{}: text follows the closing quote of a field; a quote within one is doubled",
                                source_, line_));
      }
    }
    throw Error(fmt::format("{}:{}: the quote that begins here does not end", source_, first_line));
  }

  bool take_line_break() {
    if (at_ >= text_.size() || (text_[at_] != '\n' && text_[at_] != '\r')) return false;
    if (text_[at_] == '\r' && at_ + 1 < text_.size() && text_[at_ + 1] == '\n') ++at_;
    ++at_;
    ++line_;
    return true;
  }

  std::string_view text_;
  char separator_;
  std::string_view source_;
  std::size_t at_ = 0;
  int64_t line_ = 1;
};

}  // namespace

std::vector<DelimitedRow> read_delimited(std::string_view text, char separator, std::string_view source) {
  return DelimitedReader(text, separator, source).rows();
}

}  // namespace silc::datasets
