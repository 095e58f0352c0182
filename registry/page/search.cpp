// The search of the page's experiments: what more trials buy, where in the space good values lie, and every trial.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "registry/columns.h"
#include "registry/page/sections.h"
#include "registry/search_report.h"
#include "text/markup.h"

namespace silc {

namespace {

std::string column_of_search(const PlannedSearch& search) { return search.evaluation + "/" + search.name; }

plot::Axis score_axis(const PlannedSearch& search) {
  const std::string column = column_of_search(search);
  return {.label = column_headers({column}).front() + " on " + search.split, .factor = shown_scale(column)};
}

// As the page's tables name the row.
std::string page_name(const PageContext& context, const ExperimentSource& source, const std::string& row) {
  return context.request.sources.size() == 1 ? row : source.label + "/" + row;
}

plot::Series series_of(const PageContext& context, const ExperimentSource& source, const SearchedRowReport& row) {
  plot::Series series;
  series.name = series.key = page_name(context, source, row.row);
  series.style = context.style_of(series.name);
  return series;
}

plot::CurvePlot expected_plot(const PageContext& context, const ExperimentSource& source, const SearchReport& report) {
  const std::vector<double>& rungs = report.search.rungs;
  plot::CurvePlot plot{
      .title = "Expected best of n trials" +
               (rungs.size() > 1 ? fmt::format(", each after {:.3g} % of a trial's budget", 100 * rungs.front()) : ""),
      .x = {.label = "trials"},
      .y = score_axis(report.search),
      .series = {}};
  for (const SearchedRowReport& row : report.rows) {
    if (row.expected.size() < 2) continue;
    plot::Series& series = plot.series.emplace_back(series_of(context, source, row));
    series.lines.resize(2);
    for (const ExpectedBest& best : row.expected) {
      const auto n = static_cast<double>(best.n);
      series.mean.push_back({n, best.mean});
      series.lines[0].push_back({n, best.interval.low});
      series.lines[1].push_back({n, best.interval.high});
    }
  }
  return plot;
}

// Where a value stands on the axis: a number by itself, anything else by its place among the choices.
double place_of(const PlannedDimension& dimension, const std::string& value) {
  double number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error == std::errc{} && end == value.data() + value.size()) return number;
  return static_cast<double>(std::ranges::find(dimension.choices, value) - dimension.choices.begin());
}

std::string axis_label(const PlannedDimension& dimension) {
  const bool numbered = std::ranges::any_of(dimension.choices, [&](const std::string& choice) {
    return choice.empty() || choice.front() == '"' || choice == "true" || choice == "false";
  });
  if (!numbered) return dimension.key;
  std::string label = dimension.key + " (";
  for (std::size_t i = 0; i < dimension.choices.size(); ++i)
    label += fmt::format("{}{}: {}", i == 0 ? "" : ", ", i, dimension.choices[i]);
  return label + ")";
}

std::string tip_of(const SearchReport& report, const SearchedRowReport& row, const TrialRecord& trial) {
  std::string text = fmt::format("{}, trial {}{}: {}", row.row, trial.trial.number,
                                 row.search.chosen == trial.trial.number ? " (chosen)" : "",
                                 named_value(report.search.name, *compared_score(report.search, trial)));
  for (std::size_t i = 0; i < row.search.space.size(); ++i)
    text += fmt::format("; {} = {}", row.search.space[i].key, trial.trial.values[i]);
  return text;
}

plot::CurvePlot dimension_plot(const PageContext& context, const ExperimentSource& source, const SearchReport& report,
                               const std::string& key) {
  plot::CurvePlot plot{.title = "Trials by " + key, .x = {}, .y = score_axis(report.search), .series = {}};
  for (const SearchedRowReport& row : report.rows) {
    const auto dimension = std::ranges::find(row.search.space, key, &PlannedDimension::key);
    if (dimension == row.search.space.end()) continue;
    plot.x = {.label = axis_label(*dimension), .logarithmic = dimension->kind == "log"};
    const auto index = static_cast<std::size_t>(dimension - row.search.space.begin());
    plot::Series series = series_of(context, source, row);
    for (const TrialRecord& trial : row.trials)
      if (const auto score = compared_score(report.search, trial))
        series.marks.push_back({.at = {place_of(*dimension, trial.trial.values.at(index)), *score},
                                .interval = std::nullopt,
                                .text = tip_of(report, row, trial)});
    if (!series.marks.empty()) plot.series.push_back(std::move(series));
  }
  return plot;
}

struct SearchOfSource {
  const ExperimentSource* source = nullptr;
  SearchReport report;
};

std::vector<SearchOfSource> searches_of(const PageContext& context) {
  std::vector<SearchOfSource> searches;
  for (const ExperimentSource& source : context.request.sources) {
    const auto recorded = source.registry->experiment(source.experiment.name);
    if (recorded && recorded->search)
      searches.push_back({&source, build_search_report(*source.registry, source.experiment)});
  }
  return searches;
}

std::vector<NamedCurves> plots_of(const PageContext& context, const SearchOfSource& search) {
  const auto& [source, report] = search;
  const std::string prefix = context.request.sources.size() == 1 ? "" : source->label + ":";
  std::vector<NamedCurves> plots;
  if (plot::CurvePlot expected = expected_plot(context, *source, report); !expected.series.empty())
    plots.push_back({prefix + "expected-best", expected.title, std::move(expected)});
  std::set<std::string> seen;
  for (const SearchedRowReport& row : report.rows)
    for (const PlannedDimension& dimension : row.search.space)
      if (seen.insert(dimension.key).second)
        if (plot::CurvePlot plot = dimension_plot(context, *source, report, dimension.key); !plot.series.empty())
          plots.push_back({prefix + dimension.key, plot.title, std::move(plot)});
  return plots;
}

bool stands_below_a_table(const PageContext& context, const std::string& note) {
  return std::ranges::any_of(context.request.tables, [&](const Table& table) {
    return std::ranges::find(table.notes, note) != table.notes.end();
  });
}

// What the columns of trial_grid() are sorted by.
std::vector<std::string> sort_keys(const TrialRecord& trial, const std::vector<std::string>& line) {
  std::vector<std::string> keys = line;
  keys.front() = std::to_string(trial.trial.number);
  const std::size_t score = 1 + trial.trial.values.size();
  keys.at(score) = trial.score ? fmt::format("{}", *trial.score) : "";
  keys.at(score + 1) = fmt::format("{}", trial.fraction);
  keys.at(score + 2) = fmt::format("{}", trial.flops);
  return keys;
}

Html trials_of(const PageContext& context, const SearchOfSource& search, std::size_t number) {
  const SearchedRowReport& row = search.report.rows[number];
  const std::string name = page_name(context, *search.source, row.row);
  const auto grid = trial_grid(search.report, row);
  Html head, lines;
  for (const std::string& text : grid.front())
    head +=
        fmt::format("<th scope=\"col\"><button type=\"button\" class=\"sort\">{}</button></th>", escape_markup(text));
  for (std::size_t r = 1; r < grid.size(); ++r) {
    const TrialRecord& trial = row.trials[r - 1];
    const std::vector<std::string> keys = sort_keys(trial, grid[r]);
    Html line;
    for (std::size_t c = 0; c < grid[r].size(); ++c)
      line += fmt::format("<td{}>{}</td>", attribute("data-sort", keys[c]), escape_markup(grid[r][c]));
    lines += fmt::format("<tr{}>{}</tr>\n", row.search.chosen == trial.trial.number ? " class=\"baseline\"" : "", line);
  }
  return fmt::format(
      "<details{}><summary>{}<span>{}</span> <span class=\"aside\">{} trial{}, {} FLOPs</span></summary><div "
      "class=\"scroll\"><table class=\"trials trials-{}\"><thead><tr>{}</tr></thead><tbody>\n{}</tbody></table></div>"
      "</details>\n",
      attribute("data-row", name), plot::draw_key(context.style_of(name)), escape_markup(name), row.trials.size(),
      row.trials.size() == 1 ? "" : "s", format_value("cost/flops", row.flops, std::nullopt), number, head, lines);
}

}  // namespace

std::vector<NamedCurves> search_plots(const PageContext& context) {
  std::vector<NamedCurves> plots;
  for (const SearchOfSource& search : searches_of(context))
    std::ranges::move(plots_of(context, search), std::back_inserter(plots));
  return plots;
}

PageSection search_section(PageContext& context) {
  PageSection section{"search", "What tuning bought", {}};
  std::size_t number = 0;
  for (const SearchOfSource& search : searches_of(context)) {
    ++number;
    if (context.request.sources.size() > 1) section.html += element("h3", search.source->label);
    std::vector<Choice> choices;
    const auto plots = std::make_shared<const std::vector<NamedCurves>>(plots_of(context, search));
    for (std::size_t i = 0; i < plots->size(); ++i) {
      choices.push_back({"search:" + (*plots)[i].name, (*plots)[i].label});
      context.parts.push_back({choices.back().part, [plots, i] { return plot::draw((*plots)[i].plot); }});
    }
    const Html caption =
        "Expected best: what n of a row's trials find in the mean; 95 of 100 such searches end between the thin lines. "
        "Trials by a setting: every trial that has a score, where its value lies; those of a row share a marker.";
    section.html += "<div class=\"charts\">";
    for (std::size_t shown = 0; shown < std::min<std::size_t>(2, plots->size()); ++shown) {
      std::vector<Choice> ordered = choices;
      std::ranges::rotate(ordered, ordered.begin() + static_cast<std::ptrdiff_t>(shown));
      section.html += choice_of_plots(fmt::format("search-{}-{}", number, shown + 1), "Plot", ordered,
                                      plot::draw((*plots)[shown].plot), shown == 0 ? caption : "");
    }
    section.html += "</div>\n";
    for (std::size_t r = 0; r < search.report.rows.size(); ++r) section.html += trials_of(context, search, r);
    Html notes;
    for (const std::string& note : search.report.notes)
      if (!stands_below_a_table(context, note)) notes += element("li", note);
    section.html += "<ul class=\"notes\">" + notes + "</ul>";
  }
  return section;
}

}  // namespace silc
