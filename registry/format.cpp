// Tables as text: one writer a format, all from the same words for an entry.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "registry/columns.h"
#include "registry/grid.h"
#include "registry/report.h"
#include "silc/error.h"
#include "text/display.h"

namespace silc {

namespace {

constexpr std::string_view kNotApplicable = "n/a";
constexpr std::array<std::pair<std::string_view, TableFormat>, 6> kFormats{{{"terminal", TableFormat::terminal},
                                                                            {"markdown", TableFormat::markdown},
                                                                            {"csv", TableFormat::csv},
                                                                            {"latex", TableFormat::latex},
                                                                            {"json", TableFormat::json},
                                                                            {"html", TableFormat::html}}};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::size_t row_n(const TableRow& row) {
  std::size_t n = 0;
  for (const TableEntry& entry : row.entries)
    if (!entry.of_row) n = std::max({n, entry.values.size(), static_cast<std::size_t>(entry.finished)});
  return n;
}

// "3", or "2 of 3".
std::string count_text(const TableRow& row) {
  const std::size_t n = row_n(row);
  const int64_t planned = row.entries.empty() ? 0 : row.entries.front().planned;
  if (static_cast<int64_t>(n) == planned) return std::to_string(n);
  return fmt::format("{} of {}", n, planned);
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

// Hollow where the noise of training is not in the test.
std::string_view mark_of(const TableEntry& entry) {
  if (!entry.significant) return "";
  const bool above = *entry.difference > 0;
  if (entry.evidence == Evidence::pictures) return above ? "△" : "▽";
  return above ? "▲" : "▼";
}

// "61.3 ± 1.1", or with its interval "61.3 [58.5, 64.1]".
std::string mean_text(const std::string& column, const TableEntry& entry, bool intervals) {
  if (!intervals || !entry.interval || is_cost(column)) return format_value(column, entry.mean, entry.spread);
  std::string text = fmt::format("{} [{}, {}]", format_value(column, entry.mean, std::nullopt),
                                 format_value(column, entry.interval->low, std::nullopt),
                                 format_value(column, entry.interval->high, std::nullopt));
  replace_all(text, "-", "−");  // intervals of fractions may reach below zero
  return text;
}

// "+3.9", or with its interval "+3.9 [+1.2, +6.6]".
std::string difference_text(const std::string& column, const TableEntry& entry, bool intervals) {
  if (!entry.difference) return {};
  const std::string text = format_difference(column, *entry.difference);
  if (!intervals || !entry.difference_interval || text.empty()) return text;
  return fmt::format("{} [{}, {}]", text, format_difference(column, entry.difference_interval->low),
                     format_difference(column, entry.difference_interval->high));
}

Cell entry_cell(const std::string& column, const TableEntry& entry, std::size_t row_seeds, const GridStyle& style) {
  const int direction = !entry.significant ? 0 : *entry.difference > 0 ? 1 : -1;
  Cell cell{.text = {}, .best = entry.best, .direction = direction};
  if (!entry.not_applicable.empty()) {
    cell.text = kNotApplicable;
    return cell;
  }
  if (entry.values.empty()) {
    cell.text = entry.failed > 0 && row_seeds == 0 ? "failed" : "–";
    return cell;
  }
  cell.text = mean_text(column, entry, style.intervals);
  cell.value = cell.text.size();
  const std::string difference = style.differences ? difference_text(column, entry, style.intervals) : "";
  const std::string_view mark = mark_of(entry);
  if (!difference.empty())
    cell.text += fmt::format(" ({}{}{})", difference, mark.empty() ? "" : " ", mark);
  else if (!mark.empty())
    cell.text += fmt::format(" {}", mark);
  if (!entry.of_row && entry.values.size() != row_seeds) cell.text += fmt::format(" (n = {})", entry.values.size());
  return cell;
}

// Of the matrix's values at the end of the table's name, which the title has, too.
std::size_t matrix_size(const Table& table) { return table.name.ends_with(table.matrix) ? table.matrix.size() : 0; }

}  // namespace

const std::string& label_of(const TableRow& row) { return row.label.empty() ? row.name : row.label; }

Grid make_grid(const Table& table, const GridStyle& style) {
  const std::size_t end = style.first + std::min(style.count, table.columns.size() - style.first);
  const std::vector<std::string> headers = column_headers(table.columns);
  Grid grid(1);
  grid[0].push_back({"row"});
  for (std::size_t i = style.first; i < end; ++i) grid[0].push_back({headers[i]});
  const bool n = !table.published && style.last;
  const bool weights = style.weights && style.last;
  if (n) grid[0].push_back({"n"});
  if (weights) grid[0].push_back({"weights"});
  for (const TableRow& row : table.rows) {
    std::vector<Cell>& cells = grid.emplace_back();
    cells.push_back({label_of(row)});
    for (std::size_t i = style.first; i < end; ++i)
      cells.push_back(entry_cell(table.columns[i], row.entries[i], row_n(row), style));
    if (n) cells.push_back({count_text(row)});
    if (weights) cells.push_back({row.weights.empty() ? "–" : row.weights});
  }
  return grid;
}

bool is_name_column(const Grid& grid, std::size_t column) {
  return column == 0 || grid.front()[column].text == "weights";
}

std::string_view title_of(const Table& table) { return table.title.empty() ? table.name : table.title; }

std::string origin_of(const Table& table) {
  if (table.published) return "(published, not measured here)";
  if (table.joint) return fmt::format("(experiments {})", table.experiment);
  const std::string_view name = std::string_view(table.name).substr(0, table.name.size() - matrix_size(table));
  if (name == table.experiment || name == title_of(table)) return fmt::format("(experiment {})", table.experiment);
  return fmt::format("(experiment {}, table {})", table.experiment, name);
}

std::string common_weights(const Table& table) {
  std::string common;
  for (const TableRow& row : table.rows) {
    if (row.weights.empty()) continue;
    if (!common.empty() && row.weights != common) return {};
    common = row.weights;
  }
  return common;
}

namespace {

std::vector<std::size_t> column_widths(const Grid& grid) {
  std::vector<std::size_t> widths(grid.front().size());
  for (const auto& row : grid)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], display_width(row[i].text));
  return widths;
}

std::size_t total_width(const std::vector<std::size_t>& widths) {
  std::size_t total = 0;
  for (const std::size_t width : widths) total += width + 2;
  return total - 2;
}

// A header in lines of at most `width`, where its words allow it: "image_retrieval_recall@1 %" breaks behind '_', '/'
// and spaces, and before "@teacher", but not in "recall@1 %".
std::vector<std::string> break_header(std::string_view header, std::size_t width) {
  std::vector<std::string> lines(1);
  while (!header.empty()) {
    std::size_t end = 1;
    while (end < header.size() && header[end - 1] != '_' && header[end - 1] != '/' &&
           (header[end - 1] != ' ' || header[end] == '%') &&
           (header[end] != '@' || end + 1 == header.size() || is_digit(header[end + 1])))
      ++end;
    const std::string_view part = header.substr(0, end);
    const std::size_t needed = display_width(part) - (part.ends_with(' ') ? 1 : 0);
    if (!lines.back().empty() && display_width(lines.back()) + needed > width) lines.emplace_back();
    lines.back() += part;
    header.remove_prefix(end);
  }
  for (std::string& line : lines)
    if (line.ends_with(' ')) line.pop_back();
  return lines;
}

// The grid with its header broken into several lines, flush with the rule below. Returns their number.
std::size_t break_headers(Grid& grid, std::size_t width) {
  std::vector<std::vector<std::string>> headers;
  std::size_t height = 1;
  for (const Cell& cell : grid.front()) {
    headers.push_back(break_header(cell.text, width));
    height = std::max(height, headers.back().size());
  }
  Grid lines(height, std::vector<Cell>(headers.size()));
  for (std::size_t c = 0; c < headers.size(); ++c)
    for (std::size_t i = 0; i < headers[c].size(); ++i)
      lines[height - headers[c].size() + i][c].text = std::move(headers[c][i]);
  grid.erase(grid.begin());
  grid.insert(grid.begin(), lines.begin(), lines.end());
  return height;
}

// A table laid out for a terminal: the first `header_lines` of the grid are its header.
struct Layout {
  Grid grid;
  std::vector<bool> left;  // columns that are flush left
  std::size_t header_lines = 1;
  std::vector<std::size_t> widths;
};

Layout lay_out(const Table& table, const GridStyle& style, std::size_t header_width) {
  Layout layout{.grid = make_grid(table, style), .left = {}, .header_lines = 1, .widths = {}};
  for (std::size_t c = 0; c < layout.grid.front().size(); ++c) layout.left.push_back(is_name_column(layout.grid, c));
  layout.header_lines = break_headers(layout.grid, header_width);
  layout.widths = column_widths(layout.grid);
  return layout;
}

// Columns in blocks that fit, as few as can be; n and weights behind the last, or in a block of their own.
std::vector<Layout> stack(const Table& table, GridStyle style, std::size_t header_width, std::size_t width) {
  std::vector<Layout> blocks;
  const std::size_t columns = table.columns.size();
  const auto fits = [&](bool last) {
    style.last = last;
    Layout block = lay_out(table, style, header_width);
    const bool narrow = total_width(block.widths) <= width;
    if (narrow || (style.count <= 1 && !last)) blocks.push_back(std::move(block));
    return narrow || (style.count <= 1 && !last);
  };
  bool done = false;
  for (style.first = 0; style.first < columns; style.first += style.count) {
    style.count = columns - style.first;
    done = fits(true);
    if (done) continue;
    if (style.count > 1) --style.count;  // one stays for the block with n and weights
    while (!fits(false)) --style.count;
  }
  if (!done && !table.published) {
    style.first = columns;
    style.count = 0;
    style.last = true;
    blocks.push_back(lay_out(table, style, header_width));
  }
  return blocks;
}

// The first layout that fits: as it is, else with broken headers, else without differences, else in several blocks.
std::vector<Layout> fit(const Table& table, std::size_t width) {
  constexpr std::size_t kWhole = 1000;
  constexpr std::array<std::size_t, 3> kHeaderWidths{kWhole, 16, 10};
  GridStyle style;
  style.weights = !table.published && common_weights(table).empty();
  style.intervals = table.intervals;
  for (const bool differences : {true, false}) {
    if (!differences && table.intervals) break;  // who asks for intervals wants those of differences most
    style.differences = differences;
    for (const std::size_t header_width : kHeaderWidths) {
      Layout layout = lay_out(table, style, header_width);
      if (total_width(layout.widths) <= width || table.columns.size() < 2) return {std::move(layout)};
    }
  }
  style.differences = true;
  return stack(table, style, kHeaderWidths[1], width);
}

// Escapes for a terminal, or nothing.
struct Ink {
  explicit Ink(bool color) {
    if (!color) return;
    bold = "\x1b[1m";
    dim = "\x1b[2m";
    above = "\x1b[32m";
    below = "\x1b[35m";
    plain = "\x1b[0m";
  }
  std::string_view bold, dim, above, below, plain;
};

std::string inked(const Cell& cell, const Ink& ink) {
  std::string text = cell.direction > 0 ? std::string(ink.above) : cell.direction < 0 ? std::string(ink.below) : "";
  if (cell.best) text += ink.bold;
  return text.empty() ? cell.text : text + cell.text + std::string(ink.plain);
}

std::string format_block(const Layout& layout, const Ink& ink) {
  const auto& [grid, left, header_lines, widths] = layout;
  std::string text;
  for (std::size_t r = 0; r < grid.size(); ++r) {
    std::string line;
    for (std::size_t c = 0; c < widths.size(); ++c) {
      const Cell& cell = grid[r][c];
      const std::string padding(widths[c] - display_width(cell.text), ' ');
      if (c > 0) line += "  ";
      line += left[c] ? inked(cell, ink) + padding : padding + inked(cell, ink);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
    if (r + 1 != header_lines) continue;
    for (std::size_t i = 0; i < total_width(widths); ++i) text += "─";
    text += "\n";
  }
  return text + "\n";
}

std::string format_terminal(const Table& table, const FormatOptions& options) {
  const Ink ink(options.color);
  const std::string origin = origin_of(table);
  const bool one_line = display_width(title_of(table)) + 2 + display_width(origin) <= options.width;
  std::string text = fmt::format("{}{}{}{}{}{}{}\n\n", ink.bold, title_of(table), ink.plain, one_line ? "  " : "\n",
                                 ink.dim, origin, ink.plain);
  for (const Layout& block : fit(table, options.width)) text += format_block(block, ink);
  for (const std::string& note : table.notes) text += paragraph(note, options.width, 0);
  if (const std::string weights = common_weights(table); !weights.empty())
    text += fmt::format("Weights evaluated: {}.\n", weights);
  return text;
}

std::string escape_markdown(std::string text) {
  for (const std::string_view special : {"\\", "|", "*", "_", "<", "`"})
    replace_all(text, special, fmt::format("\\{}", special));
  return text;
}

std::string format_markdown(const Table& table) {
  GridStyle style;
  style.weights = !table.published;
  style.intervals = table.intervals;
  const Grid grid = make_grid(table, style);
  const std::size_t columns = grid.front().size();
  std::string text =
      fmt::format("### {}\n\n{}\n\n", escape_markdown(std::string(title_of(table))), escape_markdown(origin_of(table)));
  for (std::size_t r = 0; r < grid.size(); ++r) {
    text += "|";
    for (const Cell& cell : grid[r]) {
      const std::string escaped = escape_markdown(cell.text);
      text += cell.best ? fmt::format(" **{}** |", escaped) : fmt::format(" {} |", escaped);
    }
    text += "\n";
    if (r > 0) continue;
    text += "|";
    for (std::size_t c = 0; c < columns; ++c) text += is_name_column(grid, c) ? " :-- |" : " --: |";
    text += "\n";
  }
  if (!table.notes.empty()) text += "\n";
  for (const std::string& note : table.notes) text += fmt::format("- {}\n", escape_markdown(note));
  return text;
}

std::string escape_latex(const std::string& text) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 22> kReplacements{{{"\\", "\\textbackslash{}"},
                                                                                         {"&", "\\&"},
                                                                                         {"%", "\\%"},
                                                                                         {"$", "\\$"},
                                                                                         {"#", "\\#"},
                                                                                         {"_", "\\_"},
                                                                                         {"{", "\\{"},
                                                                                         {"}", "\\}"},
                                                                                         {"~", "\\textasciitilde{}"},
                                                                                         {"^", "\\textasciicircum{}"},
                                                                                         {"<", "$<$"},
                                                                                         {">", "$>$"},
                                                                                         {"|", "\\textbar{}"},
                                                                                         // At the start of a row of a
                                                                                         // tabular these would belong
                                                                                         // to the \\ before it.
                                                                                         {"[", "{[}"},
                                                                                         {"*", "{*}"},
                                                                                         {"±", "$\\pm$"},
                                                                                         {"−", "$-$"},
                                                                                         {"–", "--"},
                                                                                         {"△", "$\\bigtriangleup$"},
                                                                                         {"▽", "$\\bigtriangledown$"},
                                                                                         {"▲", "$\\uparrow$"},
                                                                                         {"▼", "$\\downarrow$"}}};
  std::string escaped;
  char before = ' ';
  for (std::string_view rest = text; !rest.empty();) {
    const auto* found =
        std::ranges::find_if(kReplacements, [&](const auto& pair) { return rest.starts_with(pair.first); });
    const std::size_t length = found == kReplacements.end() ? 1 : found->first.size();
    if (found != kReplacements.end())
      escaped += found->second;
    else if (rest.front() == '"')
      escaped += before == ' ' ? "``" : "''";
    else if (rest.front() == ' ' && is_digit(before) && rest.size() > 1 && is_digit(rest[1]))
      escaped += "\\,";  // between groups of digits
    else
      escaped += rest.front();
    before = rest.front();
    rest.remove_prefix(length);
  }
  return escaped;
}

// Whether names have letters beyond Latin's (U+0370 and on, but for punctuation and what escape_latex() replaces).
bool has_foreign_script(const Table& table) {
  const auto is_foreign = [](const std::string& text) {
    return std::ranges::any_of(text, [](char c) {
      const auto lead = static_cast<unsigned char>(c);
      return lead >= 0xCD && lead != 0xE2;
    });
  };
  return is_foreign(table.title) || std::ranges::any_of(table.notes, is_foreign) ||
         std::ranges::any_of(table.rows, is_foreign, label_of);
}

// Letters, digits and what else is safe in a \label, all other runs of characters a hyphen.
std::string latex_label(std::string_view text) {
  std::string label;
  for (const char c : text) {
    const bool safe = is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == ':';
    if (safe)
      label += c;
    else if (!label.ends_with('-'))
      label += '-';
  }
  return label;
}

// Whether a column of siunitx can hold its entries: those that are numbers with or without ±.
bool is_numeric(const Table& table, std::size_t column) { return !is_cost(table.columns[column]) && !table.intervals; }

// "57.4 \\pm 1.2 {$\\uparrow$}" as siunitx reads it; what is no number stands in braces.
std::string siunitx_entry(const std::string& text) {
  if (text.empty() || !(is_digit(text.front()) || text.starts_with("−"))) return "{" + escape_latex(text) + "}";
  std::size_t end = text.size();
  for (const std::string_view behind : {" (", " ▲", " ▼", " △", " ▽"}) end = std::min(end, text.find(behind));
  std::string number = text.substr(0, end);
  replace_all(number, "±", "\\pm");
  replace_all(number, "−", "-");
  const std::string rest = end == text.size() ? "" : text.substr(end + 1);
  return rest.empty() ? number : fmt::format("{} {{{}}}", number, escape_latex(rest));
}

// "S[table-format=2.1(2)]" for the longest entry.
std::string siunitx_column(const Grid& grid, std::size_t column) {
  std::array<std::size_t, 2> digits{1, 0};  // before and after the point
  for (std::size_t r = 1; r < grid.size(); ++r) {
    const std::string& text = grid[r][column].text;
    const std::size_t whole = std::min(text.size(), text.find_first_not_of("0123456789"));
    digits[0] = std::max(digits[0], whole);
    if (whole >= text.size() || text[whole] != '.') continue;
    const std::size_t end = std::min(text.size(), text.find_first_not_of("0123456789", whole + 1));
    digits[1] = std::max(digits[1], end - whole - 1);
  }
  return fmt::format("S[table-format={}.{}(2)]", digits[0], digits[1]);
}

std::string latex_row(const Table& table, const Grid& grid, std::size_t r, bool siunitx) {
  std::string text;
  for (std::size_t c = 0; c < grid[r].size(); ++c) {
    const Cell& cell = grid[r][c];
    const bool numeric = siunitx && c > 0 && c <= table.columns.size() && is_numeric(table, c - 1);
    if (c > 0) text += " & ";
    if (numeric && r > 0)
      text += (cell.best ? "\\bfseries " : "") + siunitx_entry(cell.text);
    else if (numeric)
      text += "{" + escape_latex(cell.text) + "}";
    else
      text += cell.best ? fmt::format("\\textbf{{{}}}", escape_latex(cell.text)) : escape_latex(cell.text);
  }
  return text + " \\\\\n";
}

std::string format_latex(const Table& table, const FormatOptions& options) {
  GridStyle style;
  style.differences = table.intervals;
  style.intervals = table.intervals;
  style.weights = !table.published;
  const Grid grid = make_grid(table, style);
  std::string layout;
  for (std::size_t c = 0; c < grid.front().size(); ++c) {
    const bool numeric = options.siunitx && c > 0 && c <= table.columns.size() && is_numeric(table, c - 1);
    layout += is_name_column(grid, c) ? "l" : numeric ? siunitx_column(grid, c) : "r";
  }
  std::string text = "% needs \\usepackage{booktabs}\n";
  if (options.siunitx)
    text += "% and \\usepackage{siunitx}, \\sisetup{separate-uncertainty=true, detect-weight=true, mode=text}\n";
  if (has_foreign_script(table))
    text += "% has letters that pdflatex does not know: compile with xelatex or lualatex, and a font that has them\n";
  text += "\\begin{table}\n\\centering\n";
  text += fmt::format("\\caption{{{}}}\n", escape_latex(std::string(title_of(table))));
  text += fmt::format("\\label{{{}}}\n", latex_label("tab:" + table.experiment + "-" + table.name));
  text += fmt::format("\\begin{{tabular}}{{{}}}\n\\toprule\n", layout);
  for (std::size_t r = 0; r < grid.size(); ++r) {
    text += latex_row(table, grid, r, options.siunitx);
    if (r == 0) text += "\\midrule\n";
  }
  text += "\\bottomrule\n\\end{tabular}\n";
  for (const std::string& note : table.notes) text += fmt::format("\\par\\footnotesize {}\n", escape_latex(note));
  return text + "\\end{table}\n";
}

// Around tables that are to compile as they are. Wide ones fit the page.
std::string latex_document(const std::string& tables, const FormatOptions& options) {
  std::string text =
      "\\documentclass{article}\n\\usepackage[landscape, margin=1cm]{geometry}\n\\usepackage{booktabs}\n";
  if (options.siunitx)
    text += "\\usepackage{siunitx}\n\\sisetup{separate-uncertainty=true, detect-weight=true, mode=text}\n";
  return text + "\\begin{document}\n" + tables + "\\end{document}\n";
}

// Shortest text that reads back as the same number.
std::string exact(const std::optional<double>& value) { return value ? fmt::format("{}", *value) : ""; }

std::optional<double> low_of(const std::optional<Interval>& interval) {
  return interval ? std::optional(interval->low) : std::nullopt;
}

std::optional<double> high_of(const std::optional<Interval>& interval) {
  return interval ? std::optional(interval->high) : std::nullopt;
}

// "seed 0, step 40: loss 12 (...)"; "; " between them.
std::string warnings_text(const TableRow& row) {
  std::string text;
  for (const WarningRecord& warning : row.warnings)
    text += fmt::format("{}seed {}, {}step {}: {}", text.empty() ? "" : "; ", warning.seed,
                        warning.phase.empty() ? "" : "phase " + warning.phase + ", ", warning.step, warning.message);
  return text;
}

std::string format_csv(const std::vector<Table>& tables) {
  std::string text =
      "experiment,table,row,weights,column,mean,spread,n,planned,failed,low,high,interval_evidence,"
      "difference,difference_low,difference_high,p_value,p_adjusted,significant,evidence,pairs,pictures,warnings\r\n";
  for (const Table& table : tables)
    for (const TableRow& row : table.rows)
      for (std::size_t i = 0; i < table.columns.size(); ++i) {
        const TableEntry& entry = row.entries[i];
        const std::string mean = !entry.not_applicable.empty() ? std::string(kNotApplicable)
                                 : entry.values.empty()        ? ""
                                                               : exact(entry.mean);
        const std::array<std::string, 22> fields{csv_field(table.experiment),
                                                 csv_field(table.name),
                                                 csv_field(row.name),
                                                 csv_field(row.weights),
                                                 csv_field(table.columns[i]),
                                                 mean,
                                                 exact(entry.spread),
                                                 std::to_string(entry.values.size()),
                                                 std::to_string(entry.planned),
                                                 std::to_string(entry.failed),
                                                 exact(low_of(entry.interval)),
                                                 exact(high_of(entry.interval)),
                                                 std::string(evidence_name(entry.interval_evidence)),
                                                 exact(entry.difference),
                                                 exact(low_of(entry.difference_interval)),
                                                 exact(high_of(entry.difference_interval)),
                                                 exact(entry.p_value),
                                                 exact(entry.p_adjusted),
                                                 !entry.p_value      ? ""
                                                 : entry.significant ? "yes"
                                                                     : "no",
                                                 std::string(evidence_name(entry.evidence)),
                                                 std::to_string(entry.pairs),
                                                 std::to_string(entry.pictures)};
        text += fmt::format("{},{}\r\n", fmt::join(fields, ","), csv_field(warnings_text(row)));
      }
  return text;
}

using Json = nlohmann::ordered_json;

Json json_number(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

Json json_interval(const std::optional<Interval>& interval, Evidence evidence) {
  if (!interval) return nullptr;
  return {{"low", interval->low},
          {"high", interval->high},
          {"level", 1 - kSignificance},
          {"evidence", evidence_name(evidence)}};
}

Json json_costs(const CurvePoint& point) {
  return {{"examples", point.examples}, {"flops", point.flops}, {"core_seconds", point.core_seconds}};
}

Json json_curves(const std::vector<Curve>& curves) {
  Json array = Json::array();
  for (const Curve& curve : curves) {
    Json points = Json::array();
    for (const CurvePoint& point : curve.points) {
      Json each = json_costs(point);
      each["value"] = point.value;
      points.push_back(std::move(each));
    }
    array.push_back(
        {{"seed", curve.seed}, {"samples", curve.n}, {"ended", curve.ended}, {"points", std::move(points)}});
  }
  return array;
}

Json json_entry(const std::string& column, const TableEntry& entry) {
  Json values = Json::array();
  for (std::size_t i = 0; i < entry.seeds.size(); ++i)
    values.push_back({{"seed", entry.seeds[i]}, {"value", entry.values[i]}});
  return {{"column", column},
          {"mean", entry.values.empty() ? Json(nullptr) : Json(entry.mean)},
          {"spread", json_number(entry.spread)},
          {"n", entry.values.size()},
          {"planned", entry.planned},
          {"failed", entry.failed},
          {"not_applicable", entry.not_applicable.empty() ? Json(nullptr) : Json(entry.not_applicable)},
          {"interval", json_interval(entry.interval, entry.interval_evidence)},
          {"difference", json_number(entry.difference)},
          {"difference_interval", json_interval(entry.difference_interval, entry.evidence)},
          {"pairs", entry.pairs},
          {"pictures", entry.pictures},
          {"p_value", json_number(entry.p_value)},
          {"p_adjusted", json_number(entry.p_adjusted)},
          {"significant", entry.significant},
          {"evidence", entry.evidence == Evidence::none ? Json(nullptr) : Json(evidence_name(entry.evidence))},
          {"values", std::move(values)},
          {"reach", entry.reach ? json_costs(*entry.reach) : Json(nullptr)},
          {"curves", json_curves(entry.curves)}};
}

Json json_warnings(const TableRow& row) {
  Json warnings = Json::array();
  for (const WarningRecord& warning : row.warnings)
    warnings.push_back({{"seed", warning.seed},
                        {"phase", warning.phase},
                        {"step", warning.step},
                        {"check", warning.check},
                        {"metric", warning.metric},
                        {"value", json_number(warning.value)},
                        {"message", warning.message}});
  return warnings;
}

std::string format_json(const std::vector<Table>& tables) {
  Json array = Json::array();
  for (const Table& table : tables) {
    Json rows = Json::array();
    for (const TableRow& row : table.rows) {
      Json entries = Json::array();
      for (std::size_t i = 0; i < table.columns.size(); ++i)
        entries.push_back(json_entry(table.columns[i], row.entries[i]));
      rows.push_back({{"name", row.name},
                      {"weights", row.weights},
                      {"baseline", row.baseline},
                      {"entries", std::move(entries)},
                      {"warnings", json_warnings(row)}});
    }
    array.push_back(
        {{"experiment", table.experiment},
         {"name", table.name},
         {"title", table.title},
         {"baseline", table.baseline},
         {"published", table.published},
         {"match", table.match ? Json{{"unit", unit_name(*table.match)}, {"level", table.level}} : Json(nullptr)},
         {"last", table.last},
         {"columns", table.columns},
         {"rows", std::move(rows)},
         {"notes", table.notes}});
  }
  return Json{{"tables", std::move(array)}}.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

TableFormat parse_format(const std::string& name) {
  const auto* found = std::ranges::find(kFormats, name, &decltype(kFormats)::value_type::first);
  if (found != kFormats.end()) return found->second;
  throw Error(fmt::format("no table format \"{}\"; there are: terminal, markdown, csv, latex, json, html", name));
}

std::string format_tables(const std::vector<Table>& tables, TableFormat format, const FormatOptions& options) {
  if (format == TableFormat::csv) return format_csv(tables);
  if (format == TableFormat::json) return format_json(tables);
  std::string text;
  for (const Table& table : tables) {
    if (!text.empty()) text += "\n";
    text += format == TableFormat::markdown ? format_markdown(table)
            : format == TableFormat::latex  ? format_latex(table, options)
                                            : format_terminal(table, options);
  }
  return format == TableFormat::latex && options.document ? latex_document(text, options) : text;
}

}  // namespace silc
