// The page's tables, and their values as plots.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "registry/columns.h"
#include "registry/grid.h"
#include "registry/page/sections.h"
#include "text/markup.h"

namespace silc {

namespace {

// "table-components"; letters that an address would have to escape become hyphens.
std::string anchor_of(const Table& table, std::size_t number) {
  std::string anchor = table.published ? "published" : "table";
  anchor += fmt::format("-{}", number + 1);
  for (const char c : table.published ? std::string() : "-" + table.name)
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
      anchor += c;
    else if (!anchor.ends_with('-'))
      anchor += '-';
  return anchor;
}

// Long names of metrics may break behind their underscores.
Html breakable(const std::string& text) {
  Html html;
  for (const char c : escape_markup(text)) {
    html += c;
    if (c == '_' || c == '/') html += "<wbr>";
  }
  return html;
}

Html head_of(const Grid& grid) {
  Html html;
  for (std::size_t c = 0; c < grid.front().size(); ++c)
    html += fmt::format("<th scope=\"col\"{}><button type=\"button\" class=\"sort\">{}</button></th>",
                        is_name_column(grid, c) ? " class=\"name\"" : "", breakable(grid.front()[c].text));
  return "<thead><tr>" + html + "</tr></thead>";
}

// What a column is sorted by.
std::string sort_key(const TableEntry& entry) { return entry.values.empty() ? "" : fmt::format("{}", entry.mean); }

Html entry_cell(const Cell& cell, const std::string& column, const TableEntry& entry) {
  const std::string classes = fmt::format("{}{}{}", cell.best ? " best" : "", cell.direction > 0 ? " above" : "",
                                          cell.direction < 0 ? " below" : "");
  const std::string detail = detail_of(column, entry);
  const std::string value = cell.text.substr(0, cell.value);
  const std::string aside = cell.value < cell.text.size() ? cell.text.substr(cell.value) : "";
  return fmt::format(
      "<td{}{}{}><span class=\"value\">{}</span>{}</td>", classes.empty() ? "" : attribute("class", classes.substr(1)),
      attribute("data-sort", sort_key(entry)), detail.empty() ? "" : attribute("title", detail), escape_markup(value),
      aside.empty() ? "" : fmt::format("<span class=\"aside\">{}</span>", escape_markup(aside)));
}

Html row_of(const PageContext& context, const Table& table, const TableRow& row, const std::vector<Cell>& cells) {
  const bool sick = !row.warnings.empty();
  Html html = fmt::format(
      "<th scope=\"row\"{}>{}{}{}{}</th>", attribute("data-sort", label_of(row)),
      table.published ? "" : plot::draw_key(context.style_of(row.name)), element("span", cells.front().text),
      row.baseline ? " <em class=\"tag\">baseline</em>" : "",
      sick ? fmt::format(" <em class=\"tag warning\"{}>warning</em>", attribute("title", row.warnings.front().message))
           : "");
  for (std::size_t c = 1; c < cells.size(); ++c)
    html += c <= table.columns.size()
                ? entry_cell(cells[c], table.columns[c - 1], row.entries[c - 1])
                : fmt::format("<td{}>{}</td>", attribute("data-sort", cells[c].text), escape_markup(cells[c].text));
  return fmt::format("<tr{}{}>{}</tr>\n", attribute("data-row", row.name), row.baseline ? " class=\"baseline\"" : "",
                     html);
}

Html notes_of(const Table& table) {
  Html notes;
  for (const std::string& note : table.notes) notes += element("li", note);
  if (const std::string weights = common_weights(table); !weights.empty())
    notes += element("li", "Weights evaluated: " + weights + ".");
  return notes.empty() ? "" : "<ul class=\"notes\">" + notes + "</ul>";
}

Html table_of(const PageContext& context, const Table& table) {
  GridStyle style;
  style.weights = !table.published && common_weights(table).empty();
  style.intervals = table.intervals;
  const Grid grid = make_grid(table, style);
  Html rows;
  for (std::size_t r = 0; r < table.rows.size(); ++r) rows += row_of(context, table, table.rows[r], grid[r + 1]);
  return fmt::format(
      "<p class=\"origin\">{}</p>\n<div class=\"scroll\" tabindex=\"0\" role=\"group\"{}><table class=\"results\">{}"
      "<tbody>\n{}</tbody></table></div>\n{}",
      escape_markup(origin_of(table)), attribute("aria-label", "Table: " + std::string(title_of(table))), head_of(grid),
      rows, notes_of(table));
}

// Of each evaluator its first column, then what there is room for.
std::vector<std::size_t> headline_columns(const Table& table) {
  constexpr std::size_t kMost = 4;
  std::vector<std::size_t> chosen;
  std::set<std::string> evaluators;
  for (const bool first : {true, false})
    for (std::size_t c = 0; c < table.columns.size() && chosen.size() < kMost; ++c) {
      const std::string& column = table.columns[c];
      if (is_cost(column) || std::ranges::find(chosen, c) != chosen.end()) continue;
      if (evaluators.insert(column.substr(0, column.find('/'))).second || !first) chosen.push_back(c);
    }
  std::ranges::sort(chosen);
  return chosen;
}

// The best values, for who reads nothing else.
Html headlines_of(const Table& table) {
  const std::vector<std::string> headers = column_headers(table.columns);
  const Grid grid = make_grid(table, {});
  Html html;
  for (const std::size_t c : headline_columns(table)) {
    const auto best = std::ranges::find_if(table.rows, [&](const TableRow& row) { return row.entries[c].best; });
    if (best == table.rows.end()) continue;
    const Cell& cell = grid[static_cast<std::size_t>(best - table.rows.begin()) + 1][c + 1];
    const std::string aside = cell.value < cell.text.size() ? cell.text.substr(cell.value) : "";
    html += fmt::format(
        "<div class=\"headline{}\"><span class=\"metric\">best {}</span><span class=\"figure\">{}</span><span "
        "class=\"who\">{}</span><span class=\"aside\">{}</span></div>",
        cell.direction > 0 ? " above" : "", breakable(headers[c]), escape_markup(cell.text.substr(0, cell.value)),
        escape_markup(label_of(*best)), best->baseline ? "the baseline" : escape_markup(aside));
  }
  return html.empty() ? "" : "<div class=\"headlines\">" + html + "</div>\n";
}

Html plots_of(PageContext& context, const Table& table, const std::string& anchor) {
  const std::vector<std::string> headers = column_headers(table.columns);
  const auto shared = context.shared_from_this();
  const auto number = static_cast<std::size_t>(&table - context.request.tables.data());
  std::vector<Choice> choices;
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    choices.push_back({anchor + ":" + table.columns[c], headers[c]});
    context.parts.push_back({choices.back().part, [shared, number, c] {
                               return plot::draw(score_plot(*shared, shared->request.tables[number], c));
                             }});
  }
  if (choices.empty()) return {};
  Html html = choice_of_plots(anchor + "-scores", "Values of", choices, plot::draw(score_plot(context, table, 0)),
                              "Each row's mean over its seeds, on its 95 % confidence interval; the small points are "
                              "the seeds. Dashed: the baseline's mean.");
  choices.clear();
  const auto plots = std::make_shared<const std::vector<NamedCurves>>(cost_plots(context, table));
  for (std::size_t i = 0; i < plots->size(); ++i) {
    choices.push_back({anchor + "-costs:" + (*plots)[i].name, (*plots)[i].label});
    context.parts.push_back({choices.back().part, [plots, i] { return plot::draw((*plots)[i].plot); }});
  }
  if (!choices.empty())
    html += choice_of_plots(anchor + "-costs", "Score against cost:", choices, plot::draw(plots->front().plot),
                            "Along training: thin lines are seeds, thick ones their mean. Else each row's mean score "
                            "after training, on its 95 % confidence interval, against the mean of what that cost.");
  if (table.rows.size() > kMostPlottedRows)
    html += element(
        "p", fmt::format("Plots have the first {} of {} rows, and the baseline.", kMostPlottedRows, table.rows.size()));
  return "<div class=\"charts\">" + html + "</div>\n";
}

}  // namespace

std::string detail_of(const std::string& column, const TableEntry& entry) {
  if (!entry.not_applicable.empty()) return entry.not_applicable;
  if (entry.values.empty())
    return entry.failed > 0 ? fmt::format("{} of {} seeds failed", entry.failed, entry.planned)
                            : fmt::format("no value yet: {} of {} seeds finished", entry.finished, entry.planned);
  const auto value = [&](double number) { return format_value(column, number, std::nullopt); };
  std::vector<std::string> seeds;
  for (std::size_t i = 0; i < std::min(entry.seeds.size(), entry.values.size()); ++i)
    seeds.push_back(fmt::format("{} (seed {})", value(entry.values[i]), entry.seeds[i]));
  std::string text = seeds.empty() ? "" : fmt::format("{}", fmt::join(seeds, ", "));
  const auto add = [&](const std::string& more) { text += (text.empty() ? "" : "; ") + more; };
  if (is_cost(column)) return text;
  const auto evidence = [](Evidence from) {
    return from == Evidence::pictures ? "test pictures" : from == Evidence::seeds ? "seeds" : "seeds and test pictures";
  };
  if (entry.interval)
    add(fmt::format("95 % interval {} to {} over {}", value(entry.interval->low), value(entry.interval->high),
                    evidence(entry.interval_evidence)));
  if (entry.difference) {
    std::string difference = fmt::format("{} from the baseline", format_difference(column, *entry.difference));
    if (entry.difference_interval)
      difference += fmt::format(", 95 % interval {} to {}", format_difference(column, entry.difference_interval->low),
                                format_difference(column, entry.difference_interval->high));
    if (entry.p_adjusted)
      difference +=
          fmt::format(", p = {:.2g} after Holm's correction, over {}", *entry.p_adjusted, evidence(entry.evidence));
    add(difference);
  }
  return text;
}

plot::IntervalPlot score_plot(const PageContext& context, const Table& table, std::size_t column) {
  const std::string& name = table.columns[column];
  GridStyle style;
  style.differences = false;
  style.intervals = false;
  style.first = column;
  style.count = 1;
  const Grid grid = make_grid(table, style);
  plot::IntervalPlot plot;
  plot.title = fmt::format("{}: {}", title_of(table), column_headers(table.columns)[column]);
  plot.x = {.label = column_headers(table.columns)[column], .factor = shown_scale(name)};
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    const TableRow& row = table.rows[r];
    if (!row.baseline && r >= kMostPlottedRows) continue;
    const TableEntry& entry = row.entries[column];
    plot::IntervalRow& drawn = plot.rows.emplace_back();
    drawn.name = label_of(row);
    drawn.key = row.name;
    drawn.style = context.style_of(row.name);
    drawn.values = entry.values;
    drawn.text = grid[r + 1][1].text;
    drawn.tip = label_of(row) + ": " + detail_of(name, entry);
    if (entry.values.empty()) continue;
    drawn.mean = entry.mean;
    if (entry.interval && !is_cost(name)) drawn.interval = plot::Range{entry.interval->low, entry.interval->high};
    if (row.baseline) plot.reference = entry.mean;
  }
  return plot;
}

std::vector<PageSection> table_sections(PageContext& context) {
  std::vector<PageSection> sections;
  std::size_t number = 0;
  std::size_t published = 0;
  for (const Table& table : context.request.tables) {
    const std::string anchor = anchor_of(table, table.published ? published++ : number++);
    PageSection section{anchor, std::string(title_of(table)), {}};
    if (std::ranges::count(context.request.tables, title_of(table), title_of) > 1)
      section.title += fmt::format(" ({})", table.name);
    if (!table.published && number == 1) section.html = headlines_of(table);
    section.html += table_of(context, table);
    if (!table.published) section.html += plots_of(context, table, anchor);
    sections.push_back(std::move(section));
  }
  return sections;
}

}  // namespace silc
