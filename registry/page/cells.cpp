// The cells of a page: how far each is, and everything about one of them.
#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "files/run_folder.h"
#include "registry/columns.h"
#include "registry/page/sections.h"
#include "registry/settings.h"
#include "silc/error.h"
#include "text/markup.h"

namespace silc {

namespace {

// In a page that is longer than anybody reads.
constexpr std::size_t kMostListed = 2000;
constexpr std::size_t kLogLines = 20;
constexpr std::size_t kLogBytes = 6000;

std::string part_of(const CellRecord& record) { return "cell:" + record.cell.folder.generic_string(); }

std::string words_of(CellState state) {
  return state == CellState::planned ? "not started" : std::string(state_name(state));
}

const std::vector<plot::Point>* loss_of(const RowCurves& curves, std::size_t started) {
  const auto loss = curves.seeds.find("loss");
  return loss == curves.seeds.end() || started >= loss->second.size() ? nullptr : &loss->second[started];
}

std::string percent_of(const CellRecord& record, const Registry& registry) {
  if (record.state == CellState::finished) return "100 %";
  const auto progress = registry.progress(record);
  return progress ? fmt::format("{:.0f} %", 100 * progress->fraction) : "";
}

// Whether a path below the runs folder stays there, links followed: a registry may come from anywhere.
bool is_inside(const std::filesystem::path& runs, const std::filesystem::path& path) {
  std::error_code error;
  const auto base = std::filesystem::weakly_canonical(runs, error);
  if (error) return false;
  const auto relative = std::filesystem::weakly_canonical(path, error).lexically_relative(base);
  return !error && !relative.empty() && *relative.begin() != "..";
}

// The end of a log: its last lines, from at most so many bytes.
std::string tail_of(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary | std::ios::ate);
  if (!stream) return {};
  const auto size = static_cast<std::size_t>(std::max<std::streamoff>(stream.tellg(), 0));
  const std::size_t kept = std::min(size, kLogBytes);
  stream.seekg(static_cast<std::streamoff>(size - kept));
  std::string text(kept, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(kept));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (kept < size) text.erase(0, std::min(text.find('\n'), text.size() - 1) + 1);
  std::size_t start = text.size();
  for (std::size_t lines = 0; lines <= kLogLines && start != std::string::npos && start > 0; ++lines)
    start = text.rfind('\n', start - 1);
  return start == std::string::npos || start == 0 ? text : text.substr(start + 1);
}

Html facts_of(const CellRecord& record, const Registry& registry) {
  Html facts;
  const auto add = [&](std::string_view name, const Html& value) {
    if (!value.empty()) facts += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>", escape_markup(name), value);
  };
  add("state",
      fmt::format("<span class=\"state state-{}\">{}</span>", state_name(record.state), words_of(record.state)));
  add("why", escape_markup(record.message));
  add("at fault", escape_markup(record.plugin));
  if (const auto progress = registry.progress(record)) {
    add("step", progress->total_steps ? fmt::format("{} of {}", progress->step, *progress->total_steps)
                                      : fmt::format("{}", progress->step));
    if (record.state == CellState::running) add("rate", fmt::format("{:.4g} pictures a second", progress->rate));
  }
  const std::vector<AttemptRecord> attempts = registry.attempts(record);
  if (!attempts.empty()) {
    double core_seconds = 0;
    double memory = 0;
    for (const AttemptRecord& attempt : attempts) {
      core_seconds += attempt.core_seconds;
      memory = std::max(memory, attempt.peak_memory);
    }
    add("attempts",
        fmt::format("{}, {} of core time, {} at most, on {}", attempts.size(),
                    format_value("cost/core_seconds", core_seconds, std::nullopt),
                    format_value("cost/peak_memory", memory, std::nullopt), escape_markup(attempts.back().host)));
  }
  add("id", element("code", record.cell.id));
  add("folder", element("code", record.cell.folder.generic_string()));
  if (!record.start.empty()) add("starts from", element("code", record.start.generic_string()));
  return "<dl class=\"facts\">" + facts + "</dl>";
}

Html warnings_of(const CellRecord& record, const Registry& registry) {
  Html items;
  for (const WarningRecord& warning : registry.warnings(record))
    items += element(
        "li", fmt::format("{}step {}: {}", warning.phase.empty() ? "" : fmt::format("phase \"{}\", ", warning.phase),
                          warning.step, warning.message));
  return items.empty() ? "" : "<h3>Warnings</h3><ul class=\"warnings\">" + items + "</ul>";
}

Html metrics_of(const CellRecord& record, const Registry& registry) {
  std::vector<MetricRecord> metrics = registry.metrics(record);
  std::ranges::stable_sort(metrics, [](const MetricRecord& one, const MetricRecord& other) {
    const bool costs = one.evaluator == "cost";
    return costs != (other.evaluator == "cost") ? !costs : natural_order(column_of(one), column_of(other));
  });
  Html rows;
  for (const MetricRecord& metric : metrics) {
    const bool cost = metric.evaluator == "cost";
    rows += fmt::format(
        "<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td></tr>",
        escape_markup(cost ? "cost" : metric.evaluator + (metric.dataset.empty() ? "" : " on " + metric.dataset)),
        escape_markup(metric.weights), escape_markup(metric.name),
        escape_markup(format_value(column_of(metric), metric.value, std::nullopt)) +
            (is_percent(column_of(metric)) ? " %" : ""),
        cost || metric.n == 0 ? "" : std::to_string(metric.n));
  }
  return rows.empty() ? ""
                      : "<h3>Results</h3><div class=\"scroll\"><table><thead><tr><th class=\"name\">of</th><th "
                        "class=\"name\">weights</th><th class=\"name\">metric</th><th>value</th><th>n</th></tr></thead>"
                        "<tbody>" +
                            rows + "</tbody></table></div>";
}

Html steps_of(const CellRecord& record, const Registry& registry) {
  std::map<std::string, std::vector<plot::Point>> curves;
  for (const StepMetric& metric : registry.step_metrics(record))
    curves[metric.name].push_back({static_cast<double>(metric.step), metric.value});
  Html rows;
  for (const auto& [name, points] : curves) {
    if (name == "fraction" || name == "seconds" || name == "core_seconds" || name == "flops" || name == "examples")
      continue;
    rows +=
        fmt::format("<tr><td>{}</td><td>{}</td><td class=\"number\">{:.4g}</td><td class=\"number\">{:.4g}</td></tr>",
                    escape_markup(name), plot::draw_sparkline(points), points.front().y, points.back().y);
  }
  return rows.empty() ? ""
                      : "<h3>Training</h3><div class=\"scroll\"><table><thead><tr><th class=\"name\">metric</th><th "
                        "class=\"name\">course</th><th>first</th><th>last</th></tr></thead><tbody>" +
                            rows + "</tbody></table></div>";
}

// Those in which it differs from the baseline, then all.
Html settings_of(const std::filesystem::path& folder, const std::filesystem::path& baseline) {
  if (!std::filesystem::exists(RunFolder{folder}.cell())) return {};
  std::map<std::string, std::string> own;
  std::map<std::string, std::string> other;
  try {
    own = settings_of_cell(folder);
    if (!baseline.empty()) other = settings_of_cell(baseline);
  } catch (const Error& error) {
    if (own.empty()) return element("p", error.what());
  }
  std::string text;
  for (const auto& [name, value] : own) text += fmt::format("{} = {}\n", name, value);
  Html html;
  if (!other.empty() && folder != baseline) {
    Html rows;
    for (const SettingDifference& difference : differences({other, own}))
      rows += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td></tr>", element("code", difference.setting),
                          element("code", difference.values[0]), element("code", difference.values[1]));
    html += rows.empty()
                ? "<h3>Settings</h3><p>Those of the baseline.</p>"
                : "<h3>Settings that the baseline has not</h3><div class=\"scroll\"><table><thead><tr><th "
                  "class=\"name\">setting</th><th class=\"name\">baseline</th><th class=\"name\">this cell</th></tr>"
                  "</thead><tbody>" +
                      rows + "</tbody></table></div>";
  } else {
    html += "<h3>Settings</h3>";
  }
  return html + "<details><summary>All settings</summary>" + element("pre", text) + "</details>";
}

Html details_of(const PageRow& row, const CellRecord& record, const std::filesystem::path& baseline) {
  const std::filesystem::path folder = row.registry->runs() / record.cell.folder;
  Html html = fmt::format("<h2>{}{}, seed {}</h2>{}", plot::draw_key(row.style), escape_markup(row.name),
                          record.cell.seed, facts_of(record, *row.registry));
  html += warnings_of(record, *row.registry) + metrics_of(record, *row.registry) + steps_of(record, *row.registry);
  if (!is_inside(row.registry->runs(), folder)) return html;
  html += settings_of(folder, baseline);
  if (is_inside(row.registry->runs(), RunFolder{folder}.log()))
    if (const std::string log = tail_of(RunFolder{folder}.log()); !log.empty())
      html += "<h3>The end of its log</h3>" + element("pre", log);
  return html;
}

// The folder of the first cell of the baseline that was started.
std::filesystem::path baseline_folder(const PageContext& context) {
  for (const PageRow& row : context.rows)
    if (row.baseline)
      for (const CellRecord& record : row.cells)
        if (const auto folder = row.registry->runs() / record.cell.folder;
            std::filesystem::exists(RunFolder{folder}.cell()))
          return folder;
  return {};
}

}  // namespace

PageSection cells_section(PageContext& context) {
  PageSection section{"cells", "Cells", {}};
  const std::filesystem::path baseline = baseline_folder(context);
  const std::size_t most = context.request.live ? kMostListed : kMostDetailedCells;
  std::size_t cells = 0;
  std::size_t detailed = 0;
  Html rows;
  for (std::size_t r = 0; r < context.rows.size(); ++r) {
    const PageRow& row = context.rows[r];
    std::size_t started = 0;
    for (const CellRecord& record : row.cells) {
      if (++cells > kMostListed) continue;
      const bool open = detailed < most && record.state != CellState::planned;
      if (open) {
        ++detailed;
        context.parts.push_back(
            {part_of(record), [row, record, baseline] { return details_of(row, record, baseline); }});
      }
      const std::vector<plot::Point>* loss = r < context.curves.size() && record.state != CellState::planned
                                                 ? loss_of(*context.curves[r], started)
                                                 : nullptr;
      if (loss != nullptr) ++started;
      const std::string name = fmt::format("seed {}", record.cell.seed);
      rows += fmt::format(
          "<tr{}><th scope=\"row\"{}>{}<span>{}</span></th><td{}>{}</td><td><span class=\"state "
          "state-{}\">{}</span></td>"
          "<td class=\"number\">{}</td><td>{}</td><td class=\"number\"{}>{}</td></tr>\n",
          attribute("data-row", row.name), attribute("data-sort", row.name), plot::draw_key(row.style),
          escape_markup(row.name), attribute("data-sort", std::to_string(record.cell.seed)),
          open ? fmt::format("<button type=\"button\" class=\"open\"{}>{}</button>",
                             attribute("data-part", part_of(record)), name)
               : name,
          state_name(record.state), words_of(record.state), percent_of(record, *row.registry),
          loss == nullptr ? "" : plot::draw_sparkline(*loss, 1),
          loss == nullptr || loss->empty() ? "" : attribute("data-sort", fmt::format("{}", loss->back().y)),
          loss == nullptr || loss->empty() ? "" : fmt::format("{:.4g}", loss->back().y));
    }
  }
  if (rows.empty()) return section;
  const auto header = [](std::string_view name, bool left) {
    return fmt::format("<th scope=\"col\"{}><button type=\"button\" class=\"sort\">{}</button></th>",
                       left ? " class=\"name\"" : "", name);
  };
  section.html = fmt::format(
      "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Cells\"><table "
      "class=\"cells\"><thead><tr>{}{}{}{}"
      "<th scope=\"col\" class=\"name\">loss</th>{}</tr></thead><tbody>\n{}</tbody></table></div>\n",
      header("row", true), header("cell", true), header("state", true), header("done", false),
      header("last loss", false), rows);
  if (cells > kMostListed)
    section.html += element("p", fmt::format("The first {} of {} cells; silc status lists all.", kMostListed, cells));
  if (detailed == most && cells > most && !context.request.live)
    section.html += element("p", fmt::format("Details of the first {} cells that were started lie in this file; silc "
                                             "show CELL and silc serve have those of all.",
                                             most));
  return section;
}

}  // namespace silc
