// What each row's settings have in the place of the baseline's.
#include <fmt/format.h>

#include <algorithm>

#include "files/run_folder.h"
#include "registry/page/sections.h"
#include "registry/settings.h"
#include "silc/error.h"
#include "text/markup.h"

namespace silc {

namespace {

constexpr std::size_t kMostRows = 60;

// Of the row's first cell that was started; empty if none was.
std::map<std::string, std::string> settings_of(const PageRow& row) {
  for (const CellRecord& record : row.cells) try {
      const RunFolder folder{row.registry->runs() / record.cell.folder};
      if (std::filesystem::exists(folder.cell())) return settings_of_cell(folder.path);
    } catch (const Error&) {
      // Damaged, or a phase is gone: the next seed's are the same.
    }
  return {};
}

Html value_of(const std::string& value) {
  return value.empty() ? "<span class=\"none\">none</span>" : element("code", value);
}

}  // namespace

PageSection settings_section(PageContext& context) {
  PageSection section{"settings", "What rows differ in", {}};
  const auto baseline = std::ranges::find(context.rows, true, &PageRow::baseline);
  if (baseline == context.rows.end()) return section;
  const std::map<std::string, std::string> own = settings_of(*baseline);
  if (own.empty()) return section;
  Html rows;
  std::size_t shown = 0;
  for (const PageRow& row : context.rows) {
    if (row.baseline || shown == kMostRows) continue;
    const std::map<std::string, std::string> settings = settings_of(row);
    if (settings.empty()) continue;
    ++shown;
    Html lines;
    const std::vector<SettingDifference> found = differences({own, settings});
    for (const SettingDifference& difference : found)
      lines += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td></tr>", element("code", difference.setting),
                           value_of(difference.values[0]), value_of(difference.values[1]));
    rows += fmt::format(
        "<details{}><summary>{}<span>{}</span> <span class=\"aside\">{}</span></summary><div class=\"scroll\">"
        "<table class=\"settings\"><thead><tr><th class=\"name\">setting</th><th class=\"name\">{}</th><th "
        "class=\"name\">{}</th></tr></thead><tbody>{}</tbody></table></div></details>\n",
        attribute("data-row", row.name), plot::draw_key(row.style), escape_markup(row.label),
        found.empty() ? "the same settings" : fmt::format("{} setting{}", found.size(), found.size() == 1 ? "" : "s"),
        escape_markup(baseline->label), escape_markup(row.label), lines);
  }
  if (rows.empty()) return section;
  section.html =
      fmt::format("<p class=\"origin\">Against \"{}\", the baseline.</p>\n{}", escape_markup(baseline->label), rows);
  if (context.rows.size() > kMostRows + 1)
    section.html += element("p", fmt::format("The first {} rows; silc diff ROW ROW compares any two.", kMostRows));
  return section;
}

}  // namespace silc
